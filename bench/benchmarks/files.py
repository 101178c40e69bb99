"""Files: memory and latency of sends under uploads, the rates of uploads and downloads, and the time until a thumbnail."""

import asyncio
import io
import itertools
import os
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from time import perf_counter

import msgspec
from PIL import Image

from bench.benchmark import Benchmark, Bound, Figure, Line, Round, Scale, round_of
from bench.load.client import Client, raw_request
from bench.load.loops import Tally, closed_loop, open_loop
from bench.load.people import Person, create_people
from bench.load.targets import create_chat, numbers
from bench.load.transfers import BLOCK, Uploads, download, upload, upload_head
from bench.servers.bellwire import Bellwire, bellwire
from bench.servers.floors import floor
from bench.servers.nginx import nginx
from bench.servers.processes import pin, rss_bytes

FILE_BYTES = 25_000_000
MB = 1e6
UPLOADS = 50  # at once, each of another account
UPLOAD_S = 10.0  # of all of them together: 1 Gbit/s
SEND_RATE = 100.0
SENDERS = 400
AT_ONCE = 4  # of the uploads whose rate is measured
READERS = 10  # take turns, so that none meets the limit of 100 calls a second
RSS_INTERVAL_S = 0.05
READY_TIMEOUT_S = 30.0
PHOTO_SIZE = (4000, 3000)


@asynccontextmanager
async def _peak_of(pid: int, peak: list[int]) -> AsyncIterator[None]:
    """Append the largest memory of a process, in bytes above that of the beginning."""
    start, largest = rss_bytes(pid), [0]

    async def watch() -> None:
        while True:
            largest[0] = max(largest[0], rss_bytes(pid) - start)
            await asyncio.sleep(RSS_INTERVAL_S)

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()
        peak.append(largest[0])


async def _beside_sends(server: Bellwire, people: Sequence[Person], scale: Scale, tally: Tally) -> tuple[dict[str, Figure], str]:
    """Measure sends without uploads and with them, and the gateway's memory with them."""
    seconds, target, counter = scale.seconds(UPLOAD_S, 2), create_chat(server, SENDERS), numbers()
    await closed_loop(target, 1, counter, count=SENDERS)  # a first send also makes a conversation, and looks a token up
    alone = await open_loop(target, SEND_RATE, seconds, counter)
    peak: list[int] = []
    async with _peak_of(server.gateway_pid(), peak):
        uploads = Uploads(server.port, [person.token for person in people], FILE_BYTES, seconds)
        beside = await open_loop(target, SEND_RATE, seconds, counter)
        await asyncio.to_thread(uploads.finish)
    for load in (alone, beside):
        tally.add(load)
    if uploads.failed:
        tally.fail(uploads.first_failure)
    remark = f"{len(people)} uploads in {seconds:.0f} s; sends alone: {alone.summary()}; beside them: {beside.summary()}"
    return {
        "memory": Figure(peak[0] / MB),
        "p99": Figure(beside.percentile_ms(0.99), alone.percentile_ms(0.99)),
    }, remark


async def _upload_rate(port: int, heads: Sequence[bytes], tally: Tally) -> float:
    """Return the MB per second of uploads over AT_ONCE connections."""
    left = iter(heads)

    async def work() -> None:
        for head in left:
            answer = await upload(port, head, FILE_BYTES)
            if answer.status != 201:
                tally.fail(f"an upload: {answer.status} {answer.text}")

    start = perf_counter()
    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return len(heads) * FILE_BYTES / MB / (perf_counter() - start)


async def _upload_rates(server: Bellwire, people: Sequence[Person], tally: Tally) -> dict[str, Figure]:
    heads = [upload_head(f"/api/v1/files?name={n}.pdf", person.token, FILE_BYTES) for n, person in enumerate(people)]
    with floor() as bare:
        durable = await _upload_rate(bare.port, [upload_head("/upload?fsync=1", "", FILE_BYTES)] * len(people), tally)
        written = await _upload_rate(bare.port, [upload_head("/upload", "", FILE_BYTES)] * len(people), tally)
    found = await _upload_rate(server.port, heads, tally)
    return {"upload": Figure(found, durable), "written": Figure(found, written)}


def _download_rate(port: int, heads: Sequence[bytes], count: int) -> float:
    """Return the MB per second of downloads, one after another."""
    start = perf_counter()
    size = sum(download(port, head) for head in itertools.islice(itertools.cycle(heads), count))
    return size / MB / (perf_counter() - start)


async def _sent(server: Bellwire, sender: Person, readers: Sequence[Person], data: bytes, name: str) -> int:
    """Send a file to a new group; return its id."""
    head = upload_head(f"/api/v1/files?name={name}", sender.token, len(data))
    client = Client(server.port)
    file = msgspec.json.decode((await client.request(head + data)).body)["id"]
    body = {"members": [reader.id for reader in readers], "title": name}
    group = (await client.call("POST", "/api/v1/conversations", sender.token, body))["id"]
    await client.call("POST", "/api/v1/messages", sender.token, {"conversation": group, "files": [file]})
    client.close()
    return int(file)


async def _download_rates(server: Bellwire, people: Sequence[Person], count: int) -> dict[str, Figure]:
    data = b"%PDF-1.7\n" + (BLOCK * (FILE_BYTES // len(BLOCK) + 1))[: FILE_BYTES - 9]
    file = await _sent(server, people[0], people[1:READERS], data, "large.pdf")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "large.pdf").write_bytes(data)
        with nginx(Path(folder)) as port:
            bare = await asyncio.to_thread(_download_rate, port, [raw_request("GET", "/large.pdf")], count)
    heads = [raw_request("GET", f"/api/v1/files/{file}", person.token) for person in people[:READERS]]
    return {"download": Figure(await asyncio.to_thread(_download_rate, server.port, heads, count), bare)}


def photo() -> bytes:
    """Return a picture of 12 megapixels, as phones make them: it must be rotated, and names a place."""
    channels = [Image.effect_noise((800, 600), 60).resize(PHOTO_SIZE, Image.Resampling.BICUBIC) for _ in range(3)]
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation
    exif[0x010F] = "A phone"
    exif.get_ifd(0x8825)[1] = "N"  # the place
    file = io.BytesIO()
    Image.merge("RGB", channels).save(file, "JPEG", quality=88, exif=exif)
    return file.getvalue()


async def _until_ready(client: Client, person: Person, cursor: str, file: int) -> None:
    """Poll until a picture has its thumbnail."""
    deadline = perf_counter() + READY_TIMEOUT_S
    while perf_counter() < deadline:
        path = f"/api/v1/events?cursor={cursor}&types=message.updated&timeout=10"
        answer = await client.call("GET", path, person.token)
        cursor = answer["cursor"]
        for found in (found for event in answer["events"] for found in event["data"]["files"]):
            if found["id"] == file:
                if found["state"] != "ready" or not found["thumbnail"]:
                    raise ConnectionError(f"the picture is {found}")
                return
    raise ConnectionError("a picture got no thumbnail")


async def _picture_s(client: Client, person: Person, to: int, data: bytes) -> float:
    """Return the seconds from a picture's send to the event that it is ready."""
    head = upload_head("/api/v1/files?name=photo.jpg", person.token, len(data))
    file = msgspec.json.decode((await client.request(head + data)).body)["id"]
    cursor = (await client.call("GET", "/api/v1/events", person.token))["cursor"]
    start = perf_counter()
    await client.call("POST", "/api/v1/messages", person.token, {"to": to, "files": [file]})
    await _until_ready(client, person, cursor, file)
    return perf_counter() - start


async def _pictures(server: Bellwire, people: Sequence[Person], count: int) -> tuple[dict[str, Figure], str]:
    """Measure pictures while all processes of the server have one core; the first one warms them up."""
    data, client = await asyncio.to_thread(photo), Client(server.port)
    pin(server.pids(), min(os.sched_getaffinity(0)))
    times = [await _picture_s(client, people[0], people[1].id, data) for _ in range(1 + count)][1:]
    client.close()
    return {"picture": Figure(median(times))}, f"a picture of {len(data) / MB:.1f} MB: {min(times):.2f} to {max(times):.2f} s"


async def files(scale: Scale) -> Round:
    """Upload beside sends, then upload, download and send pictures alone."""
    tally, count = Tally(), scale.count(24, 4)
    with bellwire() as server:
        uploading, people = create_people(server, scale.count(UPLOADS, 5), "up"), create_people(server, max(count, READERS), "file")
        pictures = create_people(server, 2, "picture")
        await upload(server.port, upload_head("/api/v1/files?name=first.pdf", pictures[0].token, 100_000), 100_000)
        beside, remark = await _beside_sends(server, uploading, scale, tally)
        figures = beside | await _upload_rates(server, people[:count], tally) | await _download_rates(server, people, 2 * count)
        picture, size = await _pictures(server, pictures, scale.count(5, 2))
    return round_of(figures | picture, [tally], [remark, size])


FILES = Benchmark(
    "files",
    {
        "memory": Line("memory of the gateway for 50 uploads of 25 MB at once, 1 Gbit/s in all", "MB", Bound(30, "measured")),
        "p99": Line("send p99 beside them, 100 sends/s; floor: without uploads", "ms", Bound(1.5)),
        "upload": Line("uploads of 25 MB, 4 at once; floor: bare Tornado, fsync'd", "MB/s", Bound(0.5, at_least=True)),
        "written": Line("the same; floor: bare Tornado, written without fsync", "MB/s"),
        "download": Line("downloads of 25 MB, one at a time; floor: nginx's sendfile", "MB/s", Bound(0.7, at_least=True)),
        "picture": Line("12 megapixels: send to its thumbnail, all on one core", "s", Bound(1, "measured")),
    },
    files,
)

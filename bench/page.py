"""The page in Chromium: how soon it is there on a slow network, how soon one sees what was written, how it scrolls, what it keeps.

Times are the browser's own (performance.now, animation frames, the protocol's counters); what crosses to another page is measured
by the wall clock, which both share.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from shutil import which
from statistics import median
from typing import Any

from playwright.async_api import Browser, CDPSession, Page, async_playwright

from bench.client import Client, spread
from bench.figures import Benchmark, Bound, Line, Outcome, Scale
from bench.load import percentile
from bench.people import Person, make_people
from bench.server import Bellwire, bellwire

FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--enable-precise-memory-info"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
# "Fast 3G": 1.6 Mbit/s down, 768 kbit/s up, 150 ms there and back (WebPageTest's 3GFast; Lighthouse's, with which it began).
FAST_3G = {"offline": False, "latency": 150, "downloadThroughput": 1.6e6 / 8, "uploadThroughput": 768e3 / 8}
XSRF = "0123456789abcdef0123456789abcdef"
LONG = 10_000
HOUR = 3600  # messages: one a second
FRAME_MS = 1000 / 60

THERE = """(what) => new Promise((done) => {
    const look = () => requestAnimationFrame(document.querySelector(what) ? () => done(performance.now()) : look);
    look();
})"""
ECHO = """(text) => new Promise((done) => {
    const field = document.querySelector("bw-composer textarea");
    field.value = text;
    const began = performance.now();
    field.form.requestSubmit();
    const look = () => requestAnimationFrame(() => {
        const shown = [...document.querySelectorAll(".message .text")].some((one) => one.textContent === text);
        shown ? done(performance.now() - began) : look();
    });
    look();
})"""
SHOWN = """(text) => new Promise((done) => {
    const look = () => {
        const shown = [...document.querySelectorAll(".message .text")].some((one) => one.textContent === text);
        shown ? requestAnimationFrame(() => done(Date.now())) : requestAnimationFrame(look);
    };
    look();
})"""
# Scrolls up by so much a frame until the beginning is there; returns the milliseconds of each frame and the most rows there were.
SCROLL = """async (step) => {
    const place = document.querySelector(".messages");
    const frames = [];
    let most = 0;
    let last = await new Promise(requestAnimationFrame);
    for (let still = 0; still < 120; ) {
        const before = place.scrollTop;
        place.scrollTop = before - step;
        const now = await new Promise(requestAnimationFrame);
        frames.push(now - last);
        last = now;
        still = place.scrollTop === 0 && before === 0 ? still + 1 : 0;
        most = Math.max(most, place.querySelectorAll(".message").length);
    }
    return [frames, most, place.querySelectorAll(".block").length];
}"""


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Debian's Chromium."""
    path = which("chromium-headless-shell") or which("chromium")
    if path is None:
        raise RuntimeError("chromium is not installed")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        await browser.close()


async def signed_in(browser: Browser, server: Bellwire, who: Person, **options: Any) -> Page:
    """Return an empty page of somebody who is signed in."""
    cookies = {"bellwire_session": who.token, "_xsrf": XSRF}
    stored: Any = {
        "cookies": [
            {"name": name, "value": value, "domain": "127.0.0.1", "path": "/", "expires": -1, "httpOnly": False, "secure": False}
            | {"sameSite": "Strict"}
            for name, value in cookies.items()
        ],
        "origins": [{"origin": server.base, "localStorage": [{"name": "bellwire:user", "value": str(who.id)}]}],
    }
    context = await browser.new_context(storage_state=stored, **{"viewport": {"width": 1280, "height": 900}, **options})
    return await context.new_page()


async def opened(browser: Browser, server: Bellwire, who: Person, conversation: int) -> Page:
    """Return the page of a person with a conversation open."""
    page = await signed_in(browser, server, who)
    await page.goto(f"{server.base}/#/conversations/{conversation}")
    await page.wait_for_selector(".message")
    return page


async def first_load(page: Page, url: str, what: str) -> tuple[float, float]:
    """Return (KB that came over the network, seconds until `what` is there to be used) of a first visit on a slow network."""
    devtools = await page.context.new_cdp_session(page)
    received = [0.0]
    devtools.on("Network.loadingFinished", lambda event: received.append(event["encodedDataLength"]))
    await devtools.send("Network.enable")
    await devtools.send("Network.emulateNetworkConditions", FAST_3G)
    await page.goto(url, wait_until="commit")
    there_ms = await page.evaluate(THERE, what)
    await page.wait_for_load_state("load")
    await page.context.close()
    return sum(received) / 1000, there_ms / 1000


async def heap(devtools: CDPSession) -> float:
    """Return the megabytes that scripts hold when all that is free has been collected."""
    await devtools.send("HeapProfiler.collectGarbage")
    usage = await devtools.send("Runtime.getHeapUsage")
    return float(usage["usedSize"]) / 1e6


class Room:
    """A conversation of two, into which the other one writes."""

    def __init__(self, client: Client, ana: Person, ben: Person) -> None:
        """Say who they are."""
        self.client, self.ana, self.ben, self.number = client, ana, ben, 0

    async def begin(self) -> None:
        """Make it, with a first message."""
        made = await self.client.call("POST", "/api/v1/conversations", self.ana.token, {"members": [self.ben.id], "title": "Room"})
        self.number = made["id"]
        await self.write("welcome")

    async def write(self, body: str, client: Client | None = None) -> None:
        """Send a message of Ben's."""
        message = {"conversation": self.number, "body": body}
        await (client or self.client).call("POST", "/api/v1/messages", self.ben.token, message)

    async def fill(self, count: int) -> None:
        """Send many."""

        async def line(client: Client, number: int) -> None:
            await self.write(f"line {number}: {'word ' * (number % 23)}", client)

        await spread(self.client, range(count), line)


async def seen(page: Page, room: Room, times: int) -> list[float]:
    """Return the milliseconds from the POST of another person to the frame that shows it."""
    found = []
    for turn in range(times):
        waiting = asyncio.create_task(page.evaluate(SHOWN, f"seen {turn}"))
        await asyncio.sleep(0.05)
        began = 1000 * time.time()
        await room.write(f"seen {turn}")
        found.append(await waiting - began)
    return found


async def _page(scale: Scale) -> Outcome:
    async with chromium() as browser:
        with bellwire() as server:
            client = Client(server.port)
            ana, ben = await make_people(client, server.admin_token, 2, "person")
            talk, long = Room(client, ana, ben), Room(client, ana, ben)
            await talk.begin()
            visits = [await first_load(await browser.new_page(), server.base, "bw-sign input") for _ in range(4)][
                1:
            ]  # then it is warm
            loads = [await first_load(await signed_in(browser, server, ana), server.base, ".conversations a") for _ in range(3)]
            page = await opened(browser, server, ana, talk.number)
            echoes = [await page.evaluate(ECHO, f"mine {turn}") for turn in range(scale.count(50, 5))]
            delays = await seen(page, talk, scale.count(100, 10))
            grown = await _memory(page, talk, scale.count(HOUR, 200))
            await page.context.close()
            await long.begin()
            await long.fill(scale.count(LONG, 600))
            page = await opened(browser, server, ana, long.number)
            frames, most, blocks = await page.evaluate(SCROLL, 300)
            client.close()
    return _outcome(visits, loads, echoes, delays, grown, frames, f"at most {most} rows at a time of {blocks} pages")


async def _memory(page: Page, room: Room, messages: int) -> tuple[float, float]:
    """Return the heap after a first and after a last third of the traffic of an hour."""
    devtools = await page.context.new_cdp_session(page)
    kept = []
    for third in range(3):
        await room.fill(messages // 3)
        await room.write(f"third {third}")
        await page.evaluate(SHOWN, f"third {third}")
        kept.append(await heap(devtools))
    return kept[0], kept[-1]


def _outcome(
    visits: Sequence[tuple[float, float]],
    loads: Sequence[tuple[float, float]],
    echoes: Sequence[float],
    delays: Sequence[float],
    grown: tuple[float, float],
    frames: Sequence[float],
    remark: str,
) -> Outcome:
    late = sum(frame > 1.5 * FRAME_MS for frame in frames) / len(frames)
    values: dict[str, tuple[float, float | None]] = {
        "size": (max(size for size, _ in loads), None),
        "interactive": (median(at for _, at in visits), None),
        "list": (median(at for _, at in loads), None),
        "echo": (percentile(list(echoes), 0.95), None),
        "seen": (percentile(list(delays), 0.95), None),
        "fps": (1000 / median(frames), None),
        "late": (100 * late, None),
        "heap": (grown[1], grown[0]),
    }
    return Outcome(values, remarks=[f"{len(frames)} frames, the longest {max(frames):.0f} ms; {remark}"])


PAGE = Benchmark(
    "page",
    {
        "size": Line("first load of who is signed in, all that comes", "KB", Bound(100, "measured")),
        "interactive": Line("first load to typing on Fast 3G (1.6 Mbit/s, 150 ms)", "s", Bound(1, "measured")),
        "list": Line("first load of who is signed in to the list of conversations", "s"),
        "echo": Line("submit to the frame with its local echo, p95", "ms", Bound(50, "measured")),
        "seen": Line("another's POST to the frame that shows it, p95", "ms", Bound(150, "measured")),
        "fps": Line("frames/s while 10,000 messages are scrolled, median", "/s", Bound(59, "measured", least=True)),
        "late": Line("frames of these that came late (over 25 ms)", "%"),
        "heap": Line("heap after an hour's messages; floor: after a third", "MB", Bound(1.3)),
    },
    _page,
)

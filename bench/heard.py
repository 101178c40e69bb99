"""How soon the author of a post hears of a like: at an open long poll, and by mail."""

import asyncio
from time import monotonic, perf_counter

from bench.client import Client
from bench.figures import Benchmark, Bound, Line, Outcome, Scale
from bench.live import Pair
from bench.load import percentile
from bench.people import make_people
from bench.relay import relay
from bench.server import bellwire

BETWEEN_S = 0.2  # likes come now and then
MAIL_S = 10.0


async def heard(scale: Scale) -> Outcome:
    """People like a person's posts, one after another; the embedded default with its worker."""
    times, delays, lost, began = scale.count(100, 20), [], 0, []
    with relay(0) as through, bellwire(settings=through.settings) as server:
        client = Client(server.port)
        author, *fans = await make_people(client, server.admin_token, 1 + times, "person")  # nobody is too many by one person
        pair = Pair(client, fans[0], author, 0)
        await pair.reader.remember(client)
        pair.reader.start()
        for turn in range(times):
            post = (await client.call("POST", "/api/v1/posts", author.token, {"body": f"post {turn}"}))["id"]
            await asyncio.sleep(BETWEEN_S)
            start = perf_counter()
            began.append(monotonic())
            await client.call("PUT", f"/api/v1/posts/{post}/like", fans[turn].token)
            seen = await pair.seen("notification.created", type="community")
            lost += seen is None
            delays += [seen - start] if seen is not None else []
        mails = await through.wait(times, MAIL_S)
        await pair.reader.stop()
        client.close()
    mailed = [mail.at - at for mail, at in zip(mails, began, strict=False)]
    missing = times - len(mails)
    remark = f"{times} likes; {lost} not seen, {missing} not mailed; seen p50 {1000 * percentile(delays, 0.5):.1f} ms"
    failed = lost + missing + pair.reader.failed
    values: dict[str, tuple[float, float | None]] = {
        "poll": (1000 * percentile(delays, 0.95), None),
        "mail": (max(mailed, default=float("nan")), None),
    }
    return Outcome(values, failed, remark if failed else "", [remark])


HEARD = Benchmark(
    "heard",
    {
        "poll": Line(
            "like to `notification.created` at the author's open poll, p95", "ms", Bound(100, "measured"), Bound(30, "measured")
        ),
        "mail": Line("like to its mail at the relay, the latest", "s", Bound(1, "measured"), Bound(0.2, "measured")),
    },
    heard,
)

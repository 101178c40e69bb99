"""The page in Chromium: its first load on a slow network, the time until a message is visible, scrolling, and memory.

Times are the browser's (performance.now, animation frames, the protocol's counters). The time from one process to another is
measured by the wall clock, which both share.
"""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from shutil import which
from statistics import median
from typing import Any

from playwright.async_api import Browser, CDPSession, Page, async_playwright

from bench.benchmark import Benchmark, Bound, Figure, Line, Round, Scale
from bench.load.client import Client, raw_request, spread
from bench.load.loops import percentile
from bench.load.people import Person, create_people
from bench.servers.bellwire import Bellwire, bellwire

FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--enable-precise-memory-info"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
# "Fast 3G": 1.6 Mbit/s down, 768 kbit/s up, 150 ms there and back (WebPageTest's 3GFast; Lighthouse's, with which it began).
FAST_3G = {"offline": False, "latency": 150, "downloadThroughput": 1.6e6 / 8, "uploadThroughput": 768e3 / 8}
XSRF = "0123456789abcdef0123456789abcdef"
HISTORY_MESSAGES = 10_000
HOUR_MESSAGES = 3600  # one a second
WRITERS = 200  # take turns, so that none meets the limits of 20 sends a second and 600 a minute
JOIN_INTERVAL_S = 0.1
SEND_INTERVAL_S = 0.06  # Ana may send 20 messages a second
FRAME_MS = 1000 / 60

PRESENT = """(selector) => new Promise((done) => {
    const look = () => requestAnimationFrame(document.querySelector(selector) ? () => done(performance.now()) : look);
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
VISIBLE = """(text) => new Promise((done) => {
    const look = () => {
        const shown = [...document.querySelectorAll(".message .text")].some((one) => one.textContent === text);
        shown ? requestAnimationFrame(() => done(Date.now())) : requestAnimationFrame(look);
    };
    look();
})"""
# Scroll up by `step` pixels a frame to the beginning; return each frame's milliseconds, the highest number of rows, and of pages.
SCROLL = """async (step) => {
    const list = document.querySelector(".messages");
    const frames = [];
    let most = 0;
    let last = await new Promise(requestAnimationFrame);
    for (let still = 0; still < 120; ) {
        const before = list.scrollTop;
        list.scrollTop = before - step;
        const now = await new Promise(requestAnimationFrame);
        frames.push(now - last);
        last = now;
        still = list.scrollTop === 0 && before === 0 ? still + 1 : 0;
        most = Math.max(most, list.querySelectorAll(".message").length);
    }
    return [frames, most, list.querySelectorAll(".block").length];
}"""


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Run Debian's Chromium."""
    path = which("chromium-headless-shell") or which("chromium")
    if path is None:
        raise RuntimeError("chromium is not installed")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        await browser.close()


async def signed_in(browser: Browser, server: Bellwire, person: Person, **options: Any) -> Page:
    """Return an empty page with the session of a person."""
    cookies = {"bellwire_session": person.token, "_xsrf": XSRF}
    stored: Any = {
        "cookies": [
            {"name": name, "value": value, "domain": "127.0.0.1", "path": "/", "expires": -1, "httpOnly": False, "secure": False}
            | {"sameSite": "Strict"}
            for name, value in cookies.items()
        ],
        "origins": [{"origin": server.base, "localStorage": [{"name": "bellwire:user", "value": str(person.id)}]}],
    }
    context = await browser.new_context(storage_state=stored, **{"viewport": {"width": 1280, "height": 900}, **options})
    return await context.new_page()


async def opened(browser: Browser, server: Bellwire, person: Person, conversation: int) -> Page:
    """Return the page of a person with an open conversation."""
    page = await signed_in(browser, server, person)
    await page.goto(f"{server.base}/#/conversations/{conversation}")
    await page.wait_for_selector(".message")
    return page


async def first_load(page: Page, url: str, selector: str) -> tuple[float, float]:
    """Return the KB received and the seconds until an element is present, of a first visit on a slow network."""
    devtools = await page.context.new_cdp_session(page)
    received = [0.0]
    devtools.on("Network.loadingFinished", lambda event: received.append(event["encodedDataLength"]))
    await devtools.send("Network.enable")
    await devtools.send("Network.emulateNetworkConditions", FAST_3G)
    await page.goto(url, wait_until="commit")
    present_ms = await page.evaluate(PRESENT, selector)
    await page.wait_for_load_state("load")
    await page.context.close()
    return sum(received) / 1000, present_ms / 1000


async def heap(devtools: CDPSession) -> float:
    """Return the megabytes of the scripts' heap after a garbage collection."""
    await devtools.send("HeapProfiler.collectGarbage")
    usage = await devtools.send("Runtime.getHeapUsage")
    return float(usage["usedSize"]) / 1e6


class Room:
    """A conversation of Ana with WRITERS others, who write into it in turn."""

    def __init__(self, client: Client, ana: Person, writers: Sequence[Person]) -> None:
        self.client, self.ana, self.writers, self.number = client, ana, writers, 0
        self._numbers = itertools.count()

    async def open(self) -> None:
        """Create the conversation, with a first message."""
        body = {"members": [person.id for person in self.writers], "title": "Room"}
        self.number = (await self.client.call("POST", "/api/v1/conversations", self.ana.token, body))["id"]
        seen = raw_request("GET", f"/api/v1/conversations/{self.number}", self.writers[-1].token)
        while True:
            if (await self.client.request(seen)).status == 200:
                break
            await asyncio.sleep(JOIN_INTERVAL_S)  # a large group is made in slices
        await self.write("welcome")

    async def write(self, text: str, client: Client | None = None) -> None:
        """Send a message as the next writer."""
        writer, message = self.writers[next(self._numbers) % len(self.writers)], {"conversation": self.number, "body": text}
        await (client or self.client).call("POST", "/api/v1/messages", writer.token, message)

    async def fill(self, count: int) -> None:
        """Send many messages, several at once."""

        async def write(client: Client, number: int) -> None:
            await self.write(f"line {number}: {'word ' * (number % 23)}", client)

        await spread(self.client.port, range(count), write)


async def delays_ms(page: Page, room: Room, times: int) -> list[float]:
    """Return the milliseconds from another person's POST to the frame that shows the message."""
    delays = []
    for number in range(times):
        visible = asyncio.create_task(page.evaluate(VISIBLE, f"message {number}"))
        await asyncio.sleep(0.05)
        start_ms = 1000 * time.time()
        await room.write(f"message {number}")
        delays.append(await visible - start_ms)
    return delays


async def compare_heaps(page: Page, room: Room, messages: int) -> Figure:
    """Return the heap after an hour's messages, with the heap after their first third as the floor."""
    devtools = await page.context.new_cdp_session(page)
    heaps = []
    for third in range(3):
        await room.fill(messages // 3)
        await room.write(f"third {third}")
        await page.evaluate(VISIBLE, f"third {third}")
        heaps.append(await heap(devtools))
    return Figure(heaps[-1], heaps[0])


async def _measure_loads(browser: Browser, server: Bellwire, ana: Person) -> dict[str, Figure]:
    visits = [await first_load(await browser.new_page(), server.base, "bw-sign input") for _ in range(4)][1:]  # the first warms up
    loads = [await first_load(await signed_in(browser, server, ana), server.base, ".conversations a") for _ in range(3)]
    return {
        "size": Figure(max(size for size, _ in loads)),
        "interactive": Figure(median(seconds for _, seconds in visits)),
        "list": Figure(median(seconds for _, seconds in loads)),
    }


async def _measure_chat(browser: Browser, server: Bellwire, room: Room, scale: Scale) -> dict[str, Figure]:
    page = await opened(browser, server, room.ana, room.number)
    echoes = []
    for number in range(scale.count(50, 5)):
        echoes.append(await page.evaluate(ECHO, f"mine {number}"))
        await asyncio.sleep(SEND_INTERVAL_S)
    figures = {
        "echo": Figure(percentile(echoes, 0.95)),
        "seen": Figure(percentile(await delays_ms(page, room, scale.count(100, 10)), 0.95)),
        "heap": await compare_heaps(page, room, scale.count(HOUR_MESSAGES, 200)),
    }
    await page.context.close()
    return figures


async def _measure_scrolling(browser: Browser, server: Bellwire, room: Room, messages: int) -> tuple[dict[str, Figure], str]:
    await room.fill(messages)
    page = await opened(browser, server, room.ana, room.number)
    frames, rows, blocks = await page.evaluate(SCROLL, 300)
    late = sum(frame > 1.5 * FRAME_MS for frame in frames) / len(frames)
    remark = f"{len(frames)} frames, the longest {max(frames):.0f} ms; at most {rows} rows at a time of {blocks} pages"
    return {"fps": Figure(1000 / median(frames)), "late": Figure(100 * late)}, remark


async def page(scale: Scale) -> Round:
    """Load the page, write and read in it, scroll a long conversation."""
    async with chromium() as browser:
        with bellwire() as server:
            client = Client(server.port)
            ana, *writers = create_people(server, 1 + WRITERS)
            talk, long = Room(client, ana, writers), Room(client, ana, writers)
            await talk.open()
            figures = await _measure_loads(browser, server, ana) | await _measure_chat(browser, server, talk, scale)
            await long.open()
            scrolling, remark = await _measure_scrolling(browser, server, long, scale.count(HISTORY_MESSAGES, 600))
            client.close()
    return Round(figures | scrolling, remarks=[remark])


PAGE = Benchmark(
    "page",
    {
        "size": Line("first load with a session, all bytes received", "KB", Bound(100, "measured")),
        "interactive": Line("first load to typing on Fast 3G (1.6 Mbit/s, 150 ms)", "s", Bound(1, "measured")),
        "list": Line("first load with a session to the list of conversations", "s"),
        "echo": Line("submit to the frame with its local echo, p95", "ms", Bound(50, "measured")),
        "seen": Line("another's POST to the frame that shows it, p95", "ms", Bound(150, "measured")),
        "fps": Line("frames/s while 10,000 messages are scrolled, median", "/s", Bound(59, "measured", at_least=True)),
        "late": Line("frames of these that came late (over 25 ms)", "%"),
        "heap": Line("heap after an hour's messages; floor: after a third", "MB", Bound(1.3)),
    },
    page,
)

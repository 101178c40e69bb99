"""The page of people with many chats, in Chromium: the cost of a typing event, opening a long chat, and going to anything."""

import asyncio
from collections.abc import Sequence
from statistics import median

from playwright.async_api import Browser, Page

from bench.benchmark import Benchmark, Bound, Figure, Line, Round, Scale
from bench.benchmarks.page import WRITERS, Room, chromium, opened, signed_in
from bench.load.client import Client, spread
from bench.load.loops import percentile
from bench.load.people import Person, create_people
from bench.servers.bellwire import Bellwire, bellwire

CHATS = 100
MANY_CHATS = 1_000
TYPING_INTERVAL_S = 0.05  # one after the other, each from another person
SETTLE_S = 1.0  # until the page that was loaded does nothing
LONG = 10_000

# Press a row of the list; return the milliseconds to the frame in which the first unread message is in view.
OPEN = """([id]) => new Promise((done) => {
    const began = performance.now();
    document.querySelector(`.conversations a[href="#/conversations/${id}"]`).click();
    const look = () => requestAnimationFrame(() => {
        const marker = document.querySelector(".messages .new-marker");
        const list = document.querySelector(".messages");
        const isSeen = marker && marker.getBoundingClientRect().top < list.getBoundingClientRect().bottom;
        isSeen ? done(performance.now() - began) : look();
    });
    look();
})"""
# Press Ctrl+K, then type a name; return the milliseconds to the frames with the dialog's rows, and with the name alone.
GO_TO = """(name) => new Promise((done) => {
    const frames = [performance.now()];
    const rows = () => [...document.querySelectorAll("dialog.palette .hit .title")];
    const until = (isTrue, then) => requestAnimationFrame(() => (isTrue() ? then() : until(isTrue, then)));
    const press = { key: "k", ctrlKey: true, bubbles: true, cancelable: true };
    document.body.dispatchEvent(new KeyboardEvent("keydown", press));
    until(() => rows().length > 1, () => {
        frames.push(performance.now());
        const field = document.querySelector("dialog.palette input");
        field.value = name;
        field.dispatchEvent(new Event("input", { bubbles: true }));
        until(() => rows()[0]?.textContent === name, () => {
            frames.push(performance.now());
            document.querySelector("dialog.palette").close();
            done([frames[1] - frames[0], frames[2] - frames[1]]);
        });
    });
})"""


async def _fill_list(server: Bellwire, reader: Person, others: Sequence[Person]) -> None:
    """Send a message from each of the others."""

    async def write(client: Client, sender: Person) -> None:
        await client.call("POST", "/api/v1/messages", sender.token, {"to": reader.id, "body": "are you there?"})

    await spread(server.port, others, write)


async def _direct(client: Client, reader: Person) -> dict[int, int]:
    """Return the reader's direct conversations by the id of the other."""
    found, path = {}, "/api/v1/conversations?limit=200"
    page = await client.call("GET", path, reader.token)
    for each in page["items"]:
        (other,) = (member["user"]["id"] for member in each["members"] if member["user"]["id"] != reader.id)
        found[other] = each["id"]
    return found


async def _measure_typing(browser: Browser, server: Bellwire, people: Sequence[Person], events: int) -> Figure:
    """The page's own time for an event that somebody types, the poll's included: the difference to as long a time without."""
    reader, *others = people
    await _fill_list(server, reader, others)
    client = Client(server.port)
    chats = await _direct(client, reader)
    page = await opened(browser, server, reader, chats[others[0].id])
    devtools = await page.context.new_cdp_session(page)
    await devtools.send("Performance.enable")

    async def busy_s() -> float:
        metrics = (await devtools.send("Performance.getMetrics"))["metrics"]
        return float(next(each["value"] for each in metrics if each["name"] == "TaskDuration"))

    async def spend(*, types: bool) -> float:
        before = await busy_s()
        for number in range(events):
            person = others[number % len(others)]
            if types:
                await client.call("POST", f"/api/v1/conversations/{chats[person.id]}/typing", person.token, {"typing": True})
            await asyncio.sleep(TYPING_INTERVAL_S)
        return await busy_s() - before

    await spend(types=True)  # warms up
    idle_s = await spend(types=False)
    typing_s = await spend(types=True)
    await page.context.close()
    client.close()
    return Figure(1000 * (typing_s - idle_s) / events)


async def _measure_opening(browser: Browser, server: Bellwire, people: Sequence[Person], scale: Scale) -> Figure:
    """Open a long chat from the list, of which half is unread."""
    reader, *writers = people
    taken: list[float] = []
    client, times, count = Client(server.port), scale.count(5, 2), scale.count(LONG, 400)
    room = Room(client, reader, writers)
    await room.open()
    await room.fill(count)
    path = f"/api/v1/conversations/{room.number}"
    newest = (await client.call("GET", f"{path}/messages?limit=1", reader.token))["items"][0]["id"]
    await client.call("POST", f"{path}/read", reader.token, {"message": newest})
    for _ in range(times):
        unread = {"message": newest - count // 2, "unread": True}
        await client.call("POST", f"{path}/read", reader.token, unread)
        shown = await signed_in(browser, server, reader)
        await shown.goto(f"{server.base}/#/conversations")
        await shown.wait_for_selector(f'.conversations a[href="#/conversations/{room.number}"]')
        await asyncio.sleep(SETTLE_S)
        taken.append(float(await shown.evaluate(OPEN, [room.number])))
        await shown.context.close()
    client.close()
    return Figure(median(taken))


async def _measure_going(browser: Browser, server: Bellwire, people: Sequence[Person], times: int) -> dict[str, Figure]:
    reader, *others = people
    await _fill_list(server, reader, others)
    page: Page = await signed_in(browser, server, reader)
    await page.goto(f"{server.base}/#/conversations")
    await page.wait_for_selector(".conversations a")
    opened_ms, found_ms = [], []
    for number in range(times + 1):
        shown, found = await page.evaluate(GO_TO, f"many{len(others) - 1 - number}")
        if number:  # the first loads the module
            opened_ms.append(shown)
            found_ms.append(found)
    await page.context.close()
    return {"palette": Figure(percentile(opened_ms, 0.95)), "found": Figure(percentile(found_ms, 0.95))}


async def busy_page(scale: Scale) -> Round:
    """Measure each with people of its own."""
    async with chromium() as browser:
        with bellwire() as server:
            few = create_people(server, 1 + scale.count(CHATS, 20), "few")
            figures = {"typing": await _measure_typing(browser, server, few, scale.count(200, 20))}
            writers = create_people(server, 1 + WRITERS, "writer")
            figures["opening"] = await _measure_opening(browser, server, writers, scale)
            many = create_people(server, 1 + scale.count(MANY_CHATS, 80), "many")
            figures |= await _measure_going(browser, server, many, scale.count(20, 3))
    return Round(figures)


BUSY_PAGE = Benchmark(
    "busy-page",
    {
        "typing": Line("the page's time for a typing event, 100 chats in the list", "ms", Bound(4, "measured")),
        "opening": Line("opening a chat of 10,000 messages at the first of 5,000 unread", "ms", Bound(150, "measured")),
        "palette": Line("Ctrl+K to the frame with 1,000 chats and people to choose from, p95", "ms", Bound(50, "measured")),
        "found": Line("typing a name there to the frame with the person, p95", "ms", Bound(50, "measured")),
    },
    busy_page,
)

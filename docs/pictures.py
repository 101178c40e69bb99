"""`python -m docs.pictures`: draws the pictures of the page for the README, from a fresh instance with a conversation in it."""

import asyncio
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page

from bench.benchmarks.page import chromium, signed_in
from bench.load.client import Client
from bench.load.people import Person
from bench.servers.bellwire import Bellwire, bellwire

FOLDER = Path(__file__).parent
NAMES = {"ana": "Ana Lopes", "ben": "Ben Okafor", "chiara": "Chiara Rossi", "dmitri": "Dmitri Volkov", "eve": "Eve Larsen"}
TALK = [
    ("ben", "Morning! The new pier drawings are in."),
    ("ben", "The second sheet has the corrected depths."),
    ("chiara", "Lovely. I will go over them before lunch."),
    ("ana", "Thank you both. Could somebody check the tide tables for Thursday? https://example.org/tides"),
    ("dmitri", "On it."),
    ("dmitri", "High water is at 14:20, so we should be out there by noon."),
    ("eve", "I can bring the boat round at half past eleven."),
    ("ana", "Perfect, half past eleven then."),
]
ANSWER = "The drawings look right, but for the railing on the north side: it ends two metres short."
SHOTS: dict[str, dict[str, Any]] = {
    "page-light": {"viewport": {"width": 1180, "height": 760}, "color_scheme": "light"},
    "page-dark": {"viewport": {"width": 1180, "height": 760}, "color_scheme": "dark"},
    "page-phone": {"viewport": {"width": 390, "height": 760}, "color_scheme": "light"},
}


async def people(client: Client, admin_token: str) -> dict[str, Person]:
    """Make everybody."""
    users = [{"username": name, "email": f"{name}@example.org", "display_name": shown} for name, shown in NAMES.items()]
    made = await client.call("POST", "/api/v1/admin/users", admin_token, {"users": users})
    found = {}
    for user in made["items"]:
        issued = await client.call("POST", f"/api/v1/admin/users/{user['id']}/tokens", admin_token, {})
        found[user["username"]] = Person(user["id"], issued["token"])
    return found


async def talk(client: Client, who: dict[str, Person]) -> int:
    """Have them talk, and return the conversation that Ana is to look at."""

    async def post(name: str, **message: Any) -> int:
        return int((await client.call("POST", "/api/v1/messages", who[name].token, message))["id"])

    members = {"members": [one.id for one in who.values()], "title": "Harbour project"}
    room = (await client.call("POST", "/api/v1/conversations", who["ana"].token, members))["id"]
    for name, body in TALK:
        last = await post(name, conversation=room, body=body)
    await post("chiara", conversation=room, body=ANSWER, reply_to=last)
    await post("ben", conversation=room, body="Good catch!", priority="important")
    await post("ana", to=who["ben"].id, body="Sure, call me at three.")
    await post("eve", to=who["ana"].id, body="Do you have a minute today?")
    await post("chiara", to=who["ana"].id, body="It is about the budget for next quarter.")
    return int(room)


async def shoot(browser: Browser, server: Bellwire, who: dict[str, Person], room: int, name: str) -> None:
    """Draw one picture. Ben and Eve are online, and Ben types."""
    pages: list[Page] = []
    for person, options in (("ben", {}), ("eve", {}), ("ana", SHOTS[name])):
        page = await signed_in(browser, server, who[person], **options)
        await page.goto(f"{server.base}/#/conversations/{room}")
        await page.wait_for_selector(".message")
        pages.append(page)
    await pages[0].locator("bw-composer textarea").press_sequentially("I will")
    await pages[-1].locator("bw-chat .typing", has_text="typing").wait_for()
    await pages[-1].screenshot(path=FOLDER / f"{name}.png")
    for page in pages:
        await page.context.close()


async def main() -> None:
    """Draw them all."""
    with bellwire() as server:
        client = Client(server.port)
        who = await people(client, server.admin_token)
        room = await talk(client, who)
        async with chromium() as browser:
            for name in SHOTS:
                await shoot(browser, server, who, room, name)
                print(f"docs/{name}.png")
        client.close()


if __name__ == "__main__":
    asyncio.run(main())

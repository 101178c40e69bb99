"""`python -m docs.pictures` draws the README's pictures of the page, from a new instance with some conversations."""

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
PICTURES: dict[str, dict[str, Any]] = {
    "page-light": {"viewport": {"width": 1180, "height": 760}, "color_scheme": "light"},
    "page-dark": {"viewport": {"width": 1180, "height": 760}, "color_scheme": "dark"},
    "page-phone": {"viewport": {"width": 390, "height": 760}, "color_scheme": "light"},
}


async def create_people(client: Client, admin_token: str) -> dict[str, Person]:
    """Create the accounts with a token each. Returns them by username."""
    users = [{"username": name, "email": f"{name}@example.org", "display_name": full_name} for name, full_name in NAMES.items()]
    accounts = await client.call("POST", "/api/v1/admin/users", admin_token, {"users": users})
    people = {}
    for user in accounts["items"]:
        answer = await client.call("POST", f"/api/v1/admin/users/{user['id']}/tokens", admin_token, {})
        people[user["username"]] = Person(user["id"], answer["token"])
    return people


async def create_conversations(client: Client, people: dict[str, Person]) -> int:
    """Create the conversations with their messages. Returns the id of the one that the pictures show."""

    async def post(name: str, **message: Any) -> int:
        return int((await client.call("POST", "/api/v1/messages", people[name].token, message))["id"])

    group = {"members": [person.id for person in people.values()], "title": "Harbour project"}
    conversation = (await client.call("POST", "/api/v1/conversations", people["ana"].token, group))["id"]
    for name, body in TALK:
        last = await post(name, conversation=conversation, body=body)
    await post("chiara", conversation=conversation, body=ANSWER, reply_to=last)
    await post("ben", conversation=conversation, body="Good catch!", priority="important")
    await post("ana", to=people["ben"].id, body="Sure, call me at three.")
    await post("eve", to=people["ana"].id, body="Do you have a minute today?")
    await post("chiara", to=people["ana"].id, body="It is about the budget for next quarter.")
    return int(conversation)


async def draw(browser: Browser, server: Bellwire, people: dict[str, Person], conversation: int, name: str) -> None:
    """Draw one picture. Ben and Eve are online, and Ben is typing."""
    pages: list[Page] = []
    for person, options in (("ben", {}), ("eve", {}), ("ana", PICTURES[name])):
        page = await signed_in(browser, server, people[person], **options)
        await page.goto(f"{server.base}/#/conversations/{conversation}")
        await page.wait_for_selector(".message")
        pages.append(page)
    await pages[0].locator("bw-composer textarea").press_sequentially("I will")
    await pages[-1].locator("bw-chat .typing", has_text="typing").wait_for()
    await pages[-1].screenshot(path=FOLDER / f"{name}.png")
    for page in pages:
        await page.context.close()


async def main() -> None:
    """Draw all pictures."""
    with bellwire() as server:
        client = Client(server.port)
        people = await create_people(client, server.admin_token)
        conversation = await create_conversations(client, people)
        async with chromium() as browser:
            for name in PICTURES:
                await draw(browser, server, people, conversation, name)
                print(f"docs/{name}.png")
        client.close()


if __name__ == "__main__":
    asyncio.run(main())

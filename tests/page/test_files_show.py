"""Pictures and documents in the messages of a page. Their bytes come from here: downloads have tests of their own."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, Route, expect

from models.blobs.blob import STORED, Blob
from models.files.file import File
from tests.gateway.client import Client
from tests.page.entering import PHONE, entered
from tests.waiting import until

pytestmark = pytest.mark.only("sqlite")  # the database does not matter here

Open = Callable[..., Page]
TOUCH = {**PHONE, "is_mobile": True}
LOADED = "[...document.querySelectorAll('.tile img')].every((image) => image.complete && image.naturalWidth)"
COUNT_SHIFTS = """window.shifts = 0;
    new PerformanceObserver((list) => (shifts += list.getEntries().length)).observe({ type: "layout-shift" })"""
COLOURS = ("teal", "orange", "purple", "olive", "navy", "crimson", "gray", "green", "brown", "pink")


def picture(width: int, height: int, colour: str = "teal") -> bytes:
    """Return a PNG of one colour."""
    file = BytesIO()
    Image.new("RGB", (width, height), colour).save(file, "PNG")
    return file.getvalue()


def stored(owner: Client, name: str, type_: str = "image/png", size: int = 120_000, **columns: Any) -> int:
    """Insert a file that was uploaded, and return its id. Without a `width` a picture is pending."""
    is_picture = type_.startswith("image/")
    state = "ready" if "width" in columns or not is_picture else "pending"
    blob = {"bytes": size, "sha256": "0" * 64, "state": STORED, "owner": None, "since_ms": 0}
    row = {"name": name, "type": type_, "bytes": size, "state": state, "private": False, "position": 0, "attempts": 0}
    with owner.gateway.store():
        content, small = (Blob.insert(key=secrets.token_hex(16), **blob).execute() for _ in range(2))
        thumbnail = small if state == "ready" and is_picture else None
        keys = {"owner": owner.id, "content": content, "thumbnail": thumbnail, "created_ms": 1}
        return int(File.insert(**{**row, **keys, **columns}).execute())


def pictures(owner: Client, count: int) -> list[int]:
    """Several pictures that are ready."""
    return [stored(owner, f"picture {n + 1}.png", width=400 + 40 * n, height=300) for n in range(count)]


def become_ready(owner: Client, message: dict[str, Any], **columns: Any) -> None:
    """Do what the pictures' consumer does with the files of a message."""
    with owner.gateway.store():
        blob = {"bytes": 9, "sha256": "0" * 64, "state": STORED, "owner": None, "since_ms": 0}
        for file in message["files"]:
            thumbnail = Blob.insert(key=secrets.token_hex(16), **blob).execute()
            File.update(**{"state": "ready", "thumbnail": thumbnail, **columns}).where(File.id == file["id"]).execute()
    assert owner.patch(f"/messages/{message['id']}", {"body": message["body"] + "!"}).status_code == 200


def serve(page: Page) -> list[str]:
    """Answer downloads: each file is a picture of one colour. Returns the paths that are asked for."""
    asked: list[str] = []

    def answer(route: Route) -> None:
        path = route.request.url.partition("/api/v1/files/")[2]
        asked.append(path)
        number = int(path.split("/")[0])
        route.fulfill(body=picture(400 + number % 5 * 60, 300, COLOURS[number % 10]), content_type="image/png")

    page.context.route("**/api/v1/files/*", answer)
    page.context.route("**/api/v1/files/*/thumbnail", answer)
    return asked


def opened(open_page: Open, user: Client, conversation: int, **options: Any) -> Page:
    """Open a conversation whose files are answered."""
    page = entered(open_page, user, **options)
    serve(page)
    page.evaluate(f"location.hash = '#/conversations/{conversation}'")
    page.wait_for_selector(".message")
    return page


def box(part: Locator) -> dict[str, float]:
    """The place and size of an element."""
    found = part.bounding_box()
    assert found is not None
    return {name: round(value, 1) for name, value in found.items()}


def test_nothing_moves_when_a_picture_becomes_ready(people: list[Client], open_page: Open) -> None:
    ana, ben, _ = people
    crew = ana.group(ben)
    for count in (1, 2, 3, 5):
        ids = [stored(ana, f"shot {n}.png") for n in range(count)]
        ana.send(f"look {count}", at=crew, files=ids)
    last = ana.send("and this", at=crew)
    page = opened(open_page, ben, crew)
    expect(page.locator(".waiting")).to_have_count(11)
    before = [box(tile) for tile in page.locator(".tile").all()] + [box(page.locator(f"[data-message='{last['id']}']"))]
    page.evaluate(COUNT_SHIFTS)
    for message in ben.get(f"/conversations/{crew}/messages").json()["items"][1:]:
        become_ready(ana, message, width=100, height=900)
    expect(page.locator(".tile img")).to_have_count(11)
    until(lambda: page.evaluate(LOADED))
    after = [box(tile) for tile in page.locator(".tile").all()] + [box(page.locator(f"[data-message='{last['id']}']"))]
    assert [b | {"x": 0} for b in after] == [b | {"x": 0} for b in before]
    assert not page.evaluate("shifts")

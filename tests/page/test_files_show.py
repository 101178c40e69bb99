"""Pictures and documents in the messages of a page. Their bytes come from here: downloads have tests of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from models.community import post as posts
from models.files.file import READY, File
from models.log import event
from tests.gateway.client import Client
from tests.models.stored_files import store_blob, store_file
from tests.page.entering import PHONE, entered
from tests.page.pictures import picture, silence
from tests.waiting import until

pytestmark = pytest.mark.only("sqlite")  # the database does not matter here

Open = Callable[..., Page]
TOUCH = {**PHONE, "is_mobile": True}
LOADED = "[...document.querySelectorAll('.tile img')].every((image) => image.complete && image.naturalWidth)"
AT_END = """(() => {
    const { scrollHeight, scrollTop, clientHeight } = document.querySelector(".scroll.messages");
    return scrollHeight > clientHeight && scrollHeight - scrollTop - clientHeight < 2;
})()"""
COUNT_SHIFTS = """window.shifts = 0;
    new PerformanceObserver((list) => (shifts += list.getEntries().length)).observe({ type: "layout-shift" })"""
COLOURS = ("teal", "orange", "purple", "olive", "navy", "crimson", "gray", "green", "brown", "pink")


def stored(owner: Client, name: str, type_: str = "image/png", size: int = 120_000, **columns: Any) -> int:
    """Store a file that was uploaded, and return its id. Without a `width` a picture is pending."""
    is_ready = type_.startswith("image/") and "width" in columns
    columns = ({"state": READY} if is_ready else {}) | columns
    with owner.gateway.store():
        return store_file(None, owner.id, bytes(size), b"small" if is_ready else None, name=name, type_=type_, **columns)


def pictures(owner: Client, count: int) -> list[int]:
    """Several pictures that are ready."""
    return [stored(owner, f"picture {n + 1}.png", width=400 + 40 * n, height=300) for n in range(count)]


def become_ready(owner: Client, message: dict[str, Any], **columns: Any) -> None:
    """Do what the pictures' consumer does with the files of a message."""
    with owner.gateway.store():
        for file in message["files"]:
            thumbnail = store_blob(None, b"small")
            File.update(**{"state": READY, "thumbnail": thumbnail, **columns}).where(File.id == file["id"]).execute()
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


def test_at_the_end_files_that_are_drawn_late_are_in_view(people: list[Client], open_page: Open) -> None:
    ana, ben, _ = people
    crew = ana.group(ben)
    for _ in range(2):
        ana.send("\n".join("lines above"), at=crew)
    ana.send("look", at=crew, files=pictures(ana, 3))
    page = opened(open_page, ana, crew, **TOUCH)
    page.evaluate("document.querySelector('textarea').focus()")
    expect(page.locator(".tile")).to_have_count(3)
    until(lambda: page.evaluate(AT_END))
    ana.send("and", at=crew, files=[stored(ana, f"{n}.pdf", "application/pdf") for n in range(4)])
    expect(page.locator("a.file")).to_have_count(4)
    until(lambda: page.evaluate(AT_END))


def test_the_viewer_goes_through_the_pictures_of_a_conversation_by_keys(
    people: list[Client], open_page: Open, violations: Callable[[Page], list[str]]
) -> None:
    ana, ben, _ = people
    crew = ana.group(ben)
    ana.send("", at=crew, files=[stored(ana, "first.png", width=4000, height=3000), stored(ana, "plan.pdf", "application/pdf")])
    ben.send("two", at=crew, files=[stored(ben, f"ben {n}.png", width=500, height=900) for n in range(2)])
    page = opened(open_page, ana, crew)
    tile = page.get_by_role("button", name=f"Picture ben 0.png from {ben.name.capitalize()}")
    tile.focus()
    page.keyboard.press("Enter")
    viewer, position = page.locator(".viewer"), page.locator(".viewer .position")
    shown = viewer.locator(".stage img")
    expect(position).to_contain_text("2 of 3")
    expect(viewer.get_by_role("heading")).to_have_text("ben 0.png")
    until(lambda: (shown.get_attribute("src") or "").endswith(str(ben_file(ben, crew, 0))))
    assert violations(page) == []
    for key, at in (
        ("ArrowRight", "3 of 3"),
        ("ArrowRight", "3 of 3"),
        ("Home", "1 of 3"),
        ("ArrowLeft", "1 of 3"),
        ("End", "3 of 3"),
    ):
        page.keyboard.press(key)
        expect(position).to_contain_text(at)
    expect(viewer.locator("[aria-label='Next picture']")).to_be_disabled()
    page.keyboard.press("+")
    expect(shown).to_have_css("scale", "1.5")
    page.keyboard.press("0")
    expect(shown).to_have_css("scale", "1")
    shown.dblclick()
    expect(shown).to_have_css("scale", "2.5")
    page.mouse.wheel(0, 2000)
    expect(shown).not_to_have_css("scale", "2.5")
    with page.expect_download() as download:
        viewer.get_by_role("link", name="Save the picture").click()
    assert download.value.suggested_filename == "ben 1.png"
    page.keyboard.press("Escape")
    expect(viewer).to_have_count(0)
    expect(tile).to_be_focused()


def ben_file(reader: Client, conversation: int, number: int) -> int:
    """Return the id of a file of the newest message."""
    newest = reader.get(f"/conversations/{conversation}/messages").json()["items"][0]
    return int(newest["files"][number]["id"])


def test_a_finger_swipes_to_the_next_picture_and_the_order_follows_the_language(
    people: list[Client], open_page: Open, violations: Callable[[Page], list[str]]
) -> None:
    ana, ben, _ = people
    crew = ana.group(ben)
    ana.send("", at=crew, files=pictures(ana, 3))
    page = opened(open_page, ben, crew, locale="ar", **TOUCH)
    page.locator(".tile button").first.tap()
    expect(page.locator(".viewer .position")).to_contain_text("1 من")
    swipe(page, 100, 300)
    expect(page.locator(".viewer .position")).to_contain_text("2 من")
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".viewer .position")).to_contain_text("3 من")
    swipe(page, 300, 100)
    expect(page.locator(".viewer .position")).to_contain_text("2 من")
    assert violations(page) == []
    fingers(page, [180, 210], [120, 270], [60, 330])
    expect(page.locator(".viewer .stage")).to_have_class("stage zoomed")
    swipe(page, 100, 300)  # moves the picture
    expect(page.locator(".viewer .position")).to_contain_text("2 من")
    assert page.locator(".viewer .stage img").evaluate("(image) => parseFloat(image.style.translate)") > 0


def swipe(page: Page, start: int, end: int) -> None:
    """Move a finger over the middle of the window."""
    fingers(page, [start], [(start + end) // 2], [end])


def fingers(page: Page, *places: list[int]) -> None:
    """Put fingers on the middle of the window, at these distances from its side, move them, and lift them."""
    session = page.context.new_cdp_session(page)
    for n, place in enumerate(places):
        points = [{"x": x, "y": 400, "id": number} for number, x in enumerate(place)]
        session.send("Input.dispatchTouchEvent", {"type": "touchMove" if n else "touchStart", "touchPoints": points})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_documents_have_their_names_and_sizes(people: list[Client], open_page: Open) -> None:
    ana, ben, _ = people
    crew = ana.group(ben)
    long = "Minutes of the meeting that nobody wanted to be in but everybody had to.docx"
    files = [
        stored(ana, "plan.pdf", "application/pdf", 2_345_678),
        stored(ana, long, "application/zip", 45_000),
        stored(ana, "torn.jpg", state="failed"),
        stored(ana, "<b>x</b>.html", "text/html", 900),
    ]
    sent = ana.send("", at=crew, files=files)
    page = opened(open_page, ben, crew)
    links = page.locator(".documents a")
    expect(links).to_have_text(["PDFplan.pdf2.3 MB", f"DOCX{long}45 kB", "JPGtorn.jpg120 kB · No preview", "HTML<b>x</b>.html1 kB"])
    plan = page.get_by_role("link", name="Open plan.pdf, 2.3 MB")
    assert (plan.get_attribute("target"), plan.get_attribute("rel")) == ("_blank", "noopener")
    assert plan.get_attribute("href") == f"/api/v1/files/{files[0]}"
    expect(page.get_by_role("link", name=f"Save {long}, 45 kB")).to_have_attribute("download", long)
    name = page.locator(".name", has_text="Minutes")
    assert box(name)["width"] <= box(page.locator(".documents"))["width"]
    expect(name.locator("span").last).to_have_text("to.docx")
    expect(page.locator(".conversations .preview")).to_have_text(f"{ana.name.capitalize()}: 📎 4 files")

    ben.send("this one?", at=crew, reply_to=sent["id"])
    expect(page.locator(".quote")).to_have_text(f"{ana.name.capitalize()} 📎 4 files")
    ana.send("", at=crew, files=[stored(ana, "last.txt", "text/plain")])
    expect(page.locator(".conversations .preview")).to_have_text(f"{ana.name.capitalize()}: 📎 last.txt")
    expect(page.locator("#announcer p").last).to_have_text(f"{ana.name.capitalize()}: 📎 last.txt")
    ana.delete(f"/messages/{sent['id']}")
    expect(page.locator(".text.deleted")).to_have_count(1)
    expect(page.locator(".documents a")).to_have_count(1)


def test_a_picture_that_does_not_load_is_asked_for_again_and_then_a_link(people: list[Client], open_page: Open) -> None:
    ana, ben, _ = people
    crew = ana.group(ben)
    ana.send("", at=crew, files=pictures(ana, 2))
    page = entered(open_page, ben)
    asked: list[str] = []

    def refuse(route: Route) -> None:
        path = route.request.url.partition("/files/")[2]
        is_again = path in asked
        asked.append(path)
        if is_again and path.startswith(asked[0]):
            route.fulfill(body=picture(400, 300), content_type="image/png")
        else:
            route.fulfill(status=503)

    page.route("**/api/v1/files/*/thumbnail", refuse)
    page.clock.install()
    page.evaluate(f"location.hash = '#/conversations/{crew}'")
    expect(page.locator(".tile img")).to_have_count(2)
    before = [box(tile) for tile in page.locator(".tile").all()]
    until(lambda: (page.clock.fast_forward(30_000), page.locator(".tile a").count())[1])
    expect(page.get_by_role("link", name="Save picture 2.png, 120 kB")).to_contain_text("It could not be loaded")
    until(lambda: page.evaluate(LOADED))
    assert [box(tile) for tile in page.locator(".tile").all()] == before


def test_sound_goes_on_while_its_message_changes(people: list[Client], open_page: Open) -> None:
    ana, ben, _ = people
    crew = ana.group(ben)
    files = [
        stored(ana, "memo.wav", "audio/wav"),
        stored(ana, "pier.png", width=400, height=300),
        stored(ana, "odd.xyz", "video/x-odd"),
    ]
    sent = ana.send("listen", at=crew, files=files)
    page = opened(open_page, ben, crew)
    page.route(f"**/api/v1/files/{files[0]}", lambda route: route.fulfill(body=silence(60), content_type="audio/wav"))
    page.reload()
    player = page.get_by_label(f"Sound memo.wav from {ana.name.capitalize()}")
    until(lambda: player.evaluate("(audio) => audio.duration > 59"))
    player.evaluate("(audio) => { audio.muted = true; audio.kept = true; return audio.play(); }")
    ben.put(f"/messages/{sent['id']}/reactions/👍")
    expect(page.locator(".reaction")).to_have_text("👍 1")
    ana.patch(f"/messages/{sent['id']}", {"body": "do listen"})
    expect(page.locator(".message .text")).to_have_text("do listen")
    assert player.evaluate("(audio) => audio.kept && !audio.paused")
    expect(page.locator("video")).to_have_count(0)  # this browser can't play it: its link stays
    expect(page.get_by_role("link", name="Save odd.xyz, 120 kB")).to_be_visible()


def test_posts_show_their_files(people: list[Client], open_page: Open) -> None:
    ana, ben, _ = people
    files = [stored(ana, "fair.png"), stored(ana, "programme.pdf", "application/pdf")]
    post = ana.post("/posts", {"body": "", "files": files}).json()
    page = entered(open_page, ben)
    serve(page)
    page.evaluate("location.hash = '#/posts'")
    shown = page.locator(".post", has_text="programme.pdf")
    expect(shown.locator(".waiting")).to_contain_text("fair.png")
    with ana.gateway.store():
        thumbnail = store_blob(None, b"small")
        File.update(state=READY, thumbnail=thumbnail, width=900, height=900).where(File.id == files[0]).execute()
        with event.transaction() as tx:
            posts.append_count_updates(tx, [post["id"]])
    shown.get_by_role("button", name=f"Picture fair.png from {ana.name.capitalize()}").click()
    expect(page.locator(".viewer .position")).to_contain_text("1 of 1")

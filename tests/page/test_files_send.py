"""Sending files from the page: chosen, dropped and pasted; cancelled, retried, and kept until they are sent."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import FilePayload, Locator, Page, Route, expect

from tests.gateway.client import Client
from tests.gateway.running import Gateway
from tests.page.entering import PHONE, entered, leave_for
from tests.page.pictures import picture, silence
from tests.waiting import until

pytestmark = pytest.mark.only("sqlite")  # the database does not matter here

Open = Callable[..., Page]
Check = Callable[[Page], list[str]]
UPLOADS = "**/api/v1/files?*"
MIB = 1024 * 1024
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"

# Dispatches a paste, or a drag over the conversation, with files [name, type, text].
TRANSFER = """([selector, type, files, texts]) => {
    const transfer = new DataTransfer();
    for (const [name, type, text] of files) transfer.items.add(new File([text], name, { type, lastModified: 1790000000000 }));
    for (const [type, text] of Object.entries(texts)) transfer.setData(type, text);
    const init = { bubbles: true, cancelable: true, composed: true };
    const made = type === "paste"
        ? new ClipboardEvent(type, { ...init, clipboardData: transfer })
        : new DragEvent(type, { ...init, dataTransfer: transfer });
    document.querySelector(selector).dispatchEvent(made);
    return made.defaultPrevented;
}"""
WITHOUT_DATABASES = """
    Object.defineProperty(globalThis, "indexedDB", { get() { throw new Error("none here"); } });
    Object.defineProperty(navigator, "cookieEnabled", { value: false });  // there are no locks then, either
    navigator.locks.request = () => Promise.reject(new DOMException("denied", "SecurityError"));
"""
PRELOADED = """() => {
    const modules = [...document.querySelectorAll("link[rel=modulepreload]")].map(({ href }) => href);
    return modules.some((one) => one.endsWith("/upload.js")) && modules.every((one) => performance.getEntriesByName(one).length);
}"""
STORED = """async (user) => {
    const name = `bellwire:files:${user}`;
    if (!(await indexedDB.databases()).some((one) => one.name === name)) return null;
    const db = await new Promise((resolve) => (indexedDB.open(name).onsuccess = ({ target }) => resolve(target.result)));
    const keys = db.transaction("files").objectStore("files").getAllKeys();
    await new Promise((resolve) => (keys.onsuccess = resolve));
    db.close();
    return keys.result.length;
}"""


# Fills the store: how many files are kept, the error of one more, how many of 100 MB, and how many another page finds.
FILL = """async (user) => {
    const { FileStore } = await import("/static/shared/file-store.js");
    const store = new FileStore(user);
    const record = (key, bytes) => ({ key, bytes, blob: new Blob(["x"]) });
    const write = (...facts) => store.write(record(...facts)).then(String, ({ constructor }) => constructor.name);
    const results = [];
    for (let n = 0; n < 51; n++) results.push(await write(`k${n}`, 10));
    for (let n = 0; n < 50; n++) await store.remove(`k${n}`);
    const large = [await write("a", 100e6), await write("b", 100e6), await write("c", 1)];
    const other = new FileStore(user);
    const found = (await other.read("a")) ? 1 : 0;
    return [results.indexOf("FullError"), results[50], large.indexOf("FullError") === 2 ? 100 : 0, found];
}"""


def document(name: str, body: bytes = b"some text") -> FilePayload:
    """A file for the dialog."""
    return {"name": name, "mimeType": "text/plain", "buffer": body}


def picture_file(name: str) -> FilePayload:
    """A picture for the dialog."""
    return {"name": name, "mimeType": "image/png", "buffer": picture(60, 40)}


def choose(page: Page, *files: FilePayload) -> None:
    """Choose files in the dialog that the button opens."""
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Attach files").click()
    chooser.value.set_files(list(files))


def transfer(page: Page, kind: str, *files: tuple[str, str, str], selector: str = "bw-composer textarea", **texts: str) -> bool:
    """Paste or drag files; return whether the page handles that."""
    return bool(page.evaluate(TRANSFER, [selector, kind, files, {f"text/{name}": text for name, text in texts.items()}]))


def drag_over(page: Page, file: tuple[str, str, str]) -> None:
    """Drag a file over the conversation until the page shows where to drop it: again and again, as browsers do."""
    zone = page.get_by_text("Drop files here")
    until(lambda: transfer(page, "dragover", file, selector=".messages") and zone.is_visible())


def has_all_modules(page: Page) -> None:
    """Wait until the page has what it loads ahead, so that it needs no connection."""
    page.wait_for_function(PRELOADED)


def send(page: Page, text: str = "") -> None:
    """Send the files with a text."""
    field = page.get_by_label("Message", exact=True)
    field.fill(text)
    field.press("Enter")


def attached(page: Page) -> Locator:
    """The names of the files in the tray of the composer."""
    return page.locator("bw-composer .attachment-name")


def uploaded(page: Page) -> None:
    """Wait until all files of the tray are uploaded."""
    expect(page.locator("bw-composer progress:not([hidden])")).to_have_count(0)
    expect(page.locator("bw-composer .attachment.failed")).to_have_count(0)


def sent(who: Client, conversation: int) -> list[tuple[str, list[str]]]:
    """The texts of the messages on the server with the names of their files, oldest first."""
    items = who.get(f"/conversations/{conversation}/messages").json()["items"]
    return [(one["body"], [file["name"] for file in one["files"]]) for one in reversed(items)]


def crew_of(people: list[Client], open_page: Open, **options: Any) -> tuple[Page, Client, Client, int]:
    """A page of Ana in a conversation with Ben."""
    ana, ben, _ = people
    crew = ana.group(ben)
    return entered(open_page, ana, f"#/conversations/{crew}", **options), ana, ben, crew


@pytest.fixture(scope="module")
def gateway(make_gateway: Callable[..., Gateway]) -> Gateway:
    """A gateway with low limits of files."""
    return make_gateway(file_max_mb="1", files_per_day_mb="3")


def test_files_that_are_chosen_are_sent_with_a_text_or_without(people: list[Client], open_page: Open, violations: Check) -> None:
    page, _, ben, crew = crew_of(people, open_page)
    choose(page, document("plan.txt"), picture_file("dot.png"))
    expect(attached(page)).to_have_text(["plan.txt", "dot.png"])
    expect(page.locator("bw-composer .attachment canvas")).to_be_visible()
    uploaded(page)
    assert violations(page) == []
    choose(page, document("more.txt"))
    expect(attached(page)).to_have_count(3)
    page.get_by_role("button", name="Remove plan.txt").click()
    expect(attached(page)).to_have_text(["dot.png", "more.txt"])
    expect(page.get_by_role("button", name="Remove dot.png")).to_be_focused()
    send(page, "here they are")
    expect(attached(page)).to_have_count(0)
    choose(page, document("alone.txt"))
    send(page)
    until(lambda: sent(ben, crew) == [("here they are", ["dot.png", "more.txt"]), ("", ["alone.txt"])])
    expect(page.locator(".echo")).to_have_count(0)
    send(page)
    page.reload()
    expect(page.locator(".message:not(.echo)")).to_have_count(2)
    expect(attached(page)).to_have_count(0)


def test_files_are_pasted_and_dropped(people: list[Client], open_page: Open) -> None:
    page, _, ben, crew = crew_of(people, open_page)
    assert transfer(page, "paste", ("image.png", "image/png", "not one"))
    expect(attached(page)).to_have_text(re.compile(r"^Screenshot 2026-09-\d\d \d\d\.\d\d\.png$"))
    assert not transfer(page, "paste", ("image.png", "image/png", "a table"), plain="1 2", html="<table>")
    assert not transfer(page, "paste", plain="only text")
    drag_over(page, ("a.txt", "text/plain", "a"))
    expect(page.get_by_text("Drop files here")).to_be_hidden()  # they were dragged away
    drag_over(page, ("a.txt", "text/plain", "a"))
    assert transfer(page, "drop", ("a.txt", "text/plain", "a"), ("b.txt", "text/plain", "b"), selector=".messages")
    expect(page.get_by_text("Drop files here")).to_be_hidden()
    expect(attached(page)).to_have_count(3)
    expect(page.get_by_label("Message", exact=True)).to_be_focused()
    send(page, "three")
    until(lambda: [len(files) for _, files in sent(ben, crew)] == [3])


def test_what_cannot_be_sent_is_told_before_it_is_uploaded(people: list[Client], open_page: Open) -> None:
    page, _, _, _ = crew_of(people, open_page)
    uploads: list[str] = []
    page.on("request", lambda request: uploads.append(request.url) if "/api/v1/files?" in request.url else None)
    choose(page, document("empty.txt", b""), document("large.bin", bytes(MIB + 1)))
    expect(page.locator(".toast")).to_have_text(["“empty.txt” is empty.", "“large.bin” is too large: a file may have 1 MB."])
    assert uploads == []
    choose(page, *(document(f"{n}.txt") for n in range(11)))
    expect(page.locator(".toast").last).to_have_text("A message may have 10 files.")
    expect(attached(page)).to_have_text([f"{n}.txt" for n in range(10)])
    uploaded(page)
    assert len(uploads) == 10


def test_a_full_day_says_what_is_left_and_the_rest_is_sent(people: list[Client], open_page: Open) -> None:
    page, _, ben, crew = crew_of(people, open_page)
    choose(page, *(document(f"{n}.bin", bytes(MIB - 1000)) for n in range(3)))
    uploaded(page)
    choose(page, document("fourth.bin", bytes(MIB)))
    failed = page.locator("bw-composer .attachment.failed")
    expect(failed.get_by_role("alert")).to_have_text("You have uploaded as much as you may today: 3 kB are left.")
    send(page, "all four")
    expect(page.locator(".toast")).to_contain_text("could not be uploaded")
    expect(page.get_by_role("button", name="Remove fourth.bin")).to_be_focused()
    page.keyboard.press("Enter")
    send(page, "three")
    until(lambda: sent(ben, crew) == [("three", ["0.bin", "1.bin", "2.bin"])])


def test_what_is_written_while_a_file_is_stored_is_sent_too(people: list[Client], open_page: Open) -> None:
    page, _, ben, crew = crew_of(people, open_page)
    choose(page, document("slow.txt"))
    uploaded(page)
    page.evaluate("() => { document.querySelector('bw-tray').list[0].saved = new Promise((done) => (window.endStoring = done)) }")
    send(page, "one")
    page.keyboard.type(" and more")
    page.evaluate("endStoring()")
    until(lambda: sent(ben, crew) == [("one and more", ["slow.txt"])])


def test_a_message_waits_for_its_files_and_survives_a_reload(people: list[Client], open_page: Open) -> None:
    page, ana, ben, crew = crew_of(people, open_page)
    page.route(UPLOADS, lambda route: None)  # the network hangs
    choose(page, document("one.txt", b"1" * 5000), document("two.txt"))
    expect(page.get_by_role("progressbar", name="Uploading one.txt")).to_be_visible()
    send(page, "with two files")
    echo = page.locator(".echo")
    expect(echo).to_contain_text("with two files")
    expect(echo.locator(".attachment-name")).to_have_text(["one.txt", "two.txt"])
    assert sent(ben, crew) == []
    page.unroute(UPLOADS)
    page.reload()
    until(lambda: sent(ben, crew) == [("with two files", ["one.txt", "two.txt"])])
    expect(page.locator(".message:not(.echo)")).to_have_count(1)
    expect(echo).to_have_count(0)
    until(lambda: page.evaluate(STORED, ana.id) == 0)
    assert len(sent(ben, crew)) == 1

    page.route("**/api/v1/messages", lambda route: None)
    choose(page, document("three.txt"))
    uploaded(page)
    with page.expect_request("**/api/v1/messages"):
        send(page, "uploaded, not sent")
    uploads: list[str] = []
    page.on("request", lambda request: uploads.append(request.url) if "/api/v1/files?" in request.url else None)
    page.unroute("**/api/v1/messages")
    page.reload()
    expect(page.locator(".message:not(.echo)")).to_have_count(2)
    assert sent(ben, crew)[1:] == [("uploaded, not sent", ["three.txt"])]
    assert uploads == []


def test_a_cut_network_is_retried_and_a_lost_answer_sends_no_second_message(people: list[Client], open_page: Open) -> None:
    page, _, ben, crew = crew_of(people, open_page)
    cuts: list[str] = []

    def cut(route: Route) -> None:
        cuts.append(route.request.url)
        if len(cuts) < 3:
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route(UPLOADS, cut)
    choose(page, document("cut.txt"))
    uploaded(page)
    assert len(cuts) == 3

    def lose(route: Route) -> None:
        route.fetch()
        route.abort("connectionreset")

    page.route("**/api/v1/messages", lose, times=1)
    send(page, "once")
    expect(page.locator(".ticks")).to_have_count(1)
    assert sent(ben, crew) == [("once", ["cut.txt"])]


def test_what_is_written_offline_is_sent_with_its_files_when_the_network_is_back(people: list[Client], open_page: Open) -> None:
    page, _, ben, crew = crew_of(people, open_page)
    has_all_modules(page)
    page.context.set_offline(True)
    choose(page, document("offline.txt"))
    send(page, "from the tunnel")
    expect(page.locator(".echo .attachment-name")).to_have_text(["offline.txt"])
    page.context.set_offline(False)
    until(lambda: sent(ben, crew) == [("from the tunnel", ["offline.txt"])])
    expect(page.locator(".echo")).to_have_count(0)


def test_a_file_that_was_sent_already_is_uploaded_anew(people: list[Client], open_page: Open) -> None:
    page, ana, ben, crew = crew_of(people, open_page)
    with page.expect_response(UPLOADS) as answer:
        choose(page, document("twice.txt"))
    uploaded(page)
    first = answer.value.json()["id"]
    ana.post("/messages", {"conversation": crew, "files": [first]})
    send(page, "again")
    until(lambda: sent(ben, crew) == [("", ["twice.txt"]), ("again", ["twice.txt"])])


def test_a_draft_keeps_its_files_until_they_are_discarded_or_the_user_signs_out(people: list[Client], open_page: Open) -> None:
    page, ana, ben, crew = crew_of(people, open_page)
    choose(page, document("kept.txt"))
    uploaded(page)
    page.reload()
    expect(attached(page)).to_have_text(["kept.txt"])
    assert page.evaluate(STORED, ana.id) == 1
    page.route("**/api/v1/messages", lambda route: route.fulfill(status=500, json={"type": "/problems/internal"}))
    send(page, "refused")
    echo = page.locator(".echo.failed")
    expect(echo.locator(".attachment-name")).to_have_text(["kept.txt"])
    echo.get_by_role("button", name="Discard").click()
    expect(page.locator(".echo")).to_have_count(0)
    until(lambda: page.evaluate(STORED, ana.id) == 0)
    choose(page, document("left.txt"))
    uploaded(page)
    leave_for(page, "settings")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    until(lambda: page.evaluate(STORED, ana.id) is None)
    assert page.evaluate("Object.keys(localStorage).filter((key) => key.includes('files'))") == []
    assert sent(ben, crew) == []


def test_a_draft_stays_when_files_of_the_message_before_it_are_sent(people: list[Client], open_page: Open) -> None:
    page, ana, ben, crew = crew_of(people, open_page)
    choose(page, document("first.txt"))
    uploaded(page)
    leave_for(page, "settings")
    page.go_back()
    expect(attached(page)).to_have_text(["first.txt"])
    sends: list[Route] = []
    page.route("**/api/v1/messages", lambda route: sends.append(route))
    with page.expect_request("**/api/v1/messages"):
        send(page, "one")
    choose(page, document("second.txt"))
    uploaded(page)
    sends[0].continue_()
    expect(page.locator(".echo")).to_have_count(0)
    until(lambda: page.evaluate(STORED, ana.id) == 1)
    page.reload()
    expect(attached(page)).to_have_text(["second.txt"])
    assert sent(ben, crew) == [("one", ["first.txt"])]


def test_without_a_database_files_live_as_long_as_the_page(people: list[Client], open_page: Open) -> None:
    page, _, ben, crew = crew_of(people, open_page, init_script=WITHOUT_DATABASES)
    choose(page, document("private.txt"))
    expect(page.locator(".toast")).to_contain_text("can't keep files")
    send(page)
    until(lambda: sent(ben, crew) == [("", ["private.txt"])])


def test_what_is_kept_is_bounded_and_what_nothing_refers_to_is_removed(people: list[Client], open_page: Open) -> None:
    page, ana, _, _ = crew_of(people, open_page)
    assert page.evaluate(FILL, ana.id) == [50, "FullError", 100, 0]


def test_two_tabs_send_one_message(people: list[Client], open_page: Open) -> None:
    page, _, ben, crew = crew_of(people, open_page)
    page.context.route(UPLOADS, lambda route: None)
    choose(page, document("shared.txt"))
    send(page, "from two tabs")
    expect(page.locator(".echo")).to_have_count(1)
    second = page.context.new_page()
    uploads: list[str] = []
    second.on("request", lambda request: uploads.append(request.url) if "/api/v1/files?" in request.url else None)
    second.goto(page.url)
    expect(second.locator(".echo .attachment-name")).to_have_text(["shared.txt"])
    page.context.unroute(UPLOADS)
    page.close()
    expect(second.locator(".message:not(.echo)")).to_have_count(1)
    assert len(uploads) == 1
    assert sent(ben, crew) == [("from two tabs", ["shared.txt"])]


def test_a_phone_and_a_desktop_exchange_files_while_the_network_is_cut(people: list[Client], open_page: Open) -> None:
    phone, ana, ben, crew = crew_of(people, open_page, **PHONE, is_mobile=True)
    desktop = entered(open_page, ben, f"#/conversations/{crew}")
    has_all_modules(phone)
    phone.route(UPLOADS, lambda route: None, times=2)  # they are under way when the network is cut
    choose(phone, document("plan.pdf", PDF), document("memo.wav", silence(1)))
    expect(phone.get_by_role("progressbar")).to_have_count(2)
    phone.get_by_label("Message", exact=True).fill("for tomorrow")
    phone.get_by_role("button", name="Send").click()
    phone.context.set_offline(True)
    transfer(desktop, "paste", ("image.png", "image/png", "as it looks here"))
    send(desktop, "a screenshot")
    expect(phone.locator(".echo .attachment-name")).to_have_text(["plan.pdf", "memo.wav"])
    phone.context.set_offline(False)
    expect(phone.locator(".message:not(.echo)")).to_have_count(2)
    expect(phone.locator(".echo")).to_have_count(0)
    for page in (phone, desktop):
        expect(page.get_by_role("link", name="plan.pdf")).to_be_visible()
        expect(page.locator("audio")).to_have_count(1)
    ((screenshot, *_),) = (files for text, files in sent(ana, crew) if text == "a screenshot")
    assert screenshot.startswith("Screenshot 2026-09-")
    assert sorted(text for text, _ in sent(ana, crew)) == ["a screenshot", "for tomorrow"]


def test_a_phone_attaches_by_keyboard_and_finger(people: list[Client], open_page: Open, violations: Check) -> None:
    page, _, ben, crew = crew_of(people, open_page, **PHONE, is_mobile=True)
    choose(page, *(document(f"holiday-{n}.txt") for n in range(4)))
    uploaded(page)
    small = """(buttons) => buttons.filter((one) => Math.min(one.offsetWidth, one.offsetHeight) < 44).map((one) => one.title)"""
    assert page.locator("bw-composer button:visible").evaluate_all(small) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert violations(page) == []
    remove = page.get_by_role("button", name="Remove holiday-3.txt")
    remove.focus()
    page.keyboard.press("Enter")
    expect(attached(page)).to_have_count(3)
    send(page)
    page.get_by_role("button", name="Send").click()
    until(lambda: [len(files) for _, files in sent(ben, crew)] == [3])


def test_a_post_has_files(people: list[Client], open_page: Open, violations: Check) -> None:
    ana, ben, _ = people
    page = entered(open_page, ana, "#/posts")
    page.get_by_label("Write a post").focus()
    choose(page, document("agenda.txt"))
    tray = page.locator("bw-writer .attachment-name")
    expect(tray).to_have_text(["agenda.txt"])
    assert violations(page) == []
    page.reload()
    expect(tray).to_have_text(["agenda.txt"])
    page.get_by_role("button", name="Post").click()
    expect(tray).to_have_count(0)
    (post,) = (one for one in ben.get("/posts").json()["items"] if one["author"]["id"] == ana.id)
    assert [file["name"] for file in post["files"]] == ["agenda.txt"]

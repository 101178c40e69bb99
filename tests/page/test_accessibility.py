"""The views and dialogs listed here: axe in light and dark, the size of targets, text of twice the size, forced colours and motion.

`PAGE_PICTURES=folder` keeps a picture of each.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from models.accounts import setup
from models.log import event
from tests.gateway.client import Client
from tests.gateway.running import Gateway
from tests.page.entering import PHONE, entered, leave_for
from tests.page.pictures import make_ready, picture, silence, upload
from tests.waiting import until

pytestmark = pytest.mark.only("sqlite")  # the database does not matter here

Open = Callable[..., Page]
LAYOUT = (Path(__file__).parent / "layout.js").read_text().rstrip().rstrip(";")
PICTURES = os.environ.get("PAGE_PICTURES")
TOUCH = {**PHONE, "is_mobile": True}
SIZES: dict[str, dict[str, Any]] = {"390": {**TOUCH, "color_scheme": "dark"}, "1280": {"color_scheme": "light"}}
TARGET_PX = 44  # on a device with a touch screen
LARGE = "document.documentElement.style.fontSize = '200%'"
LARGE_STOPS = (
    "list",
    "chat",
    "files",
    "viewer",
    "tools",
    "mention",
    "level",
    "report",
    "admin-reports",
    "members",
    "shortcuts",
    "posts",
    "notifications",
    "preferences",
    "settings",
    "admin-users",
)
ADMIN_AREAS = ("users", "reports", "invitations", "organisation", "activity", "audit", "webhooks", "hooks", "jobs", "announce")
AUDIT = """async (rules) => {
    const options = { resultTypes: ["violations"], ...(rules && { runOnly: { type: "rule", values: rules } }) };
    const { violations } = await axe.run(document, options);
    return violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.target} ${node.failureSummary}`));
}"""


class Stop(NamedTuple):
    """A view or dialog: its address, what is done there (a selector is pressed, other words are keys), and what shows then."""

    name: str
    address: str
    steps: tuple[str, ...]
    shown: str


class Instance(NamedTuple):
    """People with messages, posts and notifications."""

    ana: Client
    ben: Client
    crew: int
    message: int
    post: int
    group: int
    dora: int
    album: int


@pytest.fixture(scope="module")
def instance(served: Gateway) -> Instance:
    """Ana, an admin, with something in each of her views."""
    ana, ben, cleo, dora = served.user("admin"), *served.users(3)
    crew = ana.group(ben, cleo, title="Harbour project")
    first = ben.send("Morning! The new drawings are at https://example.org/pier", at=crew)
    ana.send("Thank you. `depth = 4`\n> and quoted\n- one\n- two", at=crew, reply_to=first["id"])
    urgent = ben.send("The railing ends two metres short.", at=crew, priority="urgent")
    cleo.send("Noted", at=crew, priority="important")
    assert ana.put(f"/messages/{urgent['id']}/reactions/👍").status_code == 204
    for reporter in (ana, cleo):
        reason = {"reason": "It is not true, and it was said before."}
        assert reporter.post(f"/messages/{urgent['id']}/report", reason).status_code == 202
    gone = ana.send("gone", at=crew)
    ana.delete(f"/messages/{gone['id']}")
    cleo.send("Do you have a minute?", to=ana)
    ana.send("Yes", to=ben)
    group = ana.post("/groups", {"name": "Readers"}).json()["id"]
    post = ana.post("/posts", {"body": "Hello, harbour", "group": group}).json()["id"]
    comment = ben.post(f"/posts/{ana.post('/posts', {'body': 'For everybody'}).json()['id']}/comments", {"body": "Well"}).json()
    ana.post(f"/posts/{post}/comments", {"body": "A comment"})
    ana.post("/admin/invitations", {})
    hook = ana.post("/admin/webhooks", {"url": "https://shop.example/hook", "types": ["message.*"]}).json()
    ana.patch(f"/admin/webhooks/{hook['id']}", {"state": "paused"})
    ana.post(f"/admin/conversations/{crew}/hooks", {"label": "Continuous integration"})
    ana.put("/admin/notification-types/order.shipped", {"words": {"en": {"title": "Order {{ order }} left"}}})
    ana.post("/admin/notify", {"type": "order.shipped", "topic": "harbour", "values": {"order": 1017}})
    assert comment["id"]
    album = with_files(ana, ben)
    until(lambda: len(ana.get("/notifications").json()["items"]) >= 2)
    return Instance(ana, ben, crew, urgent["id"], post, group, dora.id, album)


def with_files(ana: Client, ben: Client) -> int:
    """A conversation with files of each kind, and a post with a picture."""
    names = [
        "a very long name of a report that says all that there is to say.pdf",
        "broken.png",
        "memo.wav",
        "pier.png",
        "quay.png",
    ]
    contents = [
        b"%PDF-1.7\n%%EOF",
        b"\x89PNG\r\n\x1a\nbroken",
        silence(5),
        picture(900, 600),
        picture(300, 900, "orange"),
    ]
    files = [upload(ben, name, content) for name, content in zip(names, contents, strict=True)]
    for file in files[3:]:
        make_ready(ben, file, picture(300, 200), 900, 600)
    album = ben.group(ana, title="Pictures")
    ben.send("", at=album, files=files)
    ben.send("The report again", at=album, reply_to=ben.send("one", at=album, files=[upload(ben, "notes.txt", b"notes")])["id"])
    with_picture = upload(ana, "fair.png", picture(600, 600, "purple"))
    make_ready(ana, with_picture, picture(300, 300, "purple"), 600, 600)
    assert ana.post("/posts", {"body": "", "files": [with_picture]}).status_code == 201
    return album


def stops(instance: Instance) -> list[Stop]:
    """Return all views and dialogs of somebody who is signed in."""
    chat, mine = f"conversations/{instance.crew}", f"[data-message='{instance.message}']"
    members = "[aria-label='Members and title']"
    more = (f"{mine} .bubble", f"{mine} .tools [aria-haspopup]")
    return [
        Stop("list", "", (), ".conversations li"),
        Stop("search", "", (".search input", "harbour"), ".found a"),
        Stop("new-conversation", "", ("[aria-label='New conversation']",), ".people .hit"),
        Stop("palette", "", ("Control+k", "e"), ".palette [role=option]"),
        Stop("shortcuts", "", ("?",), ".shortcuts"),
        Stop("chat", chat, (), ".message .reaction"),
        Stop("files", f"conversations/{instance.album}", (), ".tile img"),
        Stop("viewer", f"conversations/{instance.album}", (".tile button",), ".viewer img"),
        Stop("chat-new", f"people/{instance.dora}", (), "bw-composer textarea"),
        Stop("tools", chat, (f"{mine} .bubble",), f"{mine} .tools button"),
        Stop("emoji", chat, ("[aria-label='Emoji']",), ".emoji-picker button"),
        Stop("priority", chat, ("bw-composer [aria-haspopup]",), ".menu button"),
        Stop("level", chat, (".chat-head [aria-haspopup]",), ".menu button"),
        Stop("more", chat, more, ".menu button"),
        Stop("report", chat, (*more, ".menu button"), "dialog textarea"),
        Stop("block", chat, (*more, ".menu button:nth-of-type(2)"), "dialog .reasons"),
        Stop("members", chat, (members,), "dialog .people .hit"),
        Stop("person", chat, (members, "dialog .people .hit"), "dialog .row .avatar"),
        Stop("leave", chat, (members, "dialog .link.dangerous"), "dialog .primary.dangerous"),
        Stop("mention", chat, ("bw-composer textarea", "Control+a", "@"), ".mentions [role=option]"),
        Stop("posts", "posts", (), ".post"),
        Stop("post", f"posts/{instance.post}", (), "bw-comments li"),
        Stop("groups", "groups", (), ".rows li"),
        Stop("group", f"groups/{instance.group}", (), ".post"),
        Stop("new-group", "groups", ("[aria-label='New group']",), "dialog input"),
        Stop("notifications", "notifications", (), ".notice"),
        Stop("why", "notifications", (".notices .icon-button",), "dialog[open]"),
        Stop("preferences", "notifications/preferences", (), ".choices"),
        Stop("settings", "settings", (), "bw-sessions li"),
        *[
            Stop(f"admin-{area}", f"admin/{area}", (), "bw-admin :is(.listing tbody tr, .parts h3, form.panel)")
            for area in ADMIN_AREAS
        ],
        Stop("admin-new-user", "admin/users", ("text=Create an account",), "dialog input"),
        Stop("admin-new-hook", "admin/hooks", ("bw-admin .primary",), "dialog select"),
        Stop("admin-explain", f"admin/explain/{instance.message}/{instance.ana.id}", (), "bw-admin h3"),
        Stop("setup", "setup", (), ".view > *"),
        Stop("unknown", "conversations/999999", (), ".view .empty"),
    ]


def visit(page: Page, stop: Stop) -> None:
    """Go there, from anywhere."""
    page.evaluate("for (const dialog of document.querySelectorAll('dialog[open]')) dialog.close()")
    page.evaluate("for (const menu of document.querySelectorAll('[popover]')) menu.hidePopover()")
    search = page.locator(".search input")
    if search.is_visible():
        search.fill("")
    page.evaluate("document.activeElement.blur()")
    leave_for(page, stop.address)
    for step in stop.steps:
        if step[0] in ".[btd" and len(step) > 1:
            page.locator(step).first.click()
        elif len(step) == 1 or "+" in step:
            page.keyboard.press(step)
        else:
            page.keyboard.insert_text(step)
    page.wait_for_selector(stop.shown)


def audit(page: Page, *rules: str) -> list[str]:
    """Return what axe finds, of all rules or of some."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(Axe().axe_script)
    found: list[str] = page.evaluate(AUDIT, list(rules) or None)
    return found


def keep_picture(page: Page, name: str) -> None:
    """Save a picture, if they are collected."""
    if PICTURES:
        page.screenshot(path=f"{PICTURES}/{name}.png")


def check(page: Page, name: str, size: str) -> list[str]:
    """Return all that is wrong with what is shown."""
    keep_picture(page, f"{name}-{size}")
    found = audit(page) + page.evaluate(f"({LAYOUT})({{ least: {TARGET_PX if size == '390' else 0} }})")
    own, other = ("dark", "light") if size == "390" else ("light", "dark")
    page.emulate_media(color_scheme=other)
    found += audit(page, "color-contrast")
    page.emulate_media(color_scheme=own)
    return found


def report(wrong: dict[str, list[str]]) -> str:
    """Return what is wrong, a line for each fault."""
    return "\n".join(f"{name}: {fault}" for name, faults in wrong.items() for fault in faults)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("size", SIZES)
def test_every_view_and_dialog_can_be_used_by_everybody(instance: Instance, open_page: Open, size: str) -> None:
    page = entered(open_page, instance.ana, reduced_motion="reduce", **SIZES[size])
    wrong: dict[str, list[str]] = {}
    for stop in stops(instance):
        visit(page, stop)
        wrong[stop.name] = check(page, stop.name, size)
    assert page.evaluate("document.getAnimations().length") == 0, "nothing moves for those who want no motion"
    page.evaluate(LARGE)
    for stop in (one for one in stops(instance) if one.name in LARGE_STOPS):
        visit(page, stop)
        keep_picture(page, f"{stop.name}-{size}-large")
        wrong[f"{stop.name}, large"] = page.evaluate(f"({LAYOUT})({{ least: 0 }})")
    assert not report(wrong), report(wrong)


@pytest.mark.parametrize("size", SIZES)
def test_what_is_shown_to_those_who_are_not_signed_in_can_be_used_by_everybody(
    make_gateway: Callable[..., Gateway], open_page: Open, size: str
) -> None:
    empty = make_gateway()
    with empty.store(), event.transaction():
        setup.new_code()
    page = open_page(f"{empty.url}/#/setup", **SIZES[size])
    page.wait_for_selector("form")
    wrong = {"setup": check(page, "setup", size)}
    root = empty.user("admin")
    invitation = root.post("/admin/invitations", {}).json()["code"]
    page.goto(f"{empty.url}/#/invitation/{invitation}")
    page.wait_for_selector("form [name=username]")
    wrong["invitation"] = check(page, "invitation", size)
    page.goto(empty.url)
    page.reload()
    for way in ("Create an account", "I have an account", "Sign in with a code instead"):
        page.wait_for_selector("form")
        wrong[way] = check(page, way.replace(" ", "-").lower(), size)
        page.evaluate(LARGE)
        wrong[f"{way}, large"] = page.evaluate(f"({LAYOUT})({{ least: 0 }})")
        page.evaluate("document.documentElement.style.fontSize = ''")
        page.get_by_role("button", name=way).click()
    assert not report(wrong), report(wrong)


def test_forced_colours_leave_everything_visible(instance: Instance, open_page: Open) -> None:
    page = entered(open_page, instance.ana, forced_colors="active")
    for stop in (one for one in stops(instance) if one.name in ("chat", "files", "viewer", "emoji", "members", "posts")):
        visit(page, stop)
        keep_picture(page, f"{stop.name}-forced")
        assert audit(page, "color-contrast", "button-name", "link-name", "image-alt") == [], stop.name

"""The page in other languages than English."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from gateway.http.static_files import FOLDER
from jobs.rules.rules import RULES
from jobs.rules.watches import WATCHES
from models.accounts import status
from tests.gateway import community
from tests.gateway.client import Client
from tests.gateway.running import Gateway
from tests.page.entering import entered, leave_for
from tests.waiting import until

pytestmark = pytest.mark.only("sqlite")  # the database does not matter here

Open = Callable[..., Page]

# Addresses, and what is there when they are loaded.
VIEWS = {
    "conversations": ".welcome",
    "posts": "bw-post",
    "groups": "[data-group]",
    "notifications": ".notice",
    "notifications/preferences": ".choices",
    "settings": "bw-sessions li",
    "admin/users": "tbody tr",
    "admin/reports": "tbody tr",
    "admin/invitations": "tbody tr",
    "admin/organisation": "form",
    "admin/activity": "form",
    "admin/audit": "tbody tr",
    "admin/webhooks": "tbody tr",
    "admin/hooks": "tbody tr",
    "admin/jobs": ".parts h3",
    "admin/announce": "form",
    "admin/explain": "form",
}

# The visible texts, labels, titles and placeholders that are English ones, of which the language has others.
LEFT_IN_ENGLISH = r"""async (code) => {
  const words = async (language) => (await import(`/static/words/${language}.js`)).default;
  const [english, own] = [await words("en"), await words(code)];
  const textsOf = (all) => Object.values(all).flatMap((entry) => (typeof entry === "string" ? [entry] : Object.values(entry)));
  const ownTexts = new Set(textsOf(own));
  const hasLetters = (text) => /\p{L}/u.test(text.replace(/\{\w+\}/g, ""));
  const others = textsOf(english).filter((text) => !ownTexts.has(text) && hasLetters(text));
  const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const patterns = others.map((text) => new RegExp(`^${text.split(/\{\w+\}/).map(escaped).join(".+")}$`, "su"));
  const seen = new Set(document.title.split(" – "));
  for (const element of document.querySelectorAll("body *")) {
    if (!element.checkVisibility()) continue;
    for (const name of ["title", "placeholder", "aria-label"]) seen.add(element.getAttribute(name) ?? "");
    for (const node of element.childNodes) if (node.nodeType === Node.TEXT_NODE) seen.add(node.data.trim());
  }
  return [...seen].filter((text) => !ownTexts.has(text) && patterns.some((pattern) => pattern.test(text)));
}"""


@pytest.fixture(scope="module")
def root(served: Gateway) -> Client:
    """An admin with something in every view."""
    root, ben, cleo = served.user("admin"), *served.users(2)
    crew = root.group(ben, cleo)
    sent = ben.send("§1", at=crew)
    root.post(f"/messages/{sent['id']}/report", {"reason": "§8"})
    root.send("§2", at=crew)
    group = community.group(root, ben, name="§3")
    post = community.post(root, "§4")
    community.comment(ben, post["id"], "§5")
    community.post(ben, "§6", group)
    root.post("/admin/invitations", {"uses": 2})
    root.post("/admin/webhooks", {"url": "https://shop.example.org/hook"})
    root.post(f"/admin/conversations/{crew}/hooks", {"label": "§7"})
    until(lambda: root.get("/notifications").json()["items"])
    return root


def show(page: Page, address: str, content: str) -> None:
    """Go to an address, and wait for what is in its view, and not in the one before."""
    leave_for(page, address)
    expect(page.locator(f".view {content}").first).to_be_visible()


def test_nothing_is_left_in_english_in_german(root: Client, open_page: Open) -> None:
    page = open_page(root.gateway.url, locale="de-AT")
    left: dict[str, list[str]] = {}

    def check(place: str) -> None:
        left[place] = page.evaluate(LEFT_IN_ENGLISH, "de")

    for link in ("Konto anlegen", "Ich habe ein Konto", "Passwort vergessen?"):
        check(f"before {link}")
        page.get_by_role("button", name=link).click()
    check("a lost password")
    page = entered(open_page, root, locale="de-AT")
    expect(page.locator("html")).to_have_attribute("dir", "ltr")
    for address, content in VIEWS.items():
        show(page, address, content)
        check(address)
    page.get_by_role("link", name="Chats").click()
    page.locator(".conversations a").first.click()
    expect(page.locator(".message").first).to_be_visible()
    check("a chat")
    for open_key, name in (("Control+k", "palette"), ("?", "shortcuts")):
        page.locator(".messages").focus()
        page.keyboard.press(open_key)
        expect(page.get_by_role("dialog")).to_be_visible()
        check(name)
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
    for button in ("Emoji", "Priorität: Normal", "Mitglieder und Titel"):
        page.get_by_role("button", name=button).click()
        opened = page.locator("dialog[open], [popover]:popover-open")
        expect(opened).to_be_visible()
        check(button)
        page.keyboard.press("Escape")
        expect(opened).to_have_count(0)
    page.get_by_role("button", name="Neuer Chat").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    check("a new chat")
    assert not any(left.values()), {place: texts for place, texts in left.items() if texts}


def test_notifications_are_in_the_language_of_the_page(root: Client, open_page: Open) -> None:
    ben, cleo = root.gateway.users(2)
    post = community.post(root, "§7")
    for who in (ben, cleo):
        who.put(f"/posts/{post['id']}/like")
    until(lambda: any("and 1 other liked" in item["title"] for item in root.get("/notifications").json()["items"]))
    page = entered(open_page, root, "#/notifications", locale="de")
    titles = page.locator(".notice .title")
    expect(titles.first).to_contain_text("und 1 weiteren Person gefällt dein Beitrag")
    expect(titles.filter(has_text="hat deinen Beitrag kommentiert")).to_have_count(1)
    expect(page.locator(".notice .text", has_text="1 neue Nachricht")).to_have_count(1)
    cleo.post(f"/posts/{post['id']}/comments", {"body": "§8"})
    expect(titles.first).to_contain_text("hat deinen Beitrag kommentiert")


def test_the_words_of_all_notifications_are_those_that_the_page_recognizes() -> None:
    source = (FOLDER / "words/en.js").read_text()
    known = set(re.findall(r'"([^"]*)"', "".join(re.findall(r'^  "notice\..*?(?=^  "[a-z])', source, re.MULTILINE | re.DOTALL))))
    words = [text for words in (*(rule.words for rule in RULES), *WATCHES.values()) for text in words if text]
    words += [status.SUSPENDED, status.ACTIVE, status.CHANGED, status.NOT_YOU, f"{status.REASON}{{reason}}"]
    general = [
        re.sub(r"^1 ", "{n} ", text.replace("{others}", "{n} others")).replace("{title}", "{name} in {group}") for text in words
    ]
    assert [text for text in general if text not in known] == []


def test_arabic_runs_from_right_to_left(root: Client, open_page: Open) -> None:
    page = entered(open_page, root, "#/settings", locale="ar-EG")
    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    expect(page.locator("html")).to_have_attribute("lang", "ar")
    expect(page.locator("bw-sessions li").first).to_be_visible()
    rail, view = page.locator(".rail").bounding_box(), page.locator(".view").bounding_box()
    assert rail is not None
    assert view is not None
    assert rail["x"] > view["x"]
    assert page.evaluate(LEFT_IN_ENGLISH, "ar") == []

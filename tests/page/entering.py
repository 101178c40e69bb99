"""Pages of signed-in users, and actions on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Locator, Page

from gateway.http.tokens import COOKIE
from tests.gateway.client import Client

XSRF = "0123456789abcdef0123456789abcdef"
PHONE = {"viewport": {"width": 390, "height": 800}, "has_touch": True}
LEAVE = """(to) => {
    const view = (address) => address.replace(/^(#\\/conversations)?$/, "#/");
    if (view(location.hash) === view(to)) return;
    document.querySelector(".view > *")?.classList.add("old");
    location.hash = to;
}"""


def entered(open_page: Callable[..., Page], user: Client, address: str = "", **options: Any) -> Page:
    """Open the page of a user with a session cookie, at an address such as `#/posts`, and wait until it is loaded."""
    url = user.gateway.url
    cookies = [
        {
            "name": name,
            "value": value,
            "domain": "127.0.0.1",
            "path": "/",
            "expires": -1,
            "httpOnly": name == COOKIE,
            "secure": False,
        }
        | {"sameSite": "Strict"}
        for name, value in ((COOKIE, user.token), ("_xsrf", XSRF))
    ]
    remembered = [{"origin": url, "localStorage": [{"name": "bellwire:user", "value": str(user.id)}]}]
    page = open_page(f"{url}/{address}", storage_state={"cookies": cookies, "origins": remembered}, **options)
    page.wait_for_selector("bw-conversations li", state="attached")
    return page


def titled(page: Page, title: str) -> Locator:
    """Return the conversation with this title in the list."""
    return page.locator(".conversations a", has=page.locator(".title", has_text=title))


def write(page: Page, text: str) -> None:
    """Write a message in the open conversation, and send it."""
    page.get_by_label("Message", exact=True).fill(text)
    page.keyboard.press("Enter")


def lines(sender: Client, conversation: int, count: int, text: str = "line {n}") -> None:
    """Send many messages without the gateway."""
    with sender.gateway.store():
        from tests.models.people import send

        for n in range(count):
            send(sender.id, text.format(n=n), at=conversation)


def bodies(page: Page) -> list[str]:
    """Return the texts of the visible messages in their order, unsent ones included."""
    return page.locator(".message .text").all_inner_texts()


def act(page: Page, text: str, action: str) -> None:
    """Press a button of the message with this text."""
    message = page.locator(".message", has_text=text).last
    message.hover()
    message.get_by_role("button", name=action, exact=True).click()


def leave_for(page: Page, address: str) -> None:
    """Go to an address of the page, and return when the view of the one before is gone. The page waits for a module before."""
    page.evaluate(LEAVE, f"#/{address}")
    page.wait_for_selector(".view > .old", state="detached")
    page.wait_for_selector(".view > *", state="attached")

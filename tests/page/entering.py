"""Pages of people who are signed in, and what is looked for on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Locator, Page

from gateway.http.tokens import COOKIE
from tests.gateway.client import Client

XSRF = "0123456789abcdef0123456789abcdef"
PHONE = {"viewport": {"width": 390, "height": 800}, "has_touch": True}
TABLET = {"viewport": {"width": 820, "height": 1100}}


def entered(open_page: Callable[..., Page], who: Client, place: str = "", **options: Any) -> Page:
    """The page of somebody who is signed in by a cookie, at a place such as `#/posts`, when it is there."""
    url = who.gateway.url
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
        for name, value in ((COOKIE, who.token), ("_xsrf", XSRF))
    ]
    remembered = [{"origin": url, "localStorage": [{"name": "bellwire:user", "value": str(who.id)}]}]
    page = open_page(f"{url}/{place}", storage_state={"cookies": cookies, "origins": remembered}, **options)
    page.wait_for_selector("bw-conversations li", state="attached")
    return page


def titled(page: Page, title: str) -> Locator:
    """The conversation of a title, in the list."""
    return page.locator(".conversations a", has=page.locator(".title", has_text=title))


def write(page: Page, text: str) -> None:
    """Writes a message into the open conversation, and sends it."""
    page.get_by_label("Message", exact=True).fill(text)
    page.keyboard.press("Enter")


def bodies(page: Page) -> list[str]:
    """What the messages say that are shown, in their order, what is being sent included."""
    return page.locator(".message .text").all_inner_texts()


def act(page: Page, text: str, action: str) -> None:
    """Presses a button of the message that says `text`."""
    message = page.locator(".message", has_text=text).last
    message.hover()
    message.get_by_role("button", name=action, exact=True).click()

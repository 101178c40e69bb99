"""One walk through the page in Firefox."""

import pytest

from tests.gateway.newcomers import PASSWORD
from tests.gateway.running import Gateway
from tests.page.firefox import ENTER, firefox
from tests.stores import program
from tests.waiting import until

pytestmark = pytest.mark.only("sqlite")  # the database does not matter here


def test_firefox_signs_in_writes_reads_searches_and_administers(served: Gateway) -> None:
    root, ben = served.user("admin"), served.user()
    new = {"username": "fay", "email": "fay@example.org", "display_name": "Fay Fox", "password": PASSWORD, "role": "admin"}
    assert root.post("/admin/users", {"users": [new]}).status_code == 201
    name = ben.name.capitalize()
    with firefox(program("firefox-esr")) as page:
        page.goto(served.url)
        page.enter("input", "Username or e-mail", "fay")
        page.enter("input", "Password", PASSWORD + ENTER)
        page.press("button", "Write to somebody")
        page.enter("dialog input", "Add people", ben.name + ENTER)
        page.wait("dialog .tags li", text=name)
        page.press("dialog button.primary", "Start")
        page.enter("textarea", "Message", "hello from the fox" + ENTER)
        page.wait(".message:not(.echo) .text", text="hello from the fox")
        [conversation] = until(lambda: ben.get("/conversations").json()["items"])
        ben.send("hello, who is there?", at=conversation["id"])
        page.wait(".message .text", text="hello, who is there?")
        page.reload()
        page.wait(".message .text", text="hello, who is there?")
        page.wait_until("!document.querySelector('.conversations .badge')")
        until(lambda: ben.get("/search/messages", q="fox").json()["items"])
        page.enter("input[type=search]", "Search people and messages", "fox")
        page.press(".found a", text="hello from the fox")
        page.wait_until("document.activeElement.matches('.message')")
        page.press(".rail a", text="Admin")
        page.wait("bw-admin tbody tr", text=name)
        for area in ("Invitations", "Organisation", "Activity", "Audit", "Background work", "Announce", "Explain"):
            page.press("bw-admin nav a", area)
            page.wait("bw-admin nav a[aria-current]", area)
            page.wait("bw-admin :is(.listing, .parts h3, form.panel)")
        assert page.errors == []

"""Posts, comments and groups in the browsers of two users."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.gateway.running import Gateway
from tests.page.entering import PHONE, entered

pytestmark = pytest.mark.only("sqlite")  # the database does not matter here

Open = Callable[..., Page]
SCRIPT = "<img src=x onerror=alert(1)><script>alert(2)</script>"


def post(page: Page, text: str) -> Locator:
    """Return the post with this text."""
    return page.locator(".post", has=page.locator("> .text", has_text=text))


def write(place: Page | Locator, label: str, text: str, action: str) -> None:
    """Write a post or a comment, and submit it."""
    place.get_by_label(label).fill(text)
    place.get_by_role("button", name=action, exact=True).click()


def test_changes_of_a_post_are_seen_by_other_users(served: Gateway, open_page: Open) -> None:
    ana, ben = served.users(2)
    ben.post("/posts", {"body": "an older one"})
    here, there = (entered(open_page, who, "#/posts") for who in (ana, ben))
    post(there, "an older one").wait_for()
    write(here, "Write a post", f"{SCRIPT} see https://example.org/a.", "Post")
    expect(here.locator(".posts h2")).to_have_text([ana.name.capitalize(), ben.name.capitalize()])
    fresh = there.get_by_role("button", name="Show 1 new post")
    fresh.wait_for()
    assert there.locator(".post").count() == 1, "nothing moves until one asks"
    fresh.click()
    expect(post(there, "see")).to_be_focused()
    theirs, mine = post(there, "see"), post(here, "see")
    expect(theirs.locator("> .text")).to_have_text(f"{SCRIPT} see https://example.org/a.")
    expect(theirs.get_by_role("link", name="https://example.org/a", exact=True)).to_have_attribute("rel", "noopener noreferrer")

    theirs.get_by_role("button", name="Like, 0 likes").click()
    expect(theirs.get_by_role("button", name="Like, 1 like")).to_have_attribute("aria-pressed", "true")
    expect(mine.get_by_role("button", name="Like, 1 like")).to_have_attribute("aria-pressed", "false")

    mine.get_by_role("button", name="0 comments").click()
    theirs.get_by_role("button", name="0 comments").click()
    write(theirs, "Write a comment", f"{SCRIPT} indeed", "Comment")
    comments = mine.get_by_role("list", name="Comments").get_by_role("listitem")
    expect(comments.locator(".text")).to_have_text([f"{SCRIPT} indeed"])
    comments.get_by_role("button", name="Reply").click()
    write(mine, "Write a comment", "thank you", "Comment")
    expect(theirs.locator("li", has_text="thank you").locator(".quote")).to_contain_text("indeed")
    expect(theirs.get_by_role("button", name="2 comments")).to_be_visible()

    comments.filter(has=here.get_by_text("indeed")).first.get_by_role("button", name="Delete").click()
    here.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(theirs.locator("li .text")).to_have_text(["thank you"])
    expect(theirs.locator("li .quote")).to_have_text(["An earlier comment"])

    mine.get_by_role("button", name="Delete this post").click()
    here.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(there.locator(".post > .text")).to_have_text(["an older one"])
    expect(here.locator(".post > .text")).to_have_text(["an older one"])


def test_a_group_is_created_and_found_and_only_members_read_its_posts(served: Gateway, open_page: Open) -> None:
    ana, ben = served.users(2)
    here, there = entered(open_page, ana, "#/groups"), entered(open_page, ben, "#/groups")
    here.get_by_role("button", name="New group").click()
    here.get_by_label("Name").fill(f"Walkers {SCRIPT}")
    here.get_by_role("button", name="Create").click()
    expect(here.get_by_role("heading", name=f"Walkers {SCRIPT}")).to_be_visible()
    write(here, "Write a post", "on Sunday", "Post")
    expect(post(here, "on Sunday").get_by_role("link", name=f"Walkers {SCRIPT}")).to_be_visible()

    there.reload()
    there.get_by_label("Find a group").fill("walk")
    there.get_by_role("link", name="Walkers").click()
    expect(there.locator(".view")).to_contain_text("Join to read them")
    there.get_by_role("button", name="Join").click()
    expect(post(there, "on Sunday")).to_be_visible()
    expect(there.get_by_role("button", name="Leave")).to_be_focused()
    write(here, "Write a post", "or on Monday", "Post")
    there.get_by_role("button", name="Show 1 new post").click()
    post(there, "or on Monday").get_by_role("button", name="Bookmark").click()
    there.get_by_role("link", name="Bookmarked").click()
    expect(there.locator(".post > .text")).to_have_text(["or on Monday"])
    assert [one["body"] for one in ben.get("/posts", bookmarked="true").json()["items"]] == ["or on Monday"]


def test_a_refusal_is_shown_where_it_happened_and_no_input_is_lost(served: Gateway, open_page: Open) -> None:
    ana, ben = served.users(2)
    made = ana.post("/posts", {"body": "soon gone"}).json()["id"]
    page = entered(open_page, ben, f"#/posts/{made}")
    page.get_by_label("Write a comment").fill("half a thought")
    served.execute("UPDATE posts SET deleted_ms=1 WHERE id=?", made)  # without an event

    page.get_by_role("button", name="Like, 0 likes").click()
    expect(page.locator(".post > .problem")).to_be_visible()
    expect(page.get_by_role("button", name="Like, 0 likes")).to_have_attribute("aria-pressed", "false")
    page.get_by_role("button", name="Comment", exact=True).click()
    expect(page.locator("bw-writer .problem")).to_be_visible()
    expect(page.get_by_label("Write a comment")).to_have_value("half a thought")

    page.goto(f"{served.url}/#/posts")
    page.get_by_label("Write a post").fill("a draft")
    page.reload()
    expect(page.get_by_label("Write a post")).to_have_value("a draft")
    page.goto(f"{served.url}/#/posts/{made}")
    page.get_by_text("There is no such post").wait_for()


def test_older_posts_are_loaded_while_scrolling(served: Gateway, open_page: Open) -> None:
    ana = served.user()
    group = ana.post("/groups", {"name": "Many"}).json()["id"]
    for n in range(45):
        ana.post("/posts", {"body": f"post {n}", "group": group})
    page = entered(open_page, ana, f"#/groups/{group}", **PHONE)
    for older in (25, 5, 0):
        page.locator(".post").last.scroll_into_view_if_needed()
        expect(page.get_by_text(f"post {older}", exact=True)).to_be_attached()
    assert page.locator(".post > .text").all_inner_texts() == [f"post {n}" for n in reversed(range(45))]

import random

import pytest

from tests.gateway.client import Client, fields, problem
from tests.gateway.community import comment, group, join, leave, post, shown, user
from tests.gateway.running import Gateway


def test_a_post_is_answered_as_everybody_sees_it(ana: Client, ben: Client) -> None:
    made = post(ana, "hello")

    assert made == {
        "id": made["id"],
        "author": user(ana),
        "group": None,
        "body": "hello",
        "created_at": made["created_at"],
        "likes_count": 0,
        "comments_count": 0,
        "liked": False,
        "bookmarked": False,
    }
    assert ben.get(f"/posts/{made['id']}").json() == made
    assert shown(ben)[0] == made["id"]


@pytest.mark.parametrize("body", ["", "x" * 20_001, "a\0b", None, 5])
def test_a_body_that_cannot_be_is_named(ana: Client, body: object) -> None:
    on = post(ana)["id"]

    assert fields(ana.post("/posts", {"body": body})) == ["body"]
    assert fields(ana.post(f"/posts/{on}/comments", {"body": body})) == ["body"]


@pytest.mark.parametrize("body", ["x" * 20_000, "𝔘" * 20_000, "\ufdd0\ufdd00", "<b>'\"\\\n\u2028"])
def test_any_other_text_comes_back_as_it_was(ana: Client, ben: Client, body: str) -> None:
    made = post(ana, body)
    comment(ana, made["id"], body)

    assert ben.get(f"/posts/{made['id']}").json()["body"] == body
    assert ben.get(f"/posts/{made['id']}/comments").json()["items"][0]["body"] == body


def test_posts_and_comments_are_to_be_of_the_fields_that_are_known(ana: Client) -> None:
    assert fields(ana.post("/posts", {"body": "x", "title": "y"})) == ["title"]
    assert fields(ana.post("/posts", {})) == ["body"]
    assert fields(ana.post("/posts", {"body": "x", "group": 0})) == ["group"]
    assert fields(ana.post("/posts", {"body": "x", "group": 2**53})) == ["group"]
    assert fields(ana.get("/posts", group="x")) == ["group"]
    assert fields(ana.get("/posts", bookmarked="yes")) == ["bookmarked"]
    assert fields(ana.get("/posts", page="x")) == ["page"]


def test_a_groups_posts_are_for_its_members(ana: Client, ben: Client, cleo: Client) -> None:
    crew = group(ana, ben)
    made = post(ana, group=crew)
    said = comment(ben, made["id"])["id"]
    number = made["id"]

    assert made["group"] == crew
    assert ben.get(f"/posts/{number}").json() == {**made, "comments_count": 1}
    assert shown(ben)[0] == number
    assert shown(ben, group=crew) == [number]
    assert number not in shown(cleo)
    for answer in (
        cleo.post("/posts", {"body": "x", "group": crew}),
        cleo.get("/posts", group=crew),
        cleo.get(f"/posts/{number}"),
        cleo.delete(f"/posts/{number}"),
        cleo.put(f"/posts/{number}/like"),
        cleo.delete(f"/posts/{number}/like"),
        cleo.put(f"/posts/{number}/bookmark"),
        cleo.delete(f"/posts/{number}/bookmark"),
        cleo.get(f"/posts/{number}/comments"),
        cleo.post(f"/posts/{number}/comments", {"body": "x"}),
        cleo.delete(f"/comments/{said}"),
    ):
        problem(answer, 404, "not-found")


def test_who_has_left_a_group_sees_its_posts_no_more_not_even_those_bookmarked(ana: Client, ben: Client) -> None:
    crew = group(ana, ben)
    number = post(ben, group=crew)["id"]
    ben.put(f"/posts/{number}/bookmark")
    ben.put(f"/posts/{number}/like")

    leave(ben, crew)
    assert number not in shown(ben) + shown(ben, bookmarked="true")
    problem(ben.delete(f"/posts/{number}/like"), 404, "not-found")
    problem(ben.delete(f"/posts/{number}"), 404, "not-found")
    assert ana.get(f"/posts/{number}").json()["likes_count"] == 1

    join(ben, crew)
    assert shown(ben, bookmarked="true") == [number]
    assert ben.get(f"/posts/{number}").json()["liked"] is True


def test_posts_are_listed_newest_first_a_page_at_a_time(ana: Client, ben: Client, cleo: Client) -> None:
    one, two = group(ana, ben), group(ben, ana)
    made = [post(ana, group=place)["id"] for place in (one, None, two, one, None, two, one)]
    post(cleo, group=group(cleo))

    found: list[int] = []
    page: dict[str, str] = {}
    while len(found) < len(made):
        answer = ben.get("/posts", limit=3, **page).json()
        found += [item["id"] for item in answer["items"]]
        page = {"page": answer["next"]}
    assert found[: len(made)] == made[::-1]
    assert shown(ben, group=one) == [made[6], made[3], made[0]]
    assert ben.get("/posts", group=two, limit=2).json()["next"] is None


def test_bookmarks_are_ones_own(ana: Client, ben: Client) -> None:
    crew = group(ana, ben)
    first, second, third = (post(ana, group=place)["id"] for place in (None, crew, None))
    for number in (third, first, second, first):
        assert ben.put(f"/posts/{number}/bookmark").json() == {"bookmarked": True}

    assert shown(ben, bookmarked="true") == [third, second, first]
    assert shown(ben, bookmarked="true", group=crew) == [second]
    assert shown(ana, bookmarked="true") == []
    assert ben.get(f"/posts/{first}").json()["bookmarked"] is True
    assert ana.get(f"/posts/{first}").json()["bookmarked"] is False

    for _ in range(2):
        assert ben.delete(f"/posts/{first}/bookmark").json() == {"bookmarked": False}
    assert shown(ben, bookmarked="true") == [third, second]


def appended(gateway: Gateway, number: int) -> list[tuple[str, str]]:
    return gateway.rows("SELECT type, data FROM events WHERE stream=? ORDER BY id", f"post:{number}")


def test_doing_twice_changes_nothing_and_tells_nobody(gateway: Gateway, ana: Client, ben: Client) -> None:
    crew = group(ana, ben)
    number = post(ana, group=crew)["id"]
    liked, not_liked = {"liked": True, "likes_count": 1}, {"liked": False, "likes_count": 0}

    assert [ben.put(f"/posts/{number}/like").json() for _ in range(2)] == [liked, liked]
    assert [ben.delete(f"/posts/{number}/like").json() for _ in range(2)] == [not_liked, not_liked]
    for _ in range(2):
        ben.put(f"/posts/{number}/bookmark")
    for _ in range(2):
        ben.delete(f"/posts/{number}/bookmark")

    data = f'{{"post":{number},"user":{ben.id},"author":{ana.id},"group":{crew}}}'
    assert appended(gateway, number) == [("post.liked", data), ("post.unliked", data), ("post.bookmarked", data)]


def test_a_thousand_likes_at_once_are_counted_exactly(gateway: Gateway) -> None:
    """Likes, repeated likes and unlikes of a hundred people on five posts, all at once. PostgreSQL takes its time: forty there."""
    many = 100 if gateway.kind == "sqlite" else 40
    author, *crowd = gateway.users(1 + many)
    posts = [post(author)["id"] for _ in range(5)]
    calls = [(person, "PUT", number) for person in crowd for number in posts]
    calls += [(person, "PUT", number) for person in crowd[: many // 2] for number in posts]
    calls += [(person, "DELETE", number) for person in crowd[many // 2 :] for number in posts]
    random.Random(7).shuffle(calls)

    answers = [gateway.later(person.call, method, f"/posts/{number}/like") for person, method, number in calls]
    assert {answer.result().status_code for answer in answers} == {200}
    for number in posts:
        ((rows, people),) = gateway.rows("SELECT count(*), count(DISTINCT user_id) FROM likes WHERE post_id=?", number)
        told = [kind for kind, _ in appended(gateway, number)]
        assert author.get(f"/posts/{number}").json()["likes_count"] == rows == people
        assert rows == told.count("post.liked") - told.count("post.unliked")
        assert many // 2 <= rows <= many
        liked = {user for (user,) in gateway.rows("SELECT user_id FROM likes WHERE post_id=?", number)}
        assert {person.id for person in crowd[: many // 2]} <= liked


def test_its_author_or_an_admin_deletes_a_post(ana: Client, ben: Client, admin: Client) -> None:
    mine, theirs = post(ana)["id"], post(ana, group=group(ana))["id"]

    problem(ben.delete(f"/posts/{mine}"), 403, "forbidden")
    assert ana.delete(f"/posts/{mine}").status_code == 204
    assert admin.delete(f"/posts/{theirs}").status_code == 204
    for number in (mine, theirs):
        problem(ana.get(f"/posts/{number}"), 404, "not-found")
        problem(ana.delete(f"/posts/{number}"), 404, "not-found")
        problem(ana.put(f"/posts/{number}/like"), 404, "not-found")
        problem(admin.delete(f"/posts/{number}"), 404, "not-found")
        assert number not in shown(ana)


def test_a_deleted_posts_text_and_its_comments_texts_are_nowhere(gateway: Gateway, ana: Client, ben: Client) -> None:
    number = post(ana, "hush-hush one")["id"]
    comment(ben, number, "hush-hush two", reply_to=comment(ben, number, "hush-hush three")["id"])
    ben.put(f"/posts/{number}/bookmark")
    kept = post(ana, "to stay")["id"]
    comment(ben, kept, "as said")

    ana.delete(f"/posts/{number}")
    found = gateway.dump()
    assert "hush-hush" not in found
    assert "as said" in found
    assert shown(ben, bookmarked="true") == []
    problem(ben.get(f"/posts/{number}/comments"), 404, "not-found")

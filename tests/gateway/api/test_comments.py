import pytest

from tests.gateway.client import Client, fields, problem
from tests.gateway.community import comment, group, post, user
from tests.gateway.running import Gateway


def said(reader: Client, on: int) -> list[int]:
    return [one["id"] for one in reader.get(f"/posts/{on}/comments").json()["items"]]


def counted(reader: Client, on: int) -> int:
    return int(reader.get(f"/posts/{on}").json()["comments_count"])


def test_a_comment_is_answered_as_everybody_sees_it(ana: Client, ben: Client) -> None:
    on = post(ana)["id"]
    made = comment(ben, on, "indeed")

    assert made == {
        "id": made["id"],
        "post": on,
        "author": user(ben),
        "body": "indeed",
        "reply_to": None,
        "created_at": made["created_at"],
    }
    assert ana.get(f"/posts/{on}/comments").json() == {"items": [made], "next": None}
    assert counted(ana, on) == 1


def test_comments_are_listed_as_they_are_read_a_page_at_a_time(ana: Client, ben: Client) -> None:
    on = post(ana)["id"]
    made = [comment(person, on)["id"] for person in (ana, ben, ana, ben, ben)]

    first = ana.get(f"/posts/{on}/comments", limit=3).json()
    second = ana.get(f"/posts/{on}/comments", limit=3, page=first["next"]).json()
    assert [one["id"] for one in first["items"] + second["items"]] == made
    assert second["next"] is None


def test_an_answer_is_to_a_comment_of_the_same_post_that_stands(ana: Client, ben: Client) -> None:
    on, other = post(ana)["id"], post(ana)["id"]
    first = comment(ana, on)["id"]

    assert comment(ben, on, reply_to=first)["reply_to"] == first
    elsewhere = comment(ana, other)["id"]
    ana.delete(f"/comments/{first}")
    for reply_to in (first, elsewhere, 10**15, 0, -1, 2**63):
        assert fields(ben.post(f"/posts/{on}/comments", {"body": "x", "reply_to": reply_to})) == ["reply_to"]
    assert counted(ana, on) == 1


def test_its_author_the_posts_author_or_an_admin_deletes_a_comment(ana: Client, ben: Client, cleo: Client, admin: Client) -> None:
    on = post(ana, group=group(ana, ben, cleo))["id"]
    made = [comment(ben, on)["id"] for _ in range(4)]

    problem(cleo.delete(f"/comments/{made[0]}"), 403, "forbidden")
    for person, number in ((ben, made[0]), (ana, made[1]), (admin, made[2])):
        assert person.delete(f"/comments/{number}").status_code == 204
        problem(person.delete(f"/comments/{number}"), 404, "not-found")
    assert said(ana, on) == [made[3]]
    assert counted(ana, on) == 1


def test_a_deleted_comments_text_is_nowhere_and_the_answers_to_it_stay(gateway: Gateway, ana: Client, ben: Client) -> None:
    on = post(ana)["id"]
    first = comment(ben, on, "hush-hush")["id"]
    answer = comment(ana, on, "why?", reply_to=first)

    ben.delete(f"/comments/{first}")
    assert "hush-hush" not in gateway.dump()
    assert ana.get(f"/posts/{on}/comments").json()["items"] == [answer]


def test_comments_at_once_are_counted_exactly(gateway: Gateway, ana: Client, ben: Client) -> None:
    on = post(ana)["id"]
    made = [comment(ben, on)["id"] for _ in range(20)]
    calls = [gateway.later(person.delete, f"/comments/{number}") for number in made for person in (ana, ben)]
    calls += [gateway.later(ben.post, f"/posts/{on}/comments", {"body": "x"}) for _ in range(30)]

    assert sorted(call.result().status_code for call in calls) == [201] * 30 + [204] * 20 + [404] * 20
    assert counted(ana, on) == len(said(ana, on)) == 30


@pytest.mark.parametrize("number", [10**15, 1])
def test_what_is_not_there_is_404(ana: Client, ben: Client, number: int) -> None:
    on = post(ana)["id"] if number == 1 else number
    ana.delete(f"/posts/{on}")

    problem(ben.get(f"/posts/{on}/comments"), 404, "not-found")
    problem(ben.post(f"/posts/{on}/comments", {"body": "x"}), 404, "not-found")
    problem(ben.delete(f"/comments/{10**15}"), 404, "not-found")

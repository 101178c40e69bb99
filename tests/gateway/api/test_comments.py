import pytest

from tests.gateway.client import Client, fields, problem
from tests.gateway.community import comment, group, post, user
from tests.gateway.running import Gateway


def listed_comments(reader: Client, on: int) -> list[int]:
    return [item["id"] for item in reader.get(f"/posts/{on}/comments").json()["items"]]


def comments_count(reader: Client, on: int) -> int:
    return int(reader.get(f"/posts/{on}").json()["comments_count"])


def test_the_answer_to_a_new_comment_is_the_comment_that_all_users_see(ana: Client, ben: Client) -> None:
    on = post(ana)["id"]
    created = comment(ben, on, "indeed")

    assert created == {
        "id": created["id"],
        "post": on,
        "author": user(ben),
        "body": "indeed",
        "reply_to": None,
        "created_at": created["created_at"],
    }
    assert ana.get(f"/posts/{on}/comments").json() == {"items": [created], "next": None}
    assert comments_count(ana, on) == 1


def test_comments_are_listed_oldest_first_in_pages(ana: Client, ben: Client) -> None:
    on = post(ana)["id"]
    created = [comment(person, on)["id"] for person in (ana, ben, ana, ben, ben)]

    first = ana.get(f"/posts/{on}/comments", limit=3).json()
    second = ana.get(f"/posts/{on}/comments", limit=3, page=first["next"]).json()
    assert [item["id"] for item in first["items"] + second["items"]] == created
    assert second["next"] is None


def test_a_reply_is_to_an_existing_comment_of_the_same_post(ana: Client, ben: Client) -> None:
    on, other = post(ana)["id"], post(ana)["id"]
    first = comment(ana, on)["id"]

    assert comment(ben, on, reply_to=first)["reply_to"] == first
    in_other_post = comment(ana, other)["id"]
    ana.delete(f"/comments/{first}")
    for reply_to in (first, in_other_post, 10**15, 0, -1, 2**63):
        assert fields(ben.post(f"/posts/{on}/comments", {"body": "x", "reply_to": reply_to})) == ["reply_to"]
    assert comments_count(ana, on) == 1


def test_its_author_the_author_of_the_post_or_an_admin_deletes_a_comment(
    ana: Client, ben: Client, cleo: Client, admin: Client
) -> None:
    on = post(ana, group=group(ana, ben, cleo))["id"]
    created = [comment(ben, on)["id"] for _ in range(4)]

    problem(cleo.delete(f"/comments/{created[0]}"), 403, "forbidden")
    for person, number in ((ben, created[0]), (ana, created[1]), (admin, created[2])):
        assert person.delete(f"/comments/{number}").status_code == 204
        problem(person.delete(f"/comments/{number}"), 404, "not-found")
    assert listed_comments(ana, on) == [created[3]]
    assert comments_count(ana, on) == 1


def test_the_text_of_a_deleted_comment_is_in_no_table_and_replies_to_it_stay(gateway: Gateway, ana: Client, ben: Client) -> None:
    on = post(ana)["id"]
    first = comment(ben, on, "hush-hush")["id"]
    answer = comment(ana, on, "why?", reply_to=first)

    ben.delete(f"/comments/{first}")
    assert "hush-hush" not in gateway.dump()
    assert ana.get(f"/posts/{on}/comments").json()["items"] == [answer]


def test_comments_at_once_are_counted_exactly(gateway: Gateway, ana: Client, ben: Client) -> None:
    on = post(ana)["id"]
    created = [comment(ben, on)["id"] for _ in range(20)]
    calls = [gateway.later(person.delete, f"/comments/{number}") for number in created for person in (ana, ben)]
    calls += [gateway.later(ben.post, f"/posts/{on}/comments", {"body": "x"}) for _ in range(30)]

    assert sorted(call.result().status_code for call in calls) == [201] * 30 + [204] * 20 + [404] * 20
    assert comments_count(ana, on) == len(listed_comments(ana, on)) == 30


@pytest.mark.parametrize("number", [10**15, 1])
def test_a_post_or_comment_that_does_not_exist_is_404(ana: Client, ben: Client, number: int) -> None:
    on = post(ana)["id"] if number == 1 else number
    ana.delete(f"/posts/{on}")

    problem(ben.get(f"/posts/{on}/comments"), 404, "not-found")
    problem(ben.post(f"/posts/{on}/comments", {"body": "x"}), 404, "not-found")
    problem(ben.delete(f"/comments/{10**15}"), 404, "not-found")

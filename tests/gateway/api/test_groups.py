import pytest

from tests.gateway.client import Client, fields, problem
from tests.gateway.community import group, join, leave, user
from tests.gateway.running import Gateway


def seen(reader: Client, number: int) -> dict[str, object]:
    """GROUP as the reader sees it."""
    return next(dict(one) for one in reader.get("/groups").json()["items"] if one["id"] == number)


def test_a_groups_maker_is_its_owner_and_first_member(ana: Client, ben: Client) -> None:
    made = ana.post("/groups", {"name": " Hikers "})

    assert made.status_code == 201
    number = made.json()["id"]
    assert made.json() == {"id": number, "name": "Hikers", "owner": ana.id, "members_count": 1, "joined": True}
    assert seen(ana, number) == made.json()
    assert seen(ben, number) == {**made.json(), "joined": False}


@pytest.mark.parametrize("name", ["", "  ", "x" * 81, "two\nlines", "turn\u202earound", "a\0b", None, 5])
def test_a_name_that_cannot_be_is_named(ana: Client, name: object) -> None:
    assert fields(ana.post("/groups", {"name": name})) == ["name"]


def test_anyone_joins_and_leaves_and_doing_it_twice_is_harmless(ana: Client, ben: Client) -> None:
    number = group(ana)
    path, start = f"/groups/{number}/members/me", ben.now()

    for _ in range(2):
        assert ben.put(path).json() == {"joined": True, "members_count": 2}
    for _ in range(2):
        assert ben.delete(path).json() == {"joined": False, "members_count": 1}
    told = ben.events(start)
    assert [one["type"] for one in told] == ["group.joined", "group.left"]
    described = {"id": number, "name": "Hikers", "owner": ana.id}
    assert told[0]["data"] == {"group": {**described, "members_count": 2}, "user": user(ben)}
    assert told[1]["data"] == {"group": {**described, "members_count": 1}, "user": user(ben)}
    problem(ben.put(f"/groups/{10**15}/members/me"), 404, "not-found")
    problem(ben.delete(f"/groups/{10**15}/members/me"), 404, "not-found")


def test_the_maker_is_told_of_their_joining_and_nobody_else_is(ana: Client, ben: Client) -> None:
    start = ana.now()
    number = group(ana, ben)

    (told,) = ana.events(start)
    assert (told["type"], told["data"]["group"]["id"], told["data"]["user"]["id"]) == ("group.joined", number, ana.id)
    assert told["data"]["group"]["owner"] == ana.id


def test_when_the_owner_leaves_the_eldest_member_is_the_owner(ana: Client, ben: Client, cleo: Client) -> None:
    number = group(ana, ben, cleo)
    leave(ben, number)
    join(ben, number)

    leave(ana, number)
    assert seen(ana, number)["owner"] == cleo.id
    leave(ben, number)
    assert seen(ana, number)["owner"] == cleo.id


def test_who_joins_a_group_that_all_have_left_owns_it(ana: Client, ben: Client) -> None:
    number = group(ana)
    leave(ana, number)
    assert seen(ana, number)["members_count"] == 0

    join(ben, number)
    join(ana, number)
    assert seen(ana, number) == {"id": number, "name": "Hikers", "owner": ben.id, "members_count": 2, "joined": True}


def test_joining_and_leaving_at_once_is_counted_exactly(gateway: Gateway, ana: Client) -> None:
    number = group(ana)
    crowd = gateway.users(20)
    calls = [
        gateway.later(one.call, method, f"/groups/{number}/members/me") for one in crowd for method in ("PUT", "DELETE", "PUT")
    ]

    assert {call.result().status_code for call in calls} == {200}
    ((members, intervals),) = gateway.rows(
        "SELECT count(DISTINCT user_id), count(*) FROM group_members WHERE group_id=? AND to_event IS NULL", number
    )
    assert members == intervals == seen(ana, number)["members_count"]


def test_groups_are_listed_newest_first_a_page_at_a_time(ana: Client) -> None:
    made = [group(ana) for _ in range(3)]

    first = ana.get("/groups", limit=2).json()
    second = ana.get("/groups", limit=2, page=first["next"]).json()
    assert [one["id"] for one in first["items"] + second["items"]][:3] == made[::-1]


def test_a_page_that_the_version_before_named_by_its_id_is_read(ana: Client) -> None:
    made = [group(ana) for _ in range(2)]

    assert ana.get("/groups", page=str(made[1])).json()["items"][0]["id"] == made[0]

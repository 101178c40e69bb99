import pytest

from tests.gateway.client import Client, fields, problem
from tests.gateway.community import group, join, leave, user
from tests.gateway.running import Gateway


def listed_group(reader: Client, number: int) -> dict[str, object]:
    """Return a group's GROUP as a user sees it in the list."""
    return next(dict(item) for item in reader.get("/groups").json()["items"] if item["id"] == number)


def test_the_creator_of_a_group_is_its_owner_and_first_member(ana: Client, ben: Client) -> None:
    created = ana.post("/groups", {"name": " Hikers "})

    assert created.status_code == 201
    number = created.json()["id"]
    assert created.json() == {"id": number, "name": "Hikers", "owner": ana.id, "members_count": 1, "joined": True}
    assert listed_group(ana, number) == created.json()
    assert listed_group(ben, number) == {**created.json(), "joined": False}


@pytest.mark.parametrize("name", ["", "  ", "x" * 81, "two\nlines", "turn\u202earound", "a\0b", None, 5])
def test_an_invalid_name_is_named(ana: Client, name: object) -> None:
    assert fields(ana.post("/groups", {"name": name})) == ["name"]


def test_any_user_joins_and_leaves_and_repeating_it_changes_nothing(ana: Client, ben: Client) -> None:
    number = group(ana)
    path, start = f"/groups/{number}/members/me", ben.now()

    for _ in range(2):
        assert ben.put(path).json() == {"joined": True, "members_count": 2}
    for _ in range(2):
        assert ben.delete(path).json() == {"joined": False, "members_count": 1}
    events = ben.events(start)
    assert [event["type"] for event in events] == ["group.joined", "group.left"]
    described = {"id": number, "name": "Hikers", "owner": ana.id}
    assert events[0]["data"] == {"group": {**described, "members_count": 2}, "user": user(ben)}
    assert events[1]["data"] == {"group": {**described, "members_count": 1}, "user": user(ben)}
    problem(ben.put(f"/groups/{10**15}/members/me"), 404, "not-found")
    problem(ben.delete(f"/groups/{10**15}/members/me"), 404, "not-found")


def test_only_the_creator_gets_the_event_of_joining_the_new_group(ana: Client, ben: Client) -> None:
    start = ana.now()
    number = group(ana, ben)

    (event,) = ana.events(start)
    assert (event["type"], event["data"]["group"]["id"], event["data"]["user"]["id"]) == ("group.joined", number, ana.id)
    assert event["data"]["group"]["owner"] == ana.id


def test_when_the_owner_leaves_the_oldest_member_becomes_owner(ana: Client, ben: Client, cleo: Client) -> None:
    number = group(ana, ben, cleo)
    leave(ben, number)
    join(ben, number)

    leave(ana, number)
    assert listed_group(ana, number)["owner"] == cleo.id
    leave(ben, number)
    assert listed_group(ana, number)["owner"] == cleo.id


def test_the_first_to_join_an_empty_group_becomes_its_owner(ana: Client, ben: Client) -> None:
    number = group(ana)
    leave(ana, number)
    assert listed_group(ana, number)["members_count"] == 0

    join(ben, number)
    join(ana, number)
    assert listed_group(ana, number) == {"id": number, "name": "Hikers", "owner": ben.id, "members_count": 2, "joined": True}


def test_joining_and_leaving_at_once_is_counted_exactly(gateway: Gateway, ana: Client) -> None:
    number = group(ana)
    crowd = gateway.users(20)
    calls = [
        gateway.later(person.call, method, f"/groups/{number}/members/me")
        for person in crowd
        for method in ("PUT", "DELETE", "PUT")
    ]

    assert {call.result().status_code for call in calls} == {200}
    ((members, intervals),) = gateway.rows(
        "SELECT count(DISTINCT user_id), count(*) FROM group_members WHERE group_id=? AND to_event IS NULL", number
    )
    assert members == intervals == listed_group(ana, number)["members_count"]


def test_groups_are_listed_newest_first_a_page_at_a_time(ana: Client) -> None:
    created = [group(ana) for _ in range(3)]

    first = ana.get("/groups", limit=2).json()
    second = ana.get("/groups", limit=2, page=first["next"]).json()
    assert [item["id"] for item in first["items"] + second["items"]][:3] == created[::-1]


def test_a_page_cursor_of_the_earlier_version_is_accepted(ana: Client) -> None:
    created = [group(ana) for _ in range(2)]

    assert ana.get("/groups", page=str(created[1])).json()["items"][0]["id"] == created[0]

"""Blocks over HTTP: what the blocker is answered, and what the blocked person notices."""

from typing import Any

from tests.gateway.client import Client, fields, problem
from tests.gateway.running import Gateway
from tests.gateway.transports import Stream, stream
from tests.waiting import until


def test_blocks_are_listed_and_come_to_the_blockers_own_clients_only(ana: Client, ben: Client, cleo: Client) -> None:
    ana.group(ben, cleo)
    cursors = [person.now() for person in (ana, ben, cleo)]
    for other in (ben, cleo, ben):
        assert ana.put(f"/me/blocks/{other.id}").status_code == 204
    listed = ana.get("/me/blocks").json()["items"]
    assert [item["user"]["id"] for item in listed] == [cleo.id, ben.id]
    assert listed == [item for page in pages_of_one(ana) for item in page]
    assert ana.delete(f"/me/blocks/{cleo.id}").status_code == ana.delete(f"/me/blocks/{cleo.id}").status_code == 204
    assert [item["user"]["id"] for item in ana.get("/me/blocks").json()["items"]] == [ben.id]
    events = [(event["type"], event["data"]) for event in ana.events(cursors[0])]
    assert events == [
        ("block.added", {"user": ben.id}),
        ("block.added", {"user": cleo.id}),
        ("block.removed", {"user": cleo.id}),
    ]
    assert ben.events(cursors[1]) == cleo.events(cursors[2]) == ben.get("/me/blocks").json()["items"] == []


def pages_of_one(client: Client) -> list[list[object]]:
    """The pages of the caller's blocks, one on each."""
    pages, page = [], None
    while not pages or page is not None:
        answer = client.get("/me/blocks", limit=1, **({} if page is None else {"page": page})).json()
        pages.append(answer["items"])
        page = answer["next"]
    return pages


def test_what_cannot_be_blocked(ana: Client, gateway: Gateway) -> None:
    for call in (ana.put, ana.delete):
        assert fields(call(f"/me/blocks/{ana.id}")) == ["user"]
        problem(call("/me/blocks/999999"), 404, "not-found")
        problem(call("/me/blocks/ext:nobody"), 404, "not-found")
    problem(gateway.anonymous().get("/me/blocks"), 401, "unauthorized")


def test_a_blocked_person_is_refused_in_the_direct_conversation(ana: Client, ben: Client) -> None:
    sent = ben.send("hello", to=ana)
    ana.put(f"/me/blocks/{ben.id}")
    problem(ben.post("/messages", {"to": ana.id, "body": "hi"}), 403, "blocked")
    problem(ben.post("/messages", {"conversation": sent["conversation"], "body": "hi"}), 403, "blocked")
    problem(ben.post("/conversations", {"members": [ana.id]}), 403, "blocked")
    problem(ben.patch(f"/messages/{sent['id']}", {"body": "hi"}), 403, "blocked")
    problem(ben.put(f"/messages/{sent['id']}/reactions/👍"), 403, "blocked")
    cursor = ana.now()
    assert ben.post(f"/conversations/{sent['conversation']}/typing", {"typing": True}).status_code == 204
    assert ana.poll(cursor)["events"] == []
    assert ben.get(f"/conversations/{sent['conversation']}/messages").json()["items"][0]["id"] == sent["id"]
    ana.send("to somebody whom I block", to=ben)
    ana.delete(f"/me/blocks/{ben.id}")
    ben.send("again", to=ana)


def test_an_admin_can_be_blocked_and_keeps_their_powers(ana: Client, gateway: Gateway) -> None:
    root = gateway.user("admin")
    assert ana.put(f"/me/blocks/{root.id}").status_code == 204
    problem(root.post("/messages", {"to": ana.id, "body": "hi"}), 403, "blocked")
    note = ana.send("note", at=ana.group(root))
    assert root.delete(f"/messages/{note['id']}").status_code == 204
    assert root.get(f"/admin/users?q={ana.name}").status_code == 200


def test_a_blocked_person_sees_the_blocker_offline_from_then_on(ana: Client, ben: Client, cleo: Client) -> None:
    crew = ana.group(ben, cleo)
    poll = ana.polling(ana.now(), types="message.created")  # Ana is online

    def seen() -> list[tuple[bool, bool]]:
        """Whether Ben and Cleo see Ana, in the state and in the conversation."""
        views = [(person.get("/state").json(), person.conversation(crew)) for person in (ben, cleo)]
        return [(state["presence"][str(ana.id)], view["presence"][str(ana.id)]) for state, view in views]

    until(lambda: seen() == [(True, True)] * 2)
    with stream(ben, types="presence,typing") as bens, stream(cleo, types="presence,typing") as cleos:
        ana.put(f"/me/blocks/{ben.id}")
        assert next_presence(ana, bens, cleo, crew) is False, "as if she went"
        assert seen() == [(False, False), (True, True)]
        ana.delete(f"/me/blocks/{ben.id}")
        assert next_presence(ana, bens, cleo, crew)
        assert seen() == [(True, True)] * 2
        ana.post(f"/conversations/{crew}/typing", {"typing": True})
        assert [event["type"] for event in events_until_typing(cleos) if event["data"]["user"] == ana.id] == ["typing"]
    ben.send("that is all", at=crew)
    poll.result()


def test_blocking_a_stranger_shows_them_no_presence(ana: Client, ben: Client) -> None:
    poll = ana.polling(ana.now(), types="message.created")
    with stream(ben, types="presence,typing") as bens:
        ana.put(f"/me/blocks/{ben.id}")
        ana.delete(f"/me/blocks/{ben.id}")
        crew = ana.group(ben)
        ana.post(f"/conversations/{crew}/typing", {"typing": True})
        assert [event["type"] for event in events_until_typing(bens)] == ["typing"]
    ben.send("that is all", at=crew)
    poll.result()


def events_until_typing(opened: Stream) -> list[dict[str, Any]]:
    """The next events of a stream, up to one about typing."""
    received: list[dict[str, Any]] = []
    for event in opened.blocks():
        received += [] if event is None or event["type"] == "cursor" else [event]
        if received and received[-1]["type"] == "typing":
            break
    return received


def next_presence(user: Client, opened: Stream, other: Client, conversation: int) -> bool:
    """Whether a user is online by a stream's next event about it, which alone wakes no subscriber: somebody else's typing does."""
    while True:
        other.post(f"/conversations/{conversation}/typing", {"typing": True})
        for event in events_until_typing(opened):
            if event["type"] == "presence" and event["data"]["user"] == user.id:
                return bool(event["data"]["online"])

from tests.gateway.client import Client, problem


def test_changes_are_events_newest_first_and_for_members(ana: Client, ben: Client, cleo: Client) -> None:
    group = ana.group(ben)
    cursor = ben.now()
    ana.patch(f"/conversations/{group}", {"title": "Other"})
    ana.put(f"/conversations/{group}/members/{cleo.id}")
    ana.send("hello", at=group)
    cleo.delete(f"/conversations/{group}/members/{cleo.id}")
    events = [event for event in ben.events(cursor) if event["type"] != "message.created"]

    answer = ben.get(f"/conversations/{group}/changes").json()
    assert answer == {"items": events[::-1], "next": None}
    left, joined, renamed = answer["items"]
    assert (left["type"], left["data"]["user"]["id"], left["data"]["by"]["id"]) == ("member.left", cleo.id, cleo.id)
    assert (joined["type"], joined["data"]["user"]["id"], joined["data"]["by"]["id"]) == ("member.joined", cleo.id, ana.id)
    assert (renamed["data"]["title"], renamed["data"]["by"]["id"]) == ("Other", ana.id)
    assert left["at"] >= joined["at"] >= renamed["at"]
    first = ben.get(f"/conversations/{group}/changes", limit=2).json()
    second = ben.get(f"/conversations/{group}/changes", limit=2, page=first["next"]).json()
    assert (first["items"] + second["items"], second["next"]) == (answer["items"], None)
    problem(cleo.get(f"/conversations/{group}/changes"), 404, "not-found")

"""Messages and posts with files over HTTP: a send claims its sender's files, and a deletion removes them."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.gateway.client import Client, fields, problem
from tests.gateway.running import Gateway
from tests.models.stored_files import store_file

Uploading = Callable[..., int]
RULE = "must be 1 to 10 different ids of files that you have uploaded and not sent yet"


@pytest.fixture
def uploaded(gateway: Gateway) -> Uploading:
    """Files of a client, by their names."""

    def create(client: Client, name: str = "plan.pdf") -> int:
        with gateway.store():
            return store_file(None, client.id, name=name)

    return create


def names(answer: Any) -> list[str]:
    return [file["name"] for file in answer["files"]]


def refused(client: Client, path: str, body: dict[str, Any]) -> list[str]:
    """The fields that a refusal names."""
    return fields(client.post(path, body))


def test_a_message_has_its_files_in_the_order_of_the_send_wherever_it_is_read(
    ana: Client, ben: Client, uploaded: Uploading
) -> None:
    ids = [uploaded(ana, name) for name in ("1.pdf", "2.pdf", "3.pdf")][::-1]
    cursor = ben.now()
    sent = ana.post("/messages", {"to": ben.id, "files": ids}).json()

    assert (sent["body"], [file["id"] for file in sent["files"]], names(sent)) == ("", ids, ["3.pdf", "2.pdf", "1.pdf"])
    assert sent["files"][0] == {
        **{"id": ids[0], "name": "3.pdf", "type": "application/pdf", "bytes": 5, "width": None, "height": None},
        **{"thumbnail": False, "state": "ready", "created_at": sent["files"][0]["created_at"]},
    }
    assert ben.get(f"/messages/{sent['id']}").json() == sent
    assert ben.get(f"/conversations/{sent['conversation']}/messages").json()["items"] == [sent]
    assert ben.get(f"/conversations/{sent['conversation']}").json()["last_message"] == sent
    assert [event["data"] for event in ben.events(cursor) if event["type"] == "message.created"] == [sent]


def test_a_message_or_a_post_without_a_body_needs_a_file(ana: Client, ben: Client, uploaded: Uploading) -> None:
    assert refused(ana, "/messages", {"to": ben.id}) == ["body"]
    assert refused(ana, "/posts", {}) == ["body"]
    assert ana.post("/posts", {"files": [uploaded(ana)]}).status_code == 201
    assert ana.post("/messages", {"to": ben.id, "files": [uploaded(ana)]}).status_code == 201
    too_long = {"to": ben.id, "body": "x" * 20_001, "files": [uploaded(ana)]}
    assert refused(ana, "/messages", too_long) == ["body"]


def test_files_are_1_to_10_ids(ana: Client, ben: Client) -> None:
    calls = (("/messages", {"to": ben.id, "body": "hello"}), ("/posts", {"body": "hello"}))
    for wrong in ([], [0], [-1], [2**53], [2**70], [*range(1, 12)], [*range(1, 5_000)], [7, 7]):
        for path, body in calls:
            answer = ana.post(path, body | {"files": wrong})
            assert problem(answer, 422, "invalid")["errors"] == [{"field": "files", "message": RULE}]
    for no_list in ("5", 5, ["5"], [None], [5.5], {}, None):
        for path, body in calls:
            assert [name.partition(".")[0] for name in refused(ana, path, body | {"files": no_list})] == ["files"]


def test_only_own_files_that_are_there_and_were_not_sent_can_be_sent(ana: Client, ben: Client, uploaded: Uploading) -> None:
    in_message, in_post, of_ben, own = uploaded(ana), uploaded(ana), uploaded(ben), uploaded(ana)
    ana.post("/messages", {"to": ben.id, "files": [in_message]})
    ana.post("/posts", {"files": [in_post]})
    for wrong in ([in_message], [in_post], [of_ben], [own, own], [own, in_message], [own, own + 1_000_000]):
        assert refused(ana, "/messages", {"to": ben.id, "files": wrong}) == ["files"], wrong
        assert refused(ana, "/posts", {"files": wrong}) == ["files"], wrong
    assert names(ana.post("/messages", {"to": ben.id, "files": [own]}).json()) == ["plan.pdf"], "it was claimed by none of these"


def test_a_refused_send_claims_nothing(ana: Client, ben: Client, cleo: Client, uploaded: Uploading) -> None:
    own = uploaded(ana)
    closed = ben.send("hello", to=cleo)
    assert ana.post("/messages", {"conversation": closed["conversation"], "files": [own]}).status_code == 404
    assert refused(ana, "/messages", {"to": ben.id, "reply_to": closed["id"], "files": [own]}) == ["reply_to"]
    assert refused(ana, "/messages", {"to": ben.id, "priority": "high", "files": [own]}) == ["priority"]
    group = cleo.post("/groups", {"name": "readers"}).json()["id"]
    assert ana.post("/posts", {"group": group, "files": [own]}).status_code == 404
    ana.send("hello", to=cleo)
    assert cleo.put(f"/me/blocks/{ana.id}").status_code == 204
    assert ana.post("/messages", {"to": cleo.id, "files": [own]}).status_code == 403
    assert ana.post("/posts", {"files": [own]}).status_code == 201


def test_a_retry_is_answered_with_the_first_message_and_its_files(ana: Client, ben: Client, uploaded: Uploading) -> None:
    first, second = uploaded(ana), uploaded(ana)
    sent = ana.post("/messages", {"to": ben.id, "files": [first], "client_id": "once"})
    for files in ([first], [second], []):
        retried = ana.post("/messages", {"to": ben.id, "files": files, "client_id": "once"})
        assert (retried.status_code, retried.json()) == (200, sent.json())
    assert ana.post("/messages", {"to": ben.id, "files": [second]}).status_code == 201


def test_of_sends_at_the_same_time_one_gets_a_file(ana: Client, ben: Client, uploaded: Uploading, gateway: Gateway) -> None:
    own = uploaded(ana)
    answers = [gateway.later(ana.post, "/messages", {"to": ben.id, "files": [own]}) for _ in range(8)]
    assert sorted(answer.result().status_code for answer in answers) == [201] + [422] * 7


def test_the_older_client_reads_the_names_of_files_where_there_is_no_text(ana: Client, ben: Client, uploaded: Uploading) -> None:
    poll = "/communication/poll/events/"
    assert ben.gateway.anonymous().get(poll, token=ben.token).status_code == 200
    two = [uploaded(ana, "1.pdf"), uploaded(ana, "2.pdf")]
    ana.post("/messages", {"to": ben.id, "files": two})
    ana.post("/messages", {"to": ben.id, "body": "a third", "files": [uploaded(ana)]})
    polled = ben.gateway.anonymous().get(poll, token=ben.token).json()["events"]
    texts = [event["data"]["message"] for event in polled if event["type"] == "message.created"]
    assert texts == ["📎 1.pdf, 2.pdf", "a third"]


def test_the_text_of_a_message_with_files_may_be_edited_away(ana: Client, ben: Client, uploaded: Uploading) -> None:
    sent = ana.post("/messages", {"to": ben.id, "body": "the plan", "files": [uploaded(ana)]}).json()
    cursor = ben.now()
    edited = ana.patch(f"/messages/{sent['id']}", {"body": ""}).json()

    assert edited == sent | {"body": "", "edited_at": edited["edited_at"]}
    (updated,) = [event["data"] for event in ben.events(cursor) if event["type"] == "message.updated"]
    assert updated["files"] == sent["files"]
    assert fields(ana.patch(f"/messages/{sent['id']}", {"body": "x" * 20_001})) == ["body"]
    assert fields(ana.patch(f"/messages/{ana.send('words', to=ben)['id']}", {"body": ""})) == ["body"]


def test_a_deleted_message_has_no_files_and_no_event_names_them(
    ana: Client, ben: Client, uploaded: Uploading, gateway: Gateway
) -> None:
    cursor = ben.now()
    sent = ana.post("/messages", {"to": ben.id, "body": "x", "files": [uploaded(ana, "secret-name.pdf")]}).json()
    ana.patch(f"/messages/{sent['id']}", {"body": "the plan"})
    assert ana.delete(f"/messages/{sent['id']}").status_code == 204

    assert ana.get(f"/messages/{sent['id']}").json()["files"] == []
    of_it = [event for event in ben.events(cursor) if event["type"].startswith("message.")]
    assert [(event["type"], event["data"]["files"]) for event in of_it] == [
        *(("message.created", []), ("message.updated", []), ("message.deleted", [])),
    ]
    assert gateway.rows("SELECT data FROM events WHERE data LIKE '%secret-name%'") == []
    assert gateway.rows("SELECT id FROM files WHERE name=?", "secret-name.pdf") == []


def test_a_deleted_post_has_no_files_and_no_event_names_them(ana: Client, uploaded: Uploading, gateway: Gateway) -> None:
    created = ana.post("/posts", {"body": "look", "files": [uploaded(ana, "post-secret.pdf")]}).json()
    assert names(ana.get(f"/posts/{created['id']}").json()) == ["post-secret.pdf"]
    assert names(ana.get("/posts").json()["items"][0]) == ["post-secret.pdf"]
    assert ana.delete(f"/posts/{created['id']}").status_code == 204

    assert gateway.rows("SELECT data FROM events WHERE data LIKE '%post-secret%'") == []
    assert gateway.rows("SELECT id FROM files WHERE name=?", "post-secret.pdf") == []

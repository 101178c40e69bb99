"""The exports of other products as lines: the shapes are those of their documentation."""

import json
import shutil
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from commands.errors import CommandError
from commands.importing import json_lines, mattermost, slack, table
from models.history.lines import MAX_LINE_BYTES, Refused, parse


def lines(read: Callable[[Namespace], Iterator[Any]], file: Path, **options: Any) -> tuple[list[tuple[str, Any]], list[Refused]]:
    """Return the lines of a file by kind, all of which an import would accept, and the refused ones."""
    read_lines = list(read(Namespace(file=file, **{"column": [], "users": None, **options})))
    refused = [line for line in parse(read_lines) if isinstance(line, Refused)]
    places = {line.place for line in refused}
    objects = [json.loads(line.json) for line in read_lines if not isinstance(line, Refused) and line.place not in places]
    return [next(iter(line.items())) for line in objects], refused


def of(kind: str, found: list[tuple[str, Any]]) -> list[Any]:
    return [content for name, content in found if name == kind]


SLACK: dict[str, Any] = {
    "users.json": [
        {
            **{"id": "U1", "team_id": "T1", "name": "ana", "deleted": False, "real_name": "Ana Bell", "tz": "Europe/Berlin"},
            "profile": {"real_name": "Ana Bell", "display_name": "", "email": "ana@example.org"},
        },
        {"id": "U2", "name": "ben", "deleted": True, "profile": {"real_name": "Ben", "display_name": "Benny"}},
        {"id": "U3", "name": "cleo", "profile": {"display_name": "Cleo"}},
    ],
    "channels.json": [{"id": "C1", "name": "general", "created": 1354000000, "members": ["U1", "U2", "U8"]}],
    "groups.json": [{"id": "G1", "name": "secret", "created": 1354000001, "members": ["U1"]}],
    "dms.json": [
        {"id": "D1", "created": 1354000002, "members": ["U1", "U2"]},
        {"id": "D2", "created": 1354000003, "members": ["U1", "U1"]},
    ],
    "mpims.json": [{"id": "G2", "name": "mpdm-ana--ben--cleo-1", "members": ["U1", "U2", "U3"]}],
    "integration_logs.json": [{"service_id": "1"}],
    "general/2012-12-14.json": [
        {"type": "message", "subtype": "channel_join", "user": "U1", "text": "<@U1> has joined", "ts": "1355517500.000001"},
        {
            **{"type": "message", "user": "U1", "ts": "1355517523.000005"},
            "text": "Hi <@U2> &amp; <!here>, see <#C1|general>, <https://a.example/x?a=1&amp;b=2|here> "
            "or <mailto:a@b.example|a@b.example>",
            "edited": {"user": "U1", "ts": "1355517530.000000"},
            "reactions": [{"name": "wave", "users": ["U2"], "count": 1}],
        },
        {"type": "message", "user": "U1", "text": "", "ts": "1355517524.5"},
    ],
    "general/2012-12-15.json": [
        {"type": "message", "user": "U2", "text": "x &lt; y", "ts": "1355604000.000100", "thread_ts": "1355517523.000005"},
        {"type": "message", "user": "U2", "text": "lost", "ts": "1355604000.000200", "thread_ts": "1355517000.000000"},
        {
            **{
                "type": "message",
                "subtype": "bot_message",
                "bot_id": "B1",
                "username": "Deploys",
                "text": "",
                "ts": "1355604001.0",
            },
            "attachments": [{"fallback": "Deployed 1.2"}],
        },
        {
            **{"type": "message", "user": "U9", "text": "a file", "ts": "1355604002.0", "user_profile": {"real_name": "Guest"}},
            "files": [{"name": "plan.pdf", "url_private": "https://files.slack.com/plan.pdf"}],
        },
        {"type": "message", "subtype": "me_message", "user": "U1", "text": "waves", "ts": "1355604003.0"},
        {"type": "message", "user": "U1", "text": "no time"},
    ],
    "D1/2012-12-01.json": [{"type": "message", "user": "U1", "text": "between us", "ts": "1354320000.000000"}],
    "mpdm-ana--ben--cleo-1/2012-12-02.json": [{"type": "message", "user": "U3", "text": "z" * 20_001, "ts": "1354406400.0"}],
}


@pytest.fixture
def slack_export(tmp_path: Path) -> Path:
    for name, content in SLACK.items():
        path = tmp_path / "export" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    return tmp_path / "export"


def test_a_slack_export_has_its_people_channels_and_messages(slack_export: Path) -> None:
    found, refused = lines(slack.read, slack_export)
    ana, ben, cleo, deploys, guest, unknown = of("user", found)
    assert ana == {
        **{"external_id": "U1", "username": "ana", "display_name": "Ana Bell", "email": "ana@example.org"},
        "timezone": "Europe/Berlin",
    }
    assert (ben["display_name"], ben["status"], cleo["display_name"]) == ("Benny", "suspended", "Cleo")
    assert [deploys, guest, unknown] == [
        {"external_id": "B1", "display_name": "Deploys"},
        {"external_id": "U9", "display_name": "Guest"},
        {"external_id": "U8", "display_name": "U8"},
    ]
    assert [(c["key"], c["kind"], c.get("title"), len(c["members"])) for c in of("conversation", found)] == [
        ("D1", "direct", None, 2),
        ("G2", "group", None, 3),
        ("C1", "group", "general", 3),
        ("G1", "group", "secret", 1),
        ("D2", "group", "Notes", 1),
    ]
    first, reply, lost, deployed, file, waves = [m for m in of("message", found) if m["conversation"] == "C1"]
    assert first == {
        **{"key": "C1:1355517523.000005", "conversation": "C1", "sender": "ext:U1", "at": "2012-12-14T20:38:43.000Z"},
        "body": "Hi @ben & @here, see #general, here (https://a.example/x?a=1&b=2) or a@b.example",
        "edited_at": "2012-12-14T20:38:50.000Z",
    }
    assert (reply["body"], reply["reply_to"]) == ("x < y", first["key"])
    assert "reply_to" not in lost
    assert (deployed["sender"], deployed["body"]) == ("ext:B1", "Deployed 1.2")
    assert file["body"] == "a file\nplan.pdf https://files.slack.com/plan.pdf"
    assert waves["body"] == "_waves_"
    assert [len(m["body"]) for m in of("message", found) if m["conversation"] == "G2"] == [20_000, 1]
    assert refused == [("general/2012-12-15.json message 6", "message", "can't be read: KeyError('ts')")]


def test_a_slack_export_may_be_a_zip_and_something_else_is_refused(slack_export: Path, tmp_path: Path) -> None:
    for root, base in ((slack_export, "."), (tmp_path, "export")):
        file = shutil.make_archive(str(tmp_path / "archives" / f"from-{root.name}"), "zip", root, base)
        assert lines(slack.read, Path(file)) == lines(slack.read, slack_export)
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").write_text("{}")
    for wrong in ("empty", "text"):
        with pytest.raises(CommandError):
            lines(slack.read, tmp_path / wrong)


MATTERMOST: list[dict[str, Any]] = [
    {"type": "version", "version": 1},
    {"type": "team", "team": {"name": "crew", "display_name": "Crew", "type": "O"}},
    {"type": "channel", "channel": {"team": "crew", "name": "town-square", "display_name": "Town Square", "type": "O"}},
    {
        "type": "user",
        "user": {
            **{
                "username": "ana",
                "email": "ana@example.org",
                "nickname": "",
                "first_name": "Ana",
                "last_name": "Bell",
                "locale": "de",
            },
            "teams": [{"name": "crew", "roles": "team_user", "channels": [{"name": "town-square", "roles": "channel_user"}]}],
        },
    },
    {"type": "user", "user": {"username": "ben", "email": "ben@example.org", "nickname": "Benny", "delete_at": 1700000000000}},
    {
        "type": "post",
        "post": {
            **{"team": "crew", "channel": "town-square", "user": "ana", "message": "later", "create_at": 1700000005000},
            "replies": [{"user": "ben", "message": "yes", "create_at": 1700000006000, "edit_at": 1700000007000}],
            "attachments": [{"path": "data/plan.pdf"}],
        },
    },
    {
        "type": "post",
        "post": {"team": "crew", "channel": "town-square", "user": "ben", "message": "first", "create_at": 1700000001000},
    },
    {
        "type": "post",
        "post": {
            **{"team": "crew", "channel": "town-square", "user": "ben", "message": "ben joined", "create_at": 1700000000000},
            "type": "system_join_channel",
        },
    },
    {"type": "direct_channel", "direct_channel": {"members": ["ana", "ben"], "header": ""}},
    {"type": "direct_channel", "direct_channel": {"participants": [{"username": "ana"}]}},
    {
        "type": "direct_post",
        "direct_post": {"channel_members": ["ben", "ana"], "user": "ben", "message": "psst", "create_at": 1600000000000},
    },
    {"type": "emoji", "emoji": {"name": "bell", "image": "bell.png"}},
    {"type": "post", "post": {"message": "nowhere"}},
]


def test_a_mattermost_export_has_its_people_channels_and_posts_in_order(tmp_path: Path) -> None:
    file = tmp_path / "export.jsonl"
    file.write_text("\n".join(map(json.dumps, MATTERMOST)))
    found, refused = lines(mattermost.read, file)
    assert of("user", found) == [
        {"external_id": "ana", "username": "ana", "display_name": "Ana Bell", "email": "ana@example.org", "locale": "de"},
        {"external_id": "ben", "username": "ben", "display_name": "Benny", "email": "ben@example.org", "status": "suspended"},
    ]
    assert [(c["kind"], c.get("title"), c["members"]) for c in of("conversation", found)] == [
        ("direct", None, ["ext:ana", "ext:ben"]),
        ("group", "Town Square", ["ext:ana"]),
        ("group", "Notes", ["ext:ana"]),
    ]
    psst, first, later, yes = of("message", found)
    assert [m["body"] for m in (psst, first, later, yes)] == ["psst", "first", "later\ndata/plan.pdf", "yes"]
    assert (yes["reply_to"], yes["at"], yes["edited_at"]) == (
        later["key"],
        "2023-11-14T22:13:26.000Z",
        "2023-11-14T22:13:27.000Z",
    )
    assert [(line.place, line.field) for line in refused] == [("line 13", "")]
    (tmp_path / "zipped").mkdir()
    file.rename(tmp_path / "zipped" / "import.jsonl")
    archive = shutil.make_archive(str(tmp_path / "export"), "zip", tmp_path / "zipped")
    assert lines(mattermost.read, Path(archive)) == (found, refused)
    with pytest.raises(CommandError, match="first line"):
        lines(mattermost.read, Path(__file__))


TABLE = """\ufeffid,from_user_id,to_user_id,text,sent_at,is_read,parent_id
2,43,42,"two
lines",2024-05-01 10:00:02.5+02:00,f,1
1,42,43,one,2024-05-01 08:00:00,True,
3,42,43,three,yesterday,t,
4,42,,four,1714557600,t,
"""


def test_a_table_is_read_by_the_names_of_its_columns(tmp_path: Path) -> None:
    file = tmp_path / "messages.csv"
    file.write_text(TABLE)
    found, refused = lines(table.read, file)
    assert of("conversation", found) == [{"key": "42 43", "kind": "direct", "members": ["ext:43", "ext:42"]}]
    assert of("message", found) == [
        {"key": "1", "conversation": "42 43", "sender": "ext:42", "at": "2024-05-01T08:00:00.000Z", "body": "one"},
        {
            **{"key": "2", "conversation": "42 43", "sender": "ext:43", "at": "2024-05-01T08:00:02.500Z", "body": "two\nlines"},
            **{"read_by": ["ext:43"], "reply_to": "1"},
        },
        {"key": "4", "conversation": "42", "sender": "ext:42", "at": "2024-05-01T10:00:00.000Z", "body": "four"},
    ]
    assert [(line.place, line.field) for line in refused] == [
        ("row 3", "message.at"),
        ("conversation 42", "conversation.members"),
    ]


def test_a_table_of_rooms_has_the_columns_that_are_named_and_its_users(tmp_path: Path) -> None:
    rows = [
        {"model": "chat.line", "pk": 7, "fields": {"room": 1, "who": 42, "said": "hello", "created_at": "2024-05-01T10:00:00Z"}},
        {"model": "chat.line", "pk": 8, "fields": {"room": 1, "who": 43, "said": "hi", "created_at": "2024-05-01T10:00:01Z"}},
    ]
    file, users = tmp_path / "lines.jsonl", tmp_path / "users.csv"
    file.write_text("\n".join(map(json.dumps, rows)))
    users.write_text("id,username,first_name,last_name,email\n42,ana,Ana,Bell,ana@example.org\n43,ben,,,\n")
    found, refused = lines(table.read, file, column=["sender=who", "body=said"], users=users)
    assert refused == []
    assert of("user", found) == [
        {"external_id": "42", "username": "ana", "display_name": "Ana Bell", "email": "ana@example.org"},
        {"external_id": "43", "username": "ben"},
    ]
    assert of("conversation", found) == [{"key": "1", "kind": "group", "members": ["ext:42", "ext:43"]}]
    assert [(m["key"], m["sender"], m["body"]) for m in of("message", found)] == [("7", "ext:42", "hello"), ("8", "ext:43", "hi")]
    for option in ("sender=nobody", "color=who", "body"):
        with pytest.raises(CommandError, match=r"nobody|FIELD=COLUMN"):
            lines(table.read, file, column=[option])
    with pytest.raises(CommandError, match="no column for sender"):
        lines(table.read, file)


def test_a_line_that_is_too_long_is_refused_without_being_in_memory(tmp_path: Path) -> None:
    file = tmp_path / "long.jsonl"
    long = json.dumps({"user": {"external_id": "1", "metadata": {"x": "y" * 3 * MAX_LINE_BYTES}}})
    file.write_text("\n".join([long, "", json.dumps({"user": {"external_id": "2"}})]))
    found, refused = lines(json_lines.read, file)
    assert found == [("user", {"external_id": "2"})]
    assert [(line.place, line.reason) for line in refused] == [("line 1", f"must have at most {MAX_LINE_BYTES} bytes")]

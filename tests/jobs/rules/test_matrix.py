"""The precedence decides who is notified of a message: it is compared with tables that were written by hand."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import product

import msgspec
import pytest
import time_machine

from conf import Settings
from jobs.consumers.notify import NotifyConsumer
from jobs.consumers.unreachable import UnreachableConsumer
from jobs.consumers.unseen import notify_unseen
from jobs.drain.drain import drain, never
from jobs.insight import explain
from jobs.insight.origins import event_of_message
from jobs.mail import digests
from jobs.mail.recheck import current_mail
from jobs.rules.decisions import Decision, apply_rule
from jobs.rules.facts import Facts
from jobs.rules.payloads import MessagePayload
from jobs.rules.rules import MESSAGE
from models.chat import blocks, conversation, message, presence, read_marks
from models.log import event
from models.log.event import Event
from models.notices import notification, outbox
from models.notices.audience import Interval, Person
from models.notices.preference import Choice
from models.notices.quiet import Quiet
from models.notices.schedule import local_time
from models.store.database import execute, rows
from tests.jobs.people import group, people, send

ANA, BEN = 1, 2
NIGHT = datetime(2026, 11, 26, 23, 10, tzinfo=UTC)
AT_MS = int(NIGHT.timestamp() * 1000)
EVERY_NIGHT = Quiet(["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "22:00", "07:00")

# A dash is any value. Each combination has exactly one line.
OUTCOMES = """
deleted  left  read  blocked  level     mentioned  online | outcome
yes      -     -     -        -         -          -      | deleted since
no       yes   -     -        -         -          -      | not a member then
no       no    yes   -        -         -          -      | has read it
no       no    no    yes      -         -          -      | blocked the sender
no       no    no    no       none      -          -      | below their level
no       no    no    no       mentions  no         -      | below their level
no       no    no    no       mentions  yes        yes    | was looking
no       no    no    no       all       -          yes    | was looking
no       no    no    no       mentions  yes        no     | notified
no       no    no    no       all       -          no     | notified
"""
# Of a message at 23:10 to somebody who is notified; their quiet hours end at 07:00, and nothing is mailed then that was read.
CHANNELS = """
priority   quiet  email   | mail    push
normal     no     off     | never   23:10
normal     no     instant | 23:10   23:10
normal     no     hourly  | 00:00   23:10
normal     no     daily   | 09:00   23:10
normal     yes    off     | never   07:00
normal     yes    instant | 07:00   07:00
normal     yes    hourly  | 07:00   07:00
normal     yes    daily   | 09:00   07:00
important  no     off     | never   23:10
important  no     instant | 23:10   23:10
important  no     hourly  | 23:15   23:10
important  no     daily   | 23:15   23:10
important  yes    off     | never   07:00
important  yes    instant | 07:00   07:00
important  yes    hourly  | 07:00   07:00
important  yes    daily   | 07:00   07:00
urgent     no     off     | never   23:10
urgent     no     instant | 23:10   23:10
urgent     no     hourly  | 23:10   23:10
urgent     no     daily   | 23:10   23:10
urgent     yes    off     | never   23:10
urgent     yes    instant | 23:10   23:10
urgent     yes    hourly  | 23:10   23:10
urgent     yes    daily   | 23:10   23:10
"""
# Through the store, with the default of an hourly mail. `before`: at once after the message; `later`: half a minute after it. What
# is unread in the application (0 or 1) and how many mails went: at 23:10, at 23:16, and at 07:00.
HISTORIES = """
level     mentioned  blocked  quiet  priority   online  read    deleted  left   | 23:10  23:16  07:00
all       no         no       no     normal     no      no      no       no     | 1 0    1 0    1 1
all       no         no       yes    normal     no      no      no       no     | 1 0    1 0    1 1
all       yes        no       no     important  no      no      no       no     | 1 0    1 1    1 1
all       no         no       yes    important  no      no      no       no     | 1 0    1 0    1 1
all       no         no       yes    urgent     no      no      no       no     | 1 1    1 1    1 1
all       no         no       yes    important  no      later   no       no     | 1 0    0 0    0 0
all       no         no       no     normal     no      no      later    no     | 1 0    0 0    0 0
all       no         no       yes    urgent     no      no      no       later  | 1 1    0 1    0 1
all       no         no       yes    important  no      no      no       later  | 1 0    0 0    0 0
all       no         no       no     normal     yes     no      no       no     | 0 0    0 0    0 0
all       no         no       no     important  yes     no      no       no     | 0 0    1 1    1 1
all       yes        no       yes    important  yes     no      no       no     | 0 0    1 0    1 1
all       no         no       no     urgent     yes     no      no       no     | 0 0    1 1    1 1
mentions  yes        no       yes    urgent     yes     no      no       no     | 0 0    1 1    1 1
mentions  no         no       no     urgent     yes     no      no       no     | 0 0    0 0    0 0
none      yes        no       no     important  yes     no      no       no     | 0 0    0 0    0 0
all       no         no       no     urgent     yes     later   no       no     | 0 0    0 0    0 0
all       no         no       yes    urgent     yes     no      later    no     | 0 0    0 0    0 0
all       yes        no       no     important  yes     no      no       later  | 0 0    0 0    0 0
all       no         yes      no     urgent     no      no      no       no     | 0 0    0 0    0 0
all       yes        yes      yes    important  yes     no      no       no     | 0 0    0 0    0 0
all       no         later    no     urgent     yes     no      no       no     | 0 0    0 0    0 0
mentions  yes        no       no     normal     no      no      no       no     | 1 0    1 0    1 1
mentions  no         no       yes    urgent     no      no      no       no     | 0 0    0 0    0 0
none      yes        no       yes    urgent     no      no      no       no     | 0 0    0 0    0 0
all       yes        no       no     urgent     no      before  no       no     | 0 0    0 0    0 0
mentions  yes        no       yes    important  no      no      before   no     | 0 0    0 0    0 0
all       no         no       no     urgent     no      no      no       before | 0 0    0 0    0 0
mentions  yes        no       yes    urgent     no      later   no       no     | 1 1    0 1    0 1
"""


def table(text: str) -> list[tuple[dict[str, str], list[str]]]:
    """Each line of a table: the values before the bar by name, and those after it."""
    head, *lines = (line.split("|") for line in text.strip().splitlines())
    names = head[0].split()
    return [(dict(zip(names, before.split(), strict=True)), after.split()) for before, after in lines]


def decided(values: dict[str, str]) -> Decision:
    """The decision about Ben of a message by Ana."""
    yes = {name for name, value in values.items() if value == "yes"}
    priority, quiet = values.get("priority", "normal"), EVERY_NIGHT if "quiet" in yes else None
    mentions = [BEN] if "mentioned" in yes else []
    payload = MessagePayload(50, 1, ANA, priority, "2026-11-26T23:10:00Z" if "deleted" in yes else None, mentions)
    member = Interval(BEN, True, 10, 100 if "left" in yes else None, 50 if "read" in yes else 0, values.get("level"))
    facts = Facts(
        AT_MS,
        names={ANA: "Ana"},
        members={1: [member]},
        conversations={1: ("group", "Crew")},
        members_counts={1: 2},
        online={BEN} if "online" in yes else set(),
        people={BEN: Person("Ben", True, "UTC", quiet=quiet)},
        choices={(BEN, "message"): Choice(True, values.get("email", "hourly"), True)},
        blocks={(BEN, ANA): [(20, None)]} if "blocked" in yes else {},
        pushable={BEN},
    )
    sent = Event(100, "conversation:1", "message.created", AT_MS, b"")
    [decision] = apply_rule(MESSAGE, MESSAGE.content(payload, facts), sent, payload, facts)
    return decision


def test_each_combination_has_the_outcome_of_its_only_line() -> None:
    lines = table(OUTCOMES)
    choices = dict.fromkeys(lines[0][0], ("yes", "no")) | {"level": ("all", "mentions", "none")}
    for combination in product(*choices.values(), ("normal", "important", "urgent"), ("yes", "no")):
        values = dict(zip([*choices, "priority", "quiet"], combination, strict=True))
        matching = [after for before, after in lines if all(expected in ("-", values[name]) for name, expected in before.items())]
        assert len(matching) == 1, values
        assert decided(values).outcome == " ".join(matching[0]), values


@pytest.mark.parametrize("line", table(CHANNELS), ids=lambda line: " ".join(line[0].values()))
def test_each_priority_has_its_time(line: tuple[dict[str, str], list[str]]) -> None:
    decision = decided({"level": "all", **line[0]})
    mail_ms = decision.quiet_ms or decision.mail_ms
    mail = "never" if decision.mail_ms is None else local_time(mail_ms or AT_MS, "UTC")
    assert [mail, local_time(decision.push_ms or AT_MS, "UTC")] == line[1]


@pytest.fixture
def clock(one_clock: None) -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NIGHT, tick=False) as traveller:
        yield traveller


class History:
    """A line of HISTORIES, played by a person of their own in a group with the sender."""

    def __init__(self, sender: int, user: int, values: dict[str, str]) -> None:
        self._sender, self.user, self._values = sender, user, values
        self._crew = group(sender, [user])
        execute("UPDATE memberships SET level=? WHERE user_id=?", (values["level"], user))
        if values["quiet"] == "yes":
            execute("UPDATE profiles SET quiet=? WHERE user_id=?", (msgspec.json.encode(EVERY_NIGHT).decode(), user))
        self._block("yes")
        with event.transaction() as tx:
            presence.record_changes(tx, "gateway-1", [user] if values["online"] == "yes" else [], [])
        name = rows("SELECT username FROM users WHERE id=?", (user,))[0][0]
        body = f"hello @{name}" if values["mentioned"] == "yes" else "hello"
        [self.message] = send(sender, 1, at=self._crew, priority=values["priority"], body=body)
        self.change("before")

    def _block(self, when: str) -> None:
        if self._values["blocked"] == when:
            with event.transaction() as tx:
                blocks.block(tx, self.user, self._sender)

    def change(self, when: str) -> None:
        """Do what is done at this time."""
        with event.transaction() as tx:
            if self._values["read"] == when:
                read_marks.mark_read(tx, self.user, self._crew, self.message)
            if self._values["deleted"] == when:
                message.delete(tx, self._sender, "user", self.message)
            if self._values["left"] == when:
                conversation.remove_member(tx, self._sender, self._crew, self.user)
        self._block(when)


def settle(sent: dict[int, int]) -> None:
    """Do all that is due, and count the mails that go."""
    drain(NotifyConsumer())
    drain(UnreachableConsumer())
    notify_unseen(never)
    digests.collect(never)
    blank = outbox.Mail(0, "notification", None, "", "", {}, "", 0, 0, None, 0, 0, *[None] * (len(outbox.Mail._fields) - 12))
    for number, user, kind, data in rows("SELECT id, receiver, kind, data FROM emails WHERE state='queued' ORDER BY id"):
        with event.transaction() as tx:
            mail = current_mail(tx, blank._replace(id=number, kind=kind, receiver=user, data=msgspec.json.decode(data)))
            (outbox.drop if mail is None else outbox.mark_sent)(tx, number)
        sent[user] = sent.get(user, 0) + (mail is not None)


def test_histories_through_the_store_end_as_their_lines_say(store: Settings, clock: time_machine.Traveller) -> None:
    lines = table(HISTORIES)
    ana, *others = people("ana", *[f"user{n}" for n in range(len(lines))])
    histories = [History(ana, user, before) for user, (before, _) in zip(others, lines, strict=True)]
    sent: dict[int, int] = {}
    found: list[list[str]] = [[] for _ in lines]

    def note() -> None:
        settle(sent)
        settle(sent)
        for user, columns in zip(others, found, strict=True):
            columns += [str(notification.unread_count(user)), str(sent.get(user, 0))]

    note()
    clock.shift(30)
    for history in histories:
        history.change("later")
    settle(sent)
    clock.shift(330)
    note()
    clock.move_to(datetime(2026, 11, 27, 7, 0, tzinfo=UTC))
    note()
    wrong = [(before, after, columns) for (before, after), columns in zip(lines, found, strict=True) if columns != after]
    assert wrong == []
    outcomes = [
        explain.explain(event_of_message(h.message), user)["rules"][0]["decided"][0]
        for h, user in zip(histories, others, strict=True)
    ]
    assert outcomes.count("below their level") == 4

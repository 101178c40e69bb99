"""The precedence: which check decides whether a user is notified. docs/attention.md prints it from here.

The lines of PRECEDENCE are tried from the first to the last, and the first one that applies decides. `explain` and `rehearse` name
it by its outcome, so clients may depend on these texts.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

DOCUMENT = Path(__file__).parents[2] / "docs/attention.md"
BEGIN, END = "<!-- precedence -->", "<!-- /precedence -->"  # around the table in it

NOTIFIED = "notified"
OWN_ACT = "own act"
NOT_A_MEMBER = "not a member then"
NOT_ACTIVE = "not active"
HAS_READ = "has read it"
BLOCKED = "blocked the sender"
BELOW_LEVEL = "below their level"
WAS_ONLINE = "was looking"
OFF = "off by preference"
DELETED = "deleted since"
AS_REPLY = "notified as a reply"


class Case(NamedTuple):
    """One user and one event: what the checks read. A check that does not concern the event finds the value that passes it."""

    user: int
    own: bool = False
    deleted: bool = False
    as_reply: bool = False
    member: bool = True
    active: bool = True
    has_read: bool = False
    blocked: bool = False
    level: str = "all"
    mentioned: bool = False
    online: bool = False
    off: bool = False


class Line(NamedTuple):
    """One line of the precedence: its outcome, when it applies, and the same in words."""

    outcome: str
    applies: Callable[[Case], bool]
    meaning: str


PRECEDENCE = (
    Line(OWN_ACT, lambda case: case.own, "The user did it."),
    Line(DELETED, lambda case: case.deleted, "The message, the post or the comment is deleted by now."),
    Line(
        AS_REPLY,
        lambda case: case.as_reply,
        "A comment on a post of theirs answers a comment of theirs: they are notified of that.",
    ),
    Line(
        NOT_A_MEMBER,
        lambda case: not case.member,
        "At the event's place in the log they were not a member of the conversation; or they have left the group of the post.",
    ),
    Line(NOT_ACTIVE, lambda case: not case.active, "The account is not active."),
    Line(HAS_READ, lambda case: case.has_read, "Their read mark is at the message or after it."),
    Line(BLOCKED, lambda case: case.blocked, "At the event's place in the log they blocked the user who caused it."),
    Line(
        BELOW_LEVEL,
        lambda case: case.level == "none" or (case.level == "mentions" and not case.mentioned),
        "Their level of the conversation is `none`, or it is `mentions` and the message mentions neither them nor all.",
    ),
    Line(
        WAS_ONLINE,
        lambda case: case.online,
        "They had an open poll, event stream or WebSocket. If the message is `important` or `urgent`, they are notified later, "
        "unless they have read it by then.",
    ),
    Line(OFF, lambda case: case.off, "Their preference for this type is off in the application. Mail and push have their own."),
    Line(NOTIFIED, lambda case: True, "None of the above."),
)


def decisive_line(case: Case) -> Line:
    """Return the first line of the precedence that applies."""
    return next(line for line in PRECEDENCE if line.applies(case))


def refused(case: Case) -> bool:
    """Whether no preference of the user's matters any more: a line before OFF applies."""
    return decisive_line(case).outcome not in (OFF, NOTIFIED)


def printed() -> str:
    """The precedence as a table of Markdown."""
    lines = [f"| {number} | `{line.outcome}` | {line.meaning} |" for number, line in enumerate(PRECEDENCE, 1)]
    return "\n".join(["| | outcome | when |", "|---|---|---|", *lines])


def written_into(document: str) -> str:
    """Return a document with the table between its two marks."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{printed()}\n{END}{after}"


if __name__ == "__main__":
    DOCUMENT.write_text(written_into(DOCUMENT.read_text()))

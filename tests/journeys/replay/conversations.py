"""Recorded conversations between real people, for the replay: the data set of the Chit-Chat Challenge (BYU, 2018).

The package `chitchat-dataset` holds 7,168 conversations with 258,145 messages of 1,315 people, with their typos, emoji
and line breaks. In 3,150 of them only one of the two people ever wrote, and the data does not name the other: another of
the 1,315 people, chosen by the conversation's id, plays that silent part.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import msgspec

BODY_CHARACTERS = range(1, 20_001)  # the allowed lengths of a message


class _Utterance(msgspec.Struct):
    text: str
    sender: str


class _Recorded(msgspec.Struct):
    messages: list[list[_Utterance]]


@dataclass(frozen=True)
class Dialogue:
    """One conversation: the numbers of two people, and the (sender, text) of each message in order."""

    pair: tuple[int, int]
    messages: list[tuple[int, str]]


@dataclass
class Script:
    """The conversations to play, how many people are in them, and how many messages cannot be sent."""

    dialogues: list[Dialogue]
    people: int
    unsendable: int


def read_script(limit: int | None = None) -> Script:
    """Return the first `limit` conversations, or all; people are numbered as they appear."""
    recorded = list(_load().items())[:limit]
    names: dict[str, int] = {}
    for _, conversation in recorded:
        for part in conversation.messages:
            for utterance in part:
                names.setdefault(utterance.sender, len(names))
    script = Script([], max(2, len(names)), 0)
    for key, conversation in recorded:
        spoken = [(names[utterance.sender], utterance.text) for part in conversation.messages for utterance in part]
        messages = [(sender, text) for sender, text in spoken if len(text) in BODY_CHARACTERS]
        script.unsendable += len(spoken) - len(messages)
        if messages:
            script.dialogues.append(Dialogue(_pair({sender for sender, _ in spoken}, key, script.people), messages))
    return script


def _pair(speakers: set[int], key: str, people: int) -> tuple[int, int]:
    """Return the two people, the lower number first, with a partner for one who speaks alone."""
    if len(speakers) == 1:
        (speaker,) = speakers
        speakers = {speaker, (speaker + 1 + UUID(key).int % (people - 1)) % people}
    first, second = sorted(speakers)
    return first, second


def _load() -> dict[str, _Recorded]:
    """Read the package's file; its own loader would build the whole of it twice."""
    package = importlib.util.find_spec("chitchat_dataset")
    if package is None or package.origin is None:
        raise SystemExit("the replay needs the package chitchat-dataset, which `make test` installs")
    data = (Path(package.origin).parent / "dataset.json").read_bytes()
    return msgspec.json.decode(data, type=dict[str, _Recorded])

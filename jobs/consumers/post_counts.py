"""How often posts were liked and commented on, told to those who follow them: not once a like, but once a post and slice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

import msgspec

from jobs.drain.consumer import Consumer, Written
from models.community import post as posts
from models.log.event import Event, Transaction


class Touched(msgspec.Struct, gc=False):
    """What events about likes and comments have in common."""

    post: int


touched = msgspec.json.Decoder(Touched).decode


class PostCountsConsumer(Consumer):
    """One `post.updated` for each post that was touched, with its counts as they are when it is written.

    A like and its count are one transaction, and so are the reading of the count and the event that tells of it. So whatever
    was touched after that is in a later slice, and the last event of a post has its counts exactly.
    """

    name: ClassVar[str] = "feed"
    types: ClassVar[tuple[str, ...]] = ("post.liked", "post.unliked", "comment.created", "comment.deleted")
    appends_events: ClassVar[bool] = True
    partitioned: ClassVar[bool] = False  # its writes take the log's lock, and a post's likes and comments are of two streams
    events_per_slice: ClassVar[int] = 100  # each may be another post, whose whole text is written again
    min_interval_ms: ClassVar[int] = 500

    def prepare(self, events: Sequence[Event]) -> Iterable[list[int]]:
        return [sorted({touched(e.data).post for e in events})]

    def write(self, tx: Transaction, part: list[int]) -> Written:
        return Written(posts.append_count_updates(tx, part))

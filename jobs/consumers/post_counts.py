"""The consumer `feed`: it sends the like and comment counts of posts to their followers, once per post and slice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

import msgspec

from jobs.drain.consumer import Consumer, Written
from models.community import post as posts
from models.log.event import Event, Transaction


class PostRef(msgspec.Struct, gc=False):
    """The field that the events about likes and comments share: the post's id."""

    post: int


decode_post_ref = msgspec.json.Decoder(PostRef).decode


class PostCountsConsumer(Consumer):
    """Appends one `post.updated` for each post of a slice, with its counts at the time of writing.

    A like changes the count in its own transaction, and this consumer reads the count in the transaction that appends
    `post.updated`. A change after that is in a later slice, so the last event of a post has its exact counts.
    """

    name: ClassVar[str] = "feed"
    types: ClassVar[tuple[str, ...]] = ("post.liked", "post.unliked", "comment.created", "comment.deleted")
    appends_events: ClassVar[bool] = True
    partitioned: ClassVar[bool] = False  # its writes need the log's lock, and a post's likes and comments are of two streams
    events_per_slice: ClassVar[int] = 100  # each may be of another post, whose whole text is written again
    min_interval_ms: ClassVar[int] = 500

    def prepare(self, events: Sequence[Event]) -> Iterable[list[int]]:
        return [sorted({decode_post_ref(event.data).post for event in events})]

    def write(self, tx: Transaction, batch: list[int]) -> Written:
        return Written(posts.append_count_updates(tx, batch))

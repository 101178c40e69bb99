import msgspec

from conf import Settings
from jobs import tasks
from jobs.consumers.post_counts import PostCountsConsumer
from jobs.drain.drain import drain
from models.community import comment, group, like, post, removal
from models.log import event
from models.store.database import rows
from tests.jobs.killing import drains, killed_at
from tests.jobs.people import people, scalar


def updates(stream: str = "posts") -> list[tuple[int, int, int]]:
    """(post, likes, comments) of each update."""
    found = rows("SELECT data FROM events WHERE type='post.updated' AND stream=? ORDER BY id", (stream,))
    data = [msgspec.json.decode(text) for (text,) in found]
    return [(post["id"], post["likes_count"], post["comments_count"]) for post in data]


def posted(author: int, crew: int | None = None) -> int:
    with event.transaction() as tx:
        return post.create(tx, author, crew, "hush-hush").id


def liked(users: list[int], *posts: int) -> None:
    with event.transaction() as tx:
        for user in users:
            for number in posts:
                like.like(tx, user, number)


def test_a_post_has_one_update_per_slice_with_its_counts(store: Settings) -> None:
    ana, *crowd = people("ana", *[f"user{n}" for n in range(20)])
    with event.transaction() as tx:
        crew = group.create(tx, ana, "Crew").id
    quiet, first, second = posted(ana), posted(ana), posted(ana, crew)
    liked(crowd, first)
    liked([ana], second)
    with event.transaction() as tx:
        comment.create(tx, ana, first, "words", None)
        like.unlike(tx, crowd[0], first)
        like.bookmark(tx, ana, quiet)

    assert drain(PostCountsConsumer()).rows == 2
    assert (updates(), updates(f"group:{crew}")) == ([(first, 19, 1)], [(second, 1, 0)])
    assert drain(PostCountsConsumer()).rows == 0

    with event.transaction() as tx:
        removal.delete_comment(tx, ana, "user", 1)
    drain(PostCountsConsumer())
    assert updates() == [(first, 19, 1), (first, 19, 0)]


def test_a_deleted_post_has_no_update_and_earlier_ones_lose_their_text(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    first, second = posted(ana), posted(ana)
    liked([ana], first, second)
    drain(PostCountsConsumer())
    liked([ben], first, second)
    with event.transaction() as tx:
        removal.delete_post(tx, ana, "user", first)

    assert drain(PostCountsConsumer()).rows == 1
    assert [number for number, *_ in updates()] == [first, second, second]
    texts = rows("SELECT type, data FROM events WHERE data LIKE ? ORDER BY id", ('%"hush-hush"%',))
    assert [(kind, msgspec.json.decode(text)["id"]) for kind, text in texts] == [
        ("post.created", second),
        ("post.updated", second),
        ("post.updated", second),
    ]


def test_a_kill_at_any_commit_neither_loses_nor_doubles_an_update(store: Settings) -> None:
    ana, *crowd = people("ana", *[f"user{n}" for n in range(200)])
    number = posted(ana)
    liked(crowd, number)
    for commit, when in ((3, "after"), (2, "before")):  # of slices of 40 events
        killed_at(store, drains("feed"), commit, when)
    drain(tasks.consumers["feed"], events_per_slice=40)

    assert updates() == [(number, 200, 0)] * 5
    assert scalar("SELECT count(*) FROM post_copies") == 5

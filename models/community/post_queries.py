"""Posts as one user sees them: a single one, the newest, those of a group, or those the user has bookmarked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from models.community import group as groups
from models.community.like import Bookmark, Like
from models.community.post import PostView, event_views, require_visible, visible
from models.identity import contacts
from models.identity.contacts import Bound
from models.store.database import ID_MAX, chunks, fetch_column, rows, snapshot

MAX_GROUPS_PER_QUERY = 100
MAX_PUBLIC_POSTS_READ = 5_000  # the newest, for a page of those whose authors a caller may see


def views(user: int, ids: Sequence[int]) -> list[PostView]:
    """Posts as the user sees them, newest first. The caller has checked that the user may see them."""
    posts = event_views(ids)
    liked, bookmarked = _posts_marked(Like, user, ids), _posts_marked(Bookmark, user, ids)
    for post in posts:
        post.liked, post.bookmarked = post.id in liked, post.id in bookmarked
    return posts


def _posts_marked(model: type[Like] | type[Bookmark], user: int, ids: Sequence[int]) -> set[int]:
    """Those of the posts that the user has liked, or bookmarked."""
    return set(fetch_column(model.select(model.post).where(model.user == user, model.post.in_(list(ids)))))


def get_view(user: int, post: int, caller: Bound | None = None) -> PostView:
    """One post, as the user sees it. Raises NotFoundError."""
    with snapshot():
        require_visible(user, post, caller)
        return views(user, [post])[0]


def list_page(
    user: int, group: int | None, before: int | None, limit: int, caller: Bound | None = None, *, bookmarked: bool
) -> list[PostView]:
    """Public posts and those of the user's groups, newest first: all, one group's, or those that the user has bookmarked.

    Of public posts those whose authors the caller may see; if some are hidden, of the newest MAX_PUBLIC_POSTS_READ. Raises
    NotFoundError when the user is not in the group.
    """
    end = before if before is not None else ID_MAX
    with snapshot():
        if group is not None:
            groups.require_member(group, user)
        if bookmarked:
            ids = _bookmarked(user, group, end, limit, caller)
        else:
            ids = _newest(
                [*([None] if caller is None else []), *groups.group_ids_of(user)] if group is None else [group], end, limit
            )
            if group is None and caller is not None:
                ids = sorted([*ids, *_newest_seen(caller, end, limit)], reverse=True)[:limit]
        return views(user, ids)


def _newest(groups_or_public: Sequence[int | None], before: int, limit: int) -> list[int]:
    """The newest posts of groups (None: public ones): a limited slice of each, merged."""
    newest: list[int] = []
    for part in chunks(groups_or_public, MAX_GROUPS_PER_QUERY):
        # Raw: a limited slice of an index for each group, which the planner must not join.
        slices = [
            f"SELECT * FROM (SELECT id FROM posts WHERE group_id {'IS NULL' if group is None else '=?'} AND id<? "
            "AND deleted_ms IS NULL ORDER BY id DESC LIMIT ?) AS slice"
            for group in part
        ]
        params = [value for group in part for value in (group, before, limit) if value is not None]
        newest += [post for (post,) in rows(" UNION ALL ".join(slices), params)]
    return sorted(newest, reverse=True)[:limit]


def _newest_seen(caller: Bound, before: int, limit: int) -> list[int]:
    """The newest public posts whose authors the caller may see."""
    is_seen, caller_ids = contacts.seen("p.author_id", caller)
    # Raw: shares its condition with other lists.
    newest = "SELECT id, author_id FROM posts WHERE group_id IS NULL AND id<? AND deleted_ms IS NULL ORDER BY id DESC LIMIT ?"
    sql = f"SELECT p.id FROM ({newest}) AS p WHERE TRUE{is_seen} ORDER BY p.id DESC LIMIT ?"
    return [post for (post,) in rows(sql, (before, MAX_PUBLIC_POSTS_READ, *caller_ids, limit))]


def _bookmarked(user: int, group: int | None, before: int, limit: int, caller: Bound | None) -> list[int]:
    """The user's bookmarked posts, of one group or of all, newest first."""
    is_visible, visible_params = visible(user, caller)
    params: list[Any] = [user, before, *visible_params, *([group] if group is not None else []), limit]
    in_group = " AND p.group_id=?" if group is not None else ""
    # Raw: shares the condition with likes; the order of the joins begins with the bookmarks.
    posts = rows(
        "SELECT b.post_id FROM bookmarks b CROSS JOIN posts p WHERE b.user_id=? AND b.post_id<? AND p.id=b.post_id "
        f"AND {is_visible}{in_group} ORDER BY b.post_id DESC LIMIT ?",
        params,
    )
    return [post for (post,) in posts]

"""Posts as one user sees them: a single one, the newest, those of a group, or those the user has bookmarked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from models.community import group as groups
from models.community.like import Bookmark, Like
from models.community.post import VISIBLE, PostView, event_views, require_visible
from models.store.database import ID_MAX, chunks, fetch_column, rows, snapshot

MAX_GROUPS_PER_QUERY = 100


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


def get_view(user: int, post: int) -> PostView:
    """One post, as the user sees it. Raises NotFoundError."""
    with snapshot():
        require_visible(user, post)
        return views(user, [post])[0]


def list_page(user: int, group: int | None, before: int | None, limit: int, *, bookmarked: bool) -> list[PostView]:
    """Public posts and those of the user's groups, newest first: all, one group's, or those that the user has bookmarked.

    Raises NotFoundError when the user is not in the group.
    """
    end = before if before is not None else ID_MAX
    with snapshot():
        if group is not None:
            groups.require_member(group, user)
        if bookmarked:
            ids = _bookmarked(user, group, end, limit)
        else:
            ids = _newest([None, *groups.group_ids_of(user)] if group is None else [group], end, limit)
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


def _bookmarked(user: int, group: int | None, before: int, limit: int) -> list[int]:
    """The user's bookmarked posts, of one group or of all, newest first."""
    params: list[Any] = [user, before, user, *([group] if group is not None else []), limit]
    in_group = " AND p.group_id=?" if group is not None else ""
    # Raw: shares the condition with likes; the order of the joins begins with the bookmarks.
    posts = rows(
        "SELECT b.post_id FROM bookmarks b CROSS JOIN posts p WHERE b.user_id=? AND b.post_id<? AND p.id=b.post_id "
        f"AND {VISIBLE}{in_group} ORDER BY b.post_id DESC LIMIT ?",
        params,
    )
    return [post for (post,) in posts]

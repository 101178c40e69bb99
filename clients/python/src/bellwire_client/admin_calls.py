"""The calls of administrators, defined once for both clients, as `calls.py` defines those of users."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, TypeVar
from urllib.parse import quote

from bellwire_client.binding import call, listing
from bellwire_client.calls import user_path
from bellwire_client.paging import Pages
from bellwire_client.reading import read
from bellwire_client.shapes import (
    Account,
    CreatedToken,
    Imported,
    IncomingHook,
    NotificationType,
    Report,
    StatusOutcome,
    Upserted,
    User,
    UserRef,
    Webhook,
)
from bellwire_client.steps import Method, Request, Steps, Writable, download, send_with_retries

T = TypeVar("T")
IMPORT_TIMEOUT_S = 120.0  # up to 1,000 lines, in transactions that others' sends share
NDJSON = "application/x-ndjson"


class AdminCalls:
    """The calls of both clients."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def _call(
        self,
        method: Method,
        path: str,
        body: Any = None,
        *,
        params: Mapping[str, str | int | None] | None = None,
        repeatable: bool | None = None,
    ) -> Steps[Any]:
        request = Request(method, f"/admin{path}", body, params or {}, repeatable=repeatable)
        return (yield from send_with_retries(request, self._client.patience_s)).body

    def _pages(self, shape: type[T], path: str, **params: str | int | None) -> Pages[T]:
        return Pages(shape, f"/admin{path}", self._client.patience_s, **params)

    # The people of your product

    @listing
    def accounts(
        self,
        q: str = "",
        *,
        status: Literal["pending", "active", "suspended", "deleted"] | None = None,
        role: Literal["user", "admin"] | None = None,
    ) -> Pages[Account]:
        """List accounts: those with a status or a role, and those of whose names each word of `q` begins a word, or whose address
        begins with it."""
        return self._pages(Account, "/users", q=q, status=status, role=role)

    @call
    def create_accounts(self, users: Sequence[Mapping[str, Any]]) -> Steps[list[User]]:
        """Create up to 1,000 accounts, all or none, which are active at once: `username`, `email`, and `display_name`, `password`,
        `role` and `bot` if they are there."""
        answer = yield from self._call("POST", "/users", {"users": list(users)})
        return [read(User, user) for user in answer["items"]]

    @call
    def put_user(self, external_id: str, fields: Mapping[str, Any]) -> Steps[Account]:
        """Make or change the account of one of your users: `username`, `display_name`, `email`, `role`, `status`, `locale`,
        `timezone` and `metadata`, each if it is there. Doing it again changes nothing."""
        return read(Account, (yield from self._call("PUT", f"/users/{user_path(f'ext:{external_id}')}", dict(fields))))

    @call
    def upsert_users(self, users: Sequence[Mapping[str, Any]]) -> Steps[Upserted]:
        """Do the same for 1 to 1,000 users at once, all or none. Each has `external_id` beside the fields of `put_user`."""
        return read(Upserted, (yield from self._call("POST", "/users/upsert", {"users": list(users)}, repeatable=True)))

    @call
    def change_user(self, user: UserRef, fields: Mapping[str, Any]) -> Steps[Account]:
        """Change any account: `username`, `display_name`, `email`, `external_id` and `role`, each if it is there."""
        return read(Account, (yield from self._call("PATCH", f"/users/{user_path(user)}", dict(fields))))

    @call
    def delete_user(self, user: UserRef, *, texts: Literal["keep", "erase"]) -> Steps[int]:
        """Delete an account; return the job, which `jobs()` lists with its receipt under `deletions`. `texts` says what becomes of
        messages, posts and comments."""
        return int((yield from self._call("DELETE", f"/users/{user_path(user)}", params={"texts": texts}))["job"])

    @call
    def export_user(self, user: UserRef, file: Writable) -> Steps[None]:
        """Write all that is a user's to a file that is open for bytes, as a zip. After an error the file is incomplete."""
        yield from download(f"/admin/users/{user_path(user)}/export", file, self._client.patience_s)

    @call
    def activate(self, users: Sequence[UserRef], reason: str = "") -> Steps[StatusOutcome]:
        """Activate up to 10,000 accounts. Their owners are told the reason."""
        body = {"ids": list(users), "reason": reason}
        return read(StatusOutcome, (yield from self._call("POST", "/users/activate", body, repeatable=True)))

    @call
    def suspend(self, users: Sequence[UserRef], reason: str = "") -> Steps[StatusOutcome]:
        """Suspend up to 10,000 accounts, but not the caller's: their tokens end, and so do open polls."""
        body = {"ids": list(users), "reason": reason}
        return read(StatusOutcome, (yield from self._call("POST", "/users/suspend", body, repeatable=True)))

    @call
    def create_token(self, user: UserRef, *, expires_in: int | None = None, label: str | None = None) -> Steps[CreatedToken]:
        """Make a token for a user, which ends after `expires_in` seconds, at most 400 days."""
        body = present(label=label, expires_in=expires_in)
        return read(CreatedToken, (yield from self._call("POST", f"/users/{user_path(user)}/tokens", body)))

    @call
    def revoke_tokens(self, user: UserRef) -> Steps[None]:
        """End all tokens of a user, and those of your own issuing (JWT) up to now."""
        yield from self._call("DELETE", f"/users/{user_path(user)}/tokens")

    # Your notifications

    @call
    def notify(
        self,
        type: str,
        *,
        to: Sequence[UserRef] | None = None,
        topic: str | None = None,
        conversation: int | None = None,
        role: str | None = None,
        actor: UserRef | None = None,
        values: Mapping[str, Any] | None = None,
        url: str | None = None,
        dedupe: str | None = None,
        not_before: datetime | None = None,
        unless_read: bool | None = None,
    ) -> Steps[str]:
        """Notify up to 10,000 users, the members of a topic or conversation, or a role; return the event's cursor. With `dedupe`,
        at most 200 characters, a repetition makes no second notification, for good: only then is a broken call repeated."""
        body = present(
            **{"type": type, "to": None if to is None else list(to), "topic": topic, "conversation": conversation, "role": role},
            **{"actor": actor, "values": values, "url": url, "dedupe": dedupe, "unless_read": unless_read},
            not_before=None if not_before is None else not_before.isoformat(),
        )
        return str((yield from self._call("POST", "/notify", body, repeatable=dedupe is not None))["event"])

    @listing
    def notification_types(self) -> Pages[NotificationType]:
        """List your types of notifications, by name."""
        return self._pages(NotificationType, "/notification-types")

    @call
    def notification_type(self, type: str) -> Steps[NotificationType]:
        """Return one of your types of notifications."""
        return read(NotificationType, (yield from self._call("GET", f"/notification-types/{quote(type, safe='')}")))

    @call
    def put_notification_type(self, type: str, definition: Mapping[str, Any]) -> Steps[NotificationType]:
        """Define one of your types of notifications: `words` by locale, `group_by`, `in_app`, `email`, `push`, `urgent`, `url`."""
        path = f"/notification-types/{quote(type, safe='')}"
        return read(NotificationType, (yield from self._call("PUT", path, dict(definition))))

    @call
    def delete_notification_type(self, type: str) -> Steps[None]:
        """Delete one of your types of notifications. What users chose for it stays."""
        yield from self._call("DELETE", f"/notification-types/{quote(type, safe='')}")

    @call
    def subscribe(self, topic: str, user: UserRef, subscribed: bool = True) -> Steps[None]:
        """Make a user a member of a topic, or no longer."""
        path = f"/topics/{quote(topic, safe='')}/members/{user_path(user)}"
        yield from self._call("PUT" if subscribed else "DELETE", path)

    @listing
    def topic_members(self, topic: str) -> Pages[User]:
        """List the members of a topic, by id."""
        return self._pages(User, f"/topics/{quote(topic, safe='')}/members")

    @call
    def announce(
        self,
        type: str,
        title: str,
        body: str,
        *,
        role: Literal["user", "admin"] | None = None,
        users: Sequence[UserRef] | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> Steps[int]:
        """Announce something to all users of a role, or to up to 10,000 users, under one of Bellwire's own types, such as `system`;
        return the job, which `jobs()` lists under `fanouts`."""
        chosen = present(role=role, user_ids=None if users is None else list(users), data=data)
        return int((yield from self._call("POST", "/notifications", {"type": type, "title": title, "body": body, **chosen}))["job"])

    @call
    def explain(
        self,
        *,
        user: UserRef | None = None,
        event: str | None = None,
        message: int | None = None,
        notification: int | None = None,
    ) -> Steps[dict[str, Any]]:
        """Return why a user was notified of an event, a message or a notification, or was not: `rules` has each rule's decision."""
        params = {"user": user, "event": event, "message": message, "notification": notification}
        return dict((yield from self._call("GET", "/explain", params=params)))

    # Webhooks, and incoming hooks

    @listing
    def webhooks(self) -> Pages[Webhook]:
        """List webhooks, oldest first."""
        return self._pages(Webhook, "/webhooks")

    @call
    def webhook(self, webhook: int) -> Steps[Webhook]:
        """Return a webhook, with its state and its last error."""
        return read(Webhook, (yield from self._call("GET", f"/webhooks/{webhook}")))

    @call
    def create_webhook(
        self, url: str, *, types: Sequence[str] = (), description: str = "", start: str | None = None
    ) -> Steps[Webhook]:
        """Create a webhook for events of some types, such as `message.*`, or of all. It begins now, after the cursor `start`, or
        with `begin` at all that is kept. Its `secret` is what `verify_webhook` needs, and is not shown again."""
        body = {"url": url, "types": list(types), "description": description, **present(**{"from": start})}
        return read(Webhook, (yield from self._call("POST", "/webhooks", body)))

    @call
    def change_webhook(
        self,
        webhook: int,
        *,
        url: str | None = None,
        types: Sequence[str] | None = None,
        description: str | None = None,
        state: Literal["active", "paused", "disabled"] | None = None,
    ) -> Steps[Webhook]:
        """Change a webhook, pause it, or let it go on from its place."""
        body = present(url=url, types=None if types is None else list(types), description=description, state=state)
        return read(Webhook, (yield from self._call("PATCH", f"/webhooks/{webhook}", body)))

    @call
    def rotate_webhook(self, webhook: int) -> Steps[Webhook]:
        """Return a webhook with a new `secret`, beside which the one of before signs for a day. A broken call is not repeated."""
        return read(Webhook, (yield from self._call("PATCH", f"/webhooks/{webhook}", {"rotate": True}, repeatable=False)))

    @call
    def test_webhook(self, webhook: int) -> Steps[None]:
        """Let an event `webhook.test` be delivered, in any state. `last_status` and `last_error` tell the result."""
        yield from self._call("POST", f"/webhooks/{webhook}/test", repeatable=True)

    @call
    def rewind_webhook(self, webhook: int, *, cursor: str | None = None, time: datetime | None = None) -> Steps[Webhook]:
        """Deliver all that follows a cursor, `begin` or a time, again if need be."""
        body = present(cursor=cursor, time=None if time is None else time.isoformat())
        return read(Webhook, (yield from self._call("POST", f"/webhooks/{webhook}/rewind", body, repeatable=True)))

    @call
    def delete_webhook(self, webhook: int) -> Steps[None]:
        """End a webhook."""
        yield from self._call("DELETE", f"/webhooks/{webhook}")

    @listing
    def all_incoming_hooks(self) -> Pages[IncomingHook]:
        """List the incoming hooks of all groups, oldest first."""
        return self._pages(IncomingHook, "/hooks")

    @listing
    def incoming_hooks(self, conversation: int) -> Pages[IncomingHook]:
        """List the incoming hooks of a group, oldest first."""
        return self._pages(IncomingHook, f"/conversations/{conversation}/hooks")

    @call
    def create_incoming_hook(self, conversation: int, label: str) -> Steps[IncomingHook]:
        """Create an incoming hook of a group, whose bot has the name `label`. `write_by_hook` writes by its `url`, which is not
        shown again."""
        return read(IncomingHook, (yield from self._call("POST", f"/conversations/{conversation}/hooks", {"label": label})))

    @call
    def rotate_incoming_hook(self, conversation: int, hook: int) -> Steps[IncomingHook]:
        """Return an incoming hook with a new `url`; the one of before ends at once. It is not repeated if the answer was lost."""
        path = f"/conversations/{conversation}/hooks/{hook}"
        return read(IncomingHook, (yield from self._call("PATCH", path, {"rotate": True}, repeatable=False)))

    @call
    def delete_incoming_hook(self, conversation: int, hook: int) -> Steps[None]:
        """End an incoming hook: its bot leaves the group, and its messages stay."""
        yield from self._call("DELETE", f"/conversations/{conversation}/hooks/{hook}")

    # History, activity and jobs

    @call
    def import_history(self, lines: Iterable[Mapping[str, Any]], *, source: str | None = None) -> Steps[Imported]:
        """Import up to 1,000 lines and 8 MiB at once: `{"user": …}`, `{"conversation": …}` or `{"message": …}` each, known by their
        keys and the `source`. Doing it again changes nothing. Lines that are refused keep no others from being imported."""
        body = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines).encode()
        params, headers = {"source": source}, {"Content-Type": NDJSON}
        request = Request("POST", "/admin/import", body, params, headers, repeatable=True, timeout_s=IMPORT_TIMEOUT_S)
        return read(Imported, (yield from send_with_retries(request, self._client.patience_s)).body)

    @call
    def report_activity(
        self,
        action: str,
        *,
        user: UserRef | None = None,
        description: str = "",
        metadata: Mapping[str, Any] | None = None,
        site: str | None = None,
    ) -> Steps[None]:
        """Record an action of a user in your product, such as `invoice.paid`."""
        body = {"action": action, "description": description, **present(user=user, metadata=metadata, site=site)}
        yield from send_with_retries(Request("POST", "/activity", body), self._client.patience_s)

    @listing
    def reports(self, state: Literal["open", "closed"] | None = None) -> Pages[Report]:
        """List the messages and posts that people have reported, the newest first."""
        return Pages(Report, "/admin/reports", self._client.patience_s, state=state)

    @call
    def close_report(self, report: int, action: Literal["dismiss", "delete", "suspend"], note: str | None = None) -> Steps[Report]:
        """Close all open reports of the same message or post, after deleting it, or suspending its author. `note` is for
        administrators."""
        body = {"action": action, "note": note}
        return read(Report, (yield from self._call("POST", f"/reports/{report}", body, repeatable=True)))

    @call
    def jobs(self) -> Steps[dict[str, Any]]:
        """Return the state of background work: `deletions` with their receipts, `fanouts` (announcements), `notices`, `webhooks`,
        `dead` letters, `queues`, `consumers` and more."""
        return dict((yield from self._call("GET", "/jobs")))

    @call
    def retry_job(self, dead: int) -> Steps[None]:
        """Try a dead letter again."""
        yield from self._call("POST", f"/jobs/{dead}/retry", repeatable=True)


def present(**values: Any) -> dict[str, Any]:
    """Return the values that are not None."""
    return {name: value for name, value in values.items() if value is not None}

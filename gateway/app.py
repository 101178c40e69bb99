"""The contents page of the API: every route, by area."""

from __future__ import annotations

import itertools
import secrets
import time
from typing import Any

import msgspec
from tornado import httputil, web

from gateway.api import (
    accounts,
    blocks,
    changes,
    comments,
    conversations,
    events,
    exports,
    file_downloads,
    file_links,
    files,
    groups,
    incoming,
    instance,
    legacy,
    messages,
    notifications,
    operations,
    posts,
    preferences,
    push,
    quiet_hours,
    reports,
    sessions,
    signup,
    stream,
    websocket,
)
from gateway.api.admin import (
    activity,
    announcements,
    audit,
    explain,
    history,
    hooks,
    hosted,
    invitations,
    jobs,
    log,
    notification_types,
    notify,
    organisation,
    topics,
    users,
    webhooks,
)
from gateway.api.admin import reports as admin_reports
from gateway.apidoc import field_limits, openapi
from gateway.http import static_files
from gateway.http.access_log import AnsweredRequest
from gateway.http.base import Handler
from gateway.http.deadlines import BodyLimiter, Deadlines
from gateway.http.embed_files import embed_files
from gateway.http.errors import ProblemError
from gateway.http.handling import JSON, DateHeader
from gateway.http.pacing import LIMITS_OF_CALLER, LIMITS_OF_CROWD, Pace
from gateway.http.page import NotFound
from gateway.http.routing import Request, RequestReceiver, Routes
from gateway.http.service_worker import ServiceWorker, service_worker
from gateway.http.services import Services
from gateway.http.streaming import BodyStreamer
from gateway.http.tokens import COOKIE_DAYS
from gateway.http.traffic import UNKNOWN_ROUTE, create_failure_series

API = "/api/v1"
PING_EVERY_S = 12  # on a WebSocket; one that does not answer within PONG_WITHIN_S is closed, at most 5 s later
PONG_WITHIN_S = 10
ID = r"([1-9][0-9]{0,15})"
USER = r"([1-9][0-9]{0,15}|ext:[^/]{1,1600}|ext%3[Aa][^/]{1,1600})"  # an id, or what the host calls the user, percent-encoded
TYPE, TOPIC = r"([^/]{1,120})", r"([^/]{1,1600})"  # of the host's notifications
CODE = r"([A-Za-z0-9_-]{1,64})"  # of an invitation
HOOK = r"([A-Za-z0-9_-]{16,64})"  # of an incoming hook

AREAS: dict[str, list[tuple[str, type[Handler]]]] = {  # gateway/http/routing.py finds the route of a path by one lookup
    "Events": [
        (f"{API}/events", events.Events),
        (f"{API}/state", events.State),
        (f"{API}/events/stream", stream.EventStream),
        (f"{API}/events/ws", websocket.EventSocket),
    ],
    "Conversations and messages": [
        (f"{API}/messages", messages.Messages),
        (f"{API}/conversations", conversations.Conversations),
        (f"{API}/conversations/{ID}", conversations.Conversation),
        (f"{API}/conversations/{ID}/members", conversations.Members),
        (f"{API}/conversations/{ID}/members/{USER}", conversations.Member),
        (f"{API}/conversations/{ID}/messages", messages.History),
        (f"{API}/conversations/{ID}/typing", conversations.TypingIndicator),
        (f"{API}/conversations/{ID}/read", conversations.ReadMark),
        (f"{API}/conversations/{ID}/level", conversations.ConversationLevel),
        (f"{API}/conversations/{ID}/changes", changes.ConversationChanges),
        (f"{API}/messages/{ID}", messages.Message),
        (f"{API}/messages/{ID}/report", reports.MessageReport),
        (f"{API}/messages/{ID}/reactions/([^/]{{1,400}})", messages.Reaction),
        (f"{API}/search/messages", notifications.MessageSearch),
        (f"{API}/in/{HOOK}", incoming.IncomingMessages),
    ],
    "Files": [
        (f"{API}/files/{ID}", file_downloads.FileContent),
        (f"{API}/files/{ID}/thumbnail", file_downloads.FileThumbnail),
        (f"{API}/files/{ID}/link", file_links.FileLink),
        (f"{API}/files", files.Files),
    ],
    "Community": [
        (f"{API}/posts", posts.Posts),
        (f"{API}/posts/{ID}", posts.Post),
        (f"{API}/posts/{ID}/like", posts.Like),
        (f"{API}/posts/{ID}/bookmark", posts.Bookmark),
        (f"{API}/posts/{ID}/report", reports.PostReport),
        (f"{API}/posts/{ID}/comments", comments.Comments),
        (f"{API}/comments/{ID}", comments.Comment),
        (f"{API}/groups", groups.Groups),
        (f"{API}/groups/{ID}/members/me", groups.GroupMembership),
    ],
    "Accounts": [
        (f"{API}/signup", signup.Signup),
        (f"{API}/signup/verify", signup.Verify),
        (f"{API}/signup/code", signup.SignupCode),
        (f"{API}/invitations/{CODE}", signup.InvitedSignup),
        (f"{API}/instance", instance.Instance),
        (f"{API}/setup", instance.Setup),
        (f"{API}/otp", signup.LoginCode),
        (f"{API}/login", sessions.Login),
        (f"{API}/logout", sessions.Logout),
        (f"{API}/me", accounts.Me),
        (f"{API}/me/export", exports.MyExport),
        (f"{API}/me/quiet", quiet_hours.QuietHours),
        (f"{API}/me/rehearsal", quiet_hours.Rehearsal),
        (f"{API}/me/blocks", blocks.Blocks),
        (f"{API}/me/blocks/{USER}", blocks.Block),
        (f"{API}/me/sessions", sessions.Sessions),
        (f"{API}/me/sessions/{ID}", sessions.Session),
        (f"{API}/me/push", push.PushSubscriptions),
        (f"{API}/users", accounts.Users),
        (f"{API}/users/{USER}", accounts.User),
    ],
    "The older client": [
        (f"{API}/communication/chats/", legacy.LegacyMessages),
        (f"{API}/communication/poll/events/", legacy.LegacyPoll),
    ],
    "Notifications": [
        (f"{API}/notifications", notifications.Notifications),
        (f"{API}/notifications/read", notifications.NotificationsReadMark),
        (f"{API}/notifications/{ID}/explain", notifications.NotificationExplanation),
        (f"{API}/notification-preferences", preferences.Preferences),
        (f"{API}/push/key", push.InstallationKey),
        (f"{API}/unsubscribe", preferences.Unsubscribe),
    ],
    "Admin": [
        (f"{API}/admin/users", users.AdminUsers),
        (f"{API}/admin/users/upsert", hosted.Upserts),
        (f"{API}/admin/users/activate", users.Activate),
        (f"{API}/admin/users/suspend", users.Suspend),
        (f"{API}/admin/users/{USER}", users.AdminUser),
        (f"{API}/admin/users/{USER}/tokens", users.AdminTokens),
        (f"{API}/admin/users/{USER}/export", users.UserExport),
        (f"{API}/admin/invitations", invitations.AdminInvitations),
        (f"{API}/admin/invitations/{ID}", invitations.AdminInvitation),
        (f"{API}/admin/instance", organisation.Organisation),
        (f"{API}/admin/test-mail", organisation.MailTest),
        (f"{API}/admin/watches", users.Watches),
        (f"{API}/admin/notifications", announcements.Announcements),
        (f"{API}/admin/notification-types", notification_types.NotificationTypes),
        (f"{API}/admin/notification-types/{TYPE}", notification_types.NotificationType),
        (f"{API}/admin/notify", notify.Notify),
        (f"{API}/admin/topics/{TOPIC}/members", topics.TopicMembers),
        (f"{API}/admin/topics/{TOPIC}/members/{USER}", topics.TopicMembership),
        (f"{API}/admin/explain", explain.Explain),
        (f"{API}/admin/log", log.AdminLog),
        (f"{API}/admin/hooks", hooks.AllIncomingHooks),
        (f"{API}/admin/conversations/{ID}/hooks", hooks.IncomingHooks),
        (f"{API}/admin/conversations/{ID}/hooks/{ID}", hooks.IncomingHook),
        (f"{API}/admin/webhooks", webhooks.Webhooks),
        (f"{API}/admin/webhooks/{ID}", webhooks.Webhook),
        (f"{API}/admin/webhooks/{ID}/test", webhooks.WebhookTest),
        (f"{API}/admin/webhooks/{ID}/rewind", webhooks.WebhookRewind),
        (f"{API}/activity", activity.ActivityReports),
        (f"{API}/admin/activity", activity.ActivityLog),
        (f"{API}/admin/activity/hourly", activity.ActivityHours),
        (f"{API}/admin/reports", admin_reports.AdminReports),
        (f"{API}/admin/reports/{ID}", admin_reports.AdminReport),
        (f"{API}/admin/audit", audit.AuditLog),
        (f"{API}/admin/import", history.HistoryImport),
        (f"{API}/admin/jobs", jobs.Jobs),
        (f"{API}/admin/jobs/{ID}/retry", jobs.DeadLetterRetry),
    ],
    "Operations": [
        (f"{API}/telemetry/send", operations.SendTelemetry),
        (f"{API}/telemetry/error", operations.ErrorTelemetry),
        ("/healthz", operations.Health),
        ("/readyz", operations.Readiness),
        ("/metrics", operations.Metrics),
        ("/metrics/targets", operations.MetricsTargets),
        (f"{API}/openapi.json", openapi.Document),
    ],
    "Pages": [
        ("/", static_files.Index),
        ("/api/docs", static_files.Docs),
        ("/service-worker.js", ServiceWorker),
        ("/static/(.+)", static_files.Static),
        ("/examples/(.+)", static_files.Example),
    ],
}
ROUTES = [route for routes in AREAS.values() for route in routes]


def route_name(pattern: str) -> str:
    """A route's pattern in logs and metrics: `/api/v1/messages/ID`."""
    names = {USER: "ID", ID: "ID", CODE: "CODE", HOOK: "SECRET", TYPE: "TYPE", TOPIC: "TOPIC"}
    names |= {"([^/]{1,400})": "EMOJI", "(.+)": "NAME"}
    for group, name in names.items():
        pattern = pattern.replace(group, name)
    return pattern


class Application(web.Application):
    """The routes over one gateway's services."""

    def __init__(
        self, services: Services, deadlines: Deadlines, ping_every_s: float = PING_EVERY_S, pong_within_s: float = PONG_WITHIN_S
    ) -> None:
        prefix, limits = secrets.token_hex(4), field_limits.module(AREAS, services.settings.file_max_mb * 1024 * 1024)
        made_files = {"shared/limits.js": limits}
        settings: dict[str, Any] = {
            "request_ids": map(f"{prefix}-{{}}".format, itertools.count(1)),
            "xsrf_cookie_kwargs": {"samesite": "Strict", "path": "/", "expires_days": COOKIE_DAYS},
            "websocket_max_message_size": 4096,
            "websocket_ping_interval": ping_every_s,
            "websocket_ping_timeout": pong_within_s,
            "deadlines": deadlines,
            "pace": Pace(services.committer.was_busy_lately, LIMITS_OF_CROWD),
            "turns": Pace(services.committer.was_busy_lately, LIMITS_OF_CALLER),
            "make_openapi_file": lambda: static_files.file_of(JSON, msgspec.json.encode(openapi.document(AREAS))),
            "made_files": made_files,
            "service_worker": service_worker(made_files),
            "make_embed_files": lambda: embed_files(limits),
            "log_function": lambda handler: None,  # gateway/http/traffic.py logs requests
        }
        for pattern, handler in ROUTES:
            handler.route, handler.has_user_in_path = route_name(pattern), USER in pattern
        create_failure_series((verb.upper(), handler.route) for _, handler in ROUTES for verb, *_ in openapi.verbs(handler))
        super().__init__(**settings)
        self.services = services
        self._routes = Routes(ROUTES)

    def refusal(self, slug: str) -> bytes:
        """The whole answer to a request that reaches no handler: it is not HTTP, or its head is too large. Counts and logs it."""
        problem, request_id = ProblemError(slug), str(next(self.settings["request_ids"]))
        answered = AnsweredRequest("OTHER", UNKNOWN_ROUTE, problem.status, 0.0, request_id, time.time())
        self.services.traffic.count(answered)
        body = problem.body()
        head = [
            f"HTTP/1.1 {problem.status} {problem.title}",
            "Content-Type: application/problem+json",
            f"Content-Length: {len(body)}",
            "Connection: close",
            f"Date: {DateHeader.now()}",
            "X-Content-Type-Options: nosniff",
            f"X-Request-Id: {request_id}",
        ]
        return "\r\n".join([*head, "", ""]).encode() + body

    def start_request(self, server_conn: object, request_conn: httputil.HTTPConnection) -> RequestReceiver:
        """Tornado's hook: the object that receives a request's head."""
        return RequestReceiver(self, server_conn, request_conn)

    def find_handler(self, request: httputil.HTTPServerRequest, **_: Any) -> BodyLimiter:  # type: ignore[override]
        """Tornado's hook: the object that receives a request's body and runs its handler."""
        assert isinstance(request, Request)
        handler, path_args = self._routes.find(request.path) or (NotFound, ())
        receiver = BodyStreamer if handler.streams_body and request.method == "POST" else BodyLimiter
        return receiver(self, request, handler, path_args)

"""Every metric, declared once: code that measures imports a constant from here.

Latencies are in seconds. A label has few values, all known when the code is written: never a user, a conversation, an id or a raw
path.
"""

from collections.abc import Iterable

from prometheus_client import Counter, Gauge

from metrics.latency import Latency
from metrics.tally import Tally

# Dense around the objectives for send and delivery, then up to the 30 s of a long poll.
# fmt: off
LATENCY_BUCKETS_S = (
    0.0005, 0.001, 0.0015, 0.002, 0.003, 0.004, 0.005, 0.0075,
    0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25,
    0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
)
# fmt: on
BATCH_SIZE_BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200)


def _latency(name: str, help_text: str, *labels: str) -> Latency:
    return Latency(f"bellwire_{name}_seconds", help_text, labels, buckets=LATENCY_BUCKETS_S)


def _counter(name: str, help_text: str, *labels: str) -> Counter:
    return Counter(f"bellwire_{name}_total", help_text, labels)


def _tally(name: str, help_text: str, *labels: str) -> Tally:
    return Tally(f"bellwire_{name}_total", help_text, labels)


def begin_at_0(counter: Counter, values: Iterable[str]) -> None:
    """Create the series of these values of a counter's label: Prometheus sees no increase in a series that begins at 1."""
    for value in values:
        counter.labels(value)


def _gauge(name: str, help_text: str, *labels: str) -> Gauge:
    return Gauge(f"bellwire_{name}", help_text, labels)


# Sending and delivering
MESSAGE_SEND_SECONDS = _latency("message_send", "POST received to answer written: ok, duplicate, refused, error", "outcome")
MESSAGES_SENT_TOTAL = _tally("messages_sent", "Acknowledged sends, direct or group", "kind")
SEND_STAGE_SECONDS = _latency("send_stage", "Time of each stage of a send: parse, authorize, wait, commit, publish", "stage")
DELIVERY_SECONDS = _latency("delivery", "Event committed to bytes written to a waiting subscriber's socket", "transport")
TAIL_LAG_SECONDS = _latency("tail_lag", "Age of another process's event when this gateway reads it")
CLIENT_SEND_SECONDS = _latency("client_send", "Sends as clients measured them")
CLIENT_ERRORS_TOTAL = _counter("client_errors", "Errors in the page, by its part", "where")
POLLS_OPEN = _gauge("polls_open", "Subscriptions that wait now: poll, sse, ws", "transport")
POLL_SECONDS = _latency("poll", "Time that a poll was open: events, empty, gone, aborted", "outcome")

# The committer and the log
COMMIT_SECONDS = _latency("commit", "A transaction of the committer, from BEGIN to COMMIT on disk")
COMMIT_BATCH_SIZE = Latency(
    "bellwire_commit_batch_size", "Operations in one transaction of the committer", buckets=BATCH_SIZE_BUCKETS
)
OPERATION_SECONDS = _latency("operation", "An operation under the log's lock, or the sends that a transaction posts together")
COMMIT_QUEUE = _gauge("commit_queue", "Operations waiting for the committer")
LOG_EVENTS_TOTAL = _counter("log_events", "Events appended to the log by this process")
LOG_LAG_SECONDS = _gauge("log_lag_seconds", "Age of the oldest event that a consumer has not processed", "consumer")

# Background work
JOB_SECONDS = _latency("job", "Run time of a task", "task", "outcome")
JOB_WAIT_SECONDS = _latency("job_wait", "A task's time from enqueued to started", "task")
QUEUE_DEPTH = _gauge("queue_depth", "Tasks that wait in the queue", "queue")
QUEUE_OLDEST_SECONDS = _gauge("queue_oldest_seconds", "Age of the oldest task that waits in the queue", "queue")
QUEUE_FALLBACK_TOTAL = _counter("queue_fallback", "Work done by the gateway because the queue refused it", "task")
NOTIFICATIONS_TOTAL = _counter("notifications", "Notifications made", "type", "channel")
DRAIN_SECONDS = _latency("drain", "One run of a drain", "consumer")
DRAIN_ROWS_TOTAL = _counter("drain_rows", "Rows written by drains", "consumer")
DEAD_EVENTS_TOTAL = _counter("dead_events", "Events parked as dead letters", "consumer")

# Accounts and mail
SIGNUP_STAGE_SECONDS = _latency("signup_stage", "Time of each stage of a sign-up: hash, wait, commit", "stage")
EMAILS_TOTAL = _counter("emails", "Mails: sent, deferred, dead, dropped", "kind", "outcome")
EMAIL_SECONDS = _latency("email", "Time to send a mail to the relay", "kind", "outcome")

# Webhooks
WEBHOOK_SECONDS = _latency("webhook", "A delivery to a webhook: accepted, refused by its receiver, failed", "outcome")
WEBHOOK_LAG_SECONDS = _gauge("webhook_lag_seconds", "Age of the oldest event that an active webhook has not taken")
REPORTS_OPEN = _gauge("reports_open", "Reported messages and posts that no admin has closed")
REPORTS_OLDEST_SECONDS = _gauge("reports_oldest_seconds", "Age of the oldest open report; 0 without one")
WEBHOOKS = _gauge("webhooks", "Webhooks: active, failing, paused, disabled", "state")

# Push
PUSHES_TOTAL = _counter("pushes", "Pushes: sent, recalled, deferred, dead, dropped, gone (with their subscription)", "outcome")
PUSH_SECONDS = _latency("push", "Time to send a push to its service", "outcome")
PUSHES_WAITING = _gauge("pushes_waiting", "Pushes that are due and not sent")

# Files
FILE_UPLOADS_TOTAL = _counter("file_uploads", "Uploads: ok, too_large, quota, broken, full, invalid, error", "outcome")
FILE_PICTURES_TOTAL = _counter("file_pictures", "Pictures that were looked at: ok, failed, retried", "outcome")
FILE_THUMBNAIL_SECONDS = _latency("file_thumbnail", "A picture's time from its send until its thumbnail is there")
FILES_PENDING = _gauge("files_pending", "Pictures of messages and posts that nobody has looked at yet")
FILES_STORED_BYTES = _gauge("files_stored_bytes", "Size of all stored files, with thumbnails")

# The store
TABLE_ROWS = _gauge("table_rows", "Rows of a table", "table")
DATABASE_BYTES = _gauge("database_bytes", "Size of the database")
WAL_BYTES = _gauge("wal_bytes", "Size of SQLite's write-ahead log; 0 on PostgreSQL, which bounds its own")
DISK_FREE_BYTES = _gauge("disk_free_bytes", "Free space on the disk of the data folder")

# The gateway
READY = _gauge("ready", "1 while this gateway is ready for requests: /readyz answers 200")
DEGRADED = _gauge("degraded", "1 while a part does not work although every promise is kept: what /readyz lists", "part")
HTTP_REQUESTS_TOTAL = _tally("http_requests", "Requests answered, by the route's pattern", "method", "route", "status")
HTTP_REQUEST_SECONDS = _latency("http_request", "Time to answer a request", "method", "route", "status")
LOOP_LAG_SECONDS = _latency("loop_lag", "Delay of the event loop's timers")
CHANNEL_LOST_TOTAL = _counter(
    "channel_lost", "Messages between the gateways of one serve that were dropped: sent, received", "side"
)
RATE_LIMITED_TOTAL = _counter("rate_limited", "Requests refused by a rate limit", "what")
AUTH_FAILURES_TOTAL = _counter("auth_failures", "Refused tokens, passwords and codes", "what")
FAILURES_TOTAL = _counter("failures", "Failures of a background loop, or of what it depends on", "what")
BUILD_INFO = _gauge(
    "build_info", "Always 1; the labels name the version, database, queue and bus", "version", "database", "queue", "bus"
)

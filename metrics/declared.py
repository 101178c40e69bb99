"""Every metric, declared once. Whoever measures something imports its constant from here.

Latencies are in seconds. No label holds a user, a conversation, an id or a raw path: a label's values are few, and
known when the code is written.
"""

from prometheus_client import Counter, Gauge

from metrics.latency import Latency

# Dense where the objectives for send and delivery lie, then up to a long poll's 30 s.
LATENCY_BUCKETS_S = (
    *(0.0005, 0.001, 0.0015, 0.002, 0.003, 0.004, 0.005, 0.0075),
    *(0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25),
    *(0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
BATCH_SIZE_BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200)


def _latency(name: str, tells: str, *labels: str) -> Latency:
    return Latency(f"bellwire_{name}_seconds", tells, labels, buckets=LATENCY_BUCKETS_S)


def _counter(name: str, tells: str, *labels: str) -> Counter:
    return Counter(f"bellwire_{name}_total", tells, labels)


def _gauge(name: str, tells: str, *labels: str) -> Gauge:
    return Gauge(f"bellwire_{name}", tells, labels)


# Sending and delivering
MESSAGE_SEND_SECONDS = _latency("message_send", "POST received to answer written: ok, duplicate, refused, error", "outcome")
MESSAGES_SENT_TOTAL = _counter("messages_sent", "Acknowledged sends, direct or group", "kind")
SEND_STAGE_SECONDS = _latency("send_stage", "Where a send's time goes: parse, authorize, wait, commit, publish", "stage")
DELIVERY_SECONDS = _latency("delivery", "Event committed to bytes handed to a waiting reader's socket", "transport")
TAIL_LAG_SECONDS = _latency("tail_lag", "Age of another process's event when this gateway has read it")
CLIENT_SEND_SECONDS = _latency("client_send", "Sends as clients measured them")
POLLS_OPEN = _gauge("polls_open", "Readers waiting now: poll, sse, ws", "transport")
POLL_SECONDS = _latency("poll", "Time a poll was open: events, empty, gone, aborted", "outcome")

# The committer and the log
COMMIT_SECONDS = _latency("commit", "A transaction of the committer, from BEGIN to durable")
COMMIT_BATCH_SIZE = Latency(
    "bellwire_commit_batch_size", "Operations in one transaction of the committer", buckets=BATCH_SIZE_BUCKETS
)
COMMIT_QUEUE = _gauge("commit_queue", "Operations waiting for the committer")
LOG_EVENTS_TOTAL = _counter("log_events", "Events appended to the log by this process")
LOG_LAG_SECONDS = _gauge("log_lag_seconds", "Age of the oldest event that a drain has not handled", "consumer")

# Background work
JOB_SECONDS = _latency("job", "Run time of a task", "task", "outcome")
JOB_WAIT_SECONDS = _latency("job_wait", "A task's time from enqueued to started", "task")
QUEUE_DEPTH = _gauge("queue_depth", "Tasks that wait in the queue", "queue")
QUEUE_OLDEST_SECONDS = _gauge("queue_oldest_seconds", "Age of the oldest task that waits in the queue", "queue")
QUEUE_FALLBACK_TOTAL = _counter("queue_fallback", "Work done by the gateway since the queue refused it", "task")
NOTIFICATIONS_TOTAL = _counter("notifications", "Notifications made", "type", "channel")
DRAIN_SECONDS = _latency("drain", "One run of a drain", "consumer")
DRAIN_ROWS_TOTAL = _counter("drain_rows", "Rows that drains wrote", "consumer")
DEAD_EVENTS_TOTAL = _counter("dead_events", "Events that a drain gave up on", "consumer")

# Accounts and mail
SIGNUP_STAGE_SECONDS = _latency("signup_stage", "Where a sign-up's time goes: hash, wait, commit", "stage")
EMAILS_TOTAL = _counter("emails", "Mails: sent, deferred, dead, dropped", "kind", "outcome")
EMAIL_SECONDS = _latency("email", "Handing a mail to the relay", "kind", "outcome")

# The store
TABLE_ROWS = _gauge("table_rows", "Rows of a table", "table")
DATABASE_BYTES = _gauge("database_bytes", "Size of the database")
DISK_FREE_BYTES = _gauge("disk_free_bytes", "Room left on the disk of the data folder")

# The gateway
HTTP_REQUESTS_TOTAL = _counter("http_requests", "Requests answered, by the route's pattern", "method", "route", "status")
HTTP_REQUEST_SECONDS = _latency("http_request", "Time to answer a request", "method", "route", "status")
LOOP_LAG_SECONDS = _latency("loop_lag", "How late the event loop runs what is due")
RATE_LIMITED_TOTAL = _counter("rate_limited", "Requests refused by a rate limit", "what")
AUTH_FAILURES_TOTAL = _counter("auth_failures", "Refused tokens, passwords and codes", "what")
BUILD_INFO = _gauge("build_info", "Always 1; the labels say what runs", "version", "database", "queue", "bus")

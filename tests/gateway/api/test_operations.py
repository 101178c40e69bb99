import shutil

import httpx
import pytest

from models.log import event
from tests.gateway.client import Client, fields, problem
from tests.gateway.running import Gateway
from tests.gateway.transports import socket, stream
from tests.waiting import until


def test_health_and_readiness_need_no_token(gateway: Gateway) -> None:
    assert gateway.anonymous().get("//healthz").status_code == 200
    ready = gateway.anonymous().get("//readyz")
    assert ready.status_code == 200
    assert set(ready.json()["degraded"]) <= {"workers"}, "none runs beside this gateway"


def not_ready(gateway: Gateway) -> httpx.Response | None:
    """Return the answer of /readyz if it is not 200. It is kept in memory, so it follows the store by about a second."""
    answer = gateway.anonymous().get("//readyz")
    return None if answer.status_code == 200 else answer


def test_a_store_without_its_schema_is_not_ready(gateway: Gateway) -> None:
    table = "schema_migration"
    gateway.execute(f"ALTER TABLE {table} RENAME TO elsewhere")
    try:
        answer = until(lambda: not_ready(gateway))
        body = problem(answer, 503, "unavailable")
        assert body["failing"] == ["schema"]
        assert answer.headers["Retry-After"]
        assert gateway.anonymous().get("//healthz").status_code == 200
    finally:
        gateway.execute("DROP TABLE IF EXISTS " + table)
        gateway.execute(f"ALTER TABLE elsewhere RENAME TO {table}")
    until(lambda: not_ready(gateway) is None)


def test_a_request_during_a_store_failure_is_503_and_reveals_nothing_internal(gateway: Gateway, ana: Client) -> None:
    gateway.execute("ALTER TABLE profiles RENAME TO elsewhere")
    try:
        answer = ana.get("/me")
        problem(answer, 503, "unavailable")
        assert answer.headers["Retry-After"]
    finally:
        gateway.execute("ALTER TABLE elsewhere RENAME TO profiles")
    assert ana.get("/me").status_code == 200


def test_metrics_are_prometheus_text_or_openmetrics(gateway: Gateway) -> None:
    text = gateway.anonymous().get("//metrics")
    assert text.headers["Content-Type"].startswith("text/plain")
    openmetrics = gateway.anonymous().get("//metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert openmetrics.headers["Content-Type"].startswith("application/openmetrics-text")
    assert openmetrics.text.endswith("# EOF\n")


def test_sends_are_counted_by_outcome_and_kind_and_the_stages_sum_to_the_duration(
    gateway: Gateway, ana: Client, ben: Client
) -> None:
    def sends(outcome: str) -> float:
        return gateway.metric("bellwire_message_send_seconds_count", outcome=outcome)

    before = {o: sends(o) for o in ("ok", "duplicate", "refused", "error")}
    kinds = {k: gateway.metric("bellwire_messages_sent_total", kind=k) for k in ("direct", "group")}
    group = ana.group(ben)
    for n in range(20):
        ana.send("hi", to=ben, client_id=f"m{n}")
    ana.send("hi", at=group)
    for n in range(3):
        ana.post("/messages", {"to": ben.id, "body": "hi", "client_id": f"m{n}"})
    ana.post("/messages", {"to": ben.id, "body": ""})
    ana.post("/messages", {"to": 10**15, "body": "hi"})

    assert {o: sends(o) - before[o] for o in before} == {"ok": 21, "duplicate": 3, "refused": 2, "error": 0}
    assert gateway.metric("bellwire_messages_sent_total", kind="direct") - kinds["direct"] == 20
    assert gateway.metric("bellwire_messages_sent_total", kind="group") - kinds["group"] == 1

    answered = sum(gateway.metric("bellwire_message_send_seconds_sum", outcome=o) for o in ("ok", "duplicate"))
    stages = {labels["stage"]: value for labels, value in gateway.samples("bellwire_send_stage_seconds_sum")}
    assert set(stages) == {"parse", "authorize", "wait", "commit", "publish"}
    assert all(value > 0 for value in stages.values())
    assert sum(stages.values()) == pytest.approx(answered, rel=0.03)


def test_deliveries_are_measured_on_every_transport(gateway: Gateway, ana: Client, ben: Client) -> None:
    def delivered(transport: str) -> float:
        return gateway.metric("bellwire_delivery_seconds_count", transport=transport)

    conversation = ana.send("hi", to=ben)["conversation"]
    before = {t: delivered(t) for t in ("poll", "sse", "ws")}
    with stream(ben) as event_stream, socket(ben) as web_socket:
        next(event_stream.blocks())
        web_socket.frame()
        poll = ben.polling(ben.now())
        gateway.waiting(1)
        for transport in ("poll", "sse", "ws"):
            assert gateway.metric("bellwire_polls_open", transport=transport) == 1
        ana.send("there", at=conversation)
        assert poll.result().json()["events"]
        event_stream.events(1)
        web_socket.events(1)
        ana.send("a second one, so that the first is counted", at=conversation)
        event_stream.events(1)
        web_socket.events(1)

    gateway.waiting(0, "sse")
    gateway.waiting(0, "ws")
    assert delivered("poll") - before["poll"] == 1
    assert delivered("sse") - before["sse"] >= 1
    assert delivered("ws") - before["ws"] >= 1


def test_polls_are_counted_by_outcome(gateway: Gateway, ana: Client, ben: Client) -> None:
    def polls(outcome: str) -> float:
        return gateway.metric("bellwire_poll_seconds_count", outcome=outcome)

    before = {o: polls(o) for o in ("events", "empty", "gone")}
    ana.send("hi", to=ben)
    ben.poll("begin")
    ben.poll(ben.now())
    ben.get("/events", cursor="00000000-1")
    assert {o: polls(o) - before[o] for o in before} == {"events": 1, "empty": 1, "gone": 1}


def test_the_committer_the_log_and_the_loop_are_measured(gateway: Gateway, ana: Client, ben: Client) -> None:
    before = gateway.metric("bellwire_log_events_total")
    ana.send("hi", to=ben)

    assert gateway.metric("bellwire_log_events_total") - before == 3
    assert gateway.metric("bellwire_commit_seconds_count") > 0
    assert gateway.metric("bellwire_commit_seconds_sum") > 0
    assert gateway.metric("bellwire_commit_batch_size_count") > 0
    assert gateway.metric("bellwire_commit_queue") == 0
    assert [labels["database"] for labels, value in gateway.samples("bellwire_build_info") if value == 1] == [gateway.kind]


def test_the_lag_of_events_of_another_process_is_measured(gateway: Gateway) -> None:
    before = gateway.metric("bellwire_tail_lag_seconds_count")
    with gateway.store(), event.transaction() as tx:
        tx.append("user:1", "read.updated", b"{}")

    until(lambda: gateway.metric("bellwire_tail_lag_seconds_count") > before)


def test_the_free_disk_space_is_measured_at_the_first_scrape(gateway: Gateway) -> None:
    total = shutil.disk_usage(gateway.data).total
    assert 0 < gateway.metric("bellwire_disk_free_bytes") <= total


@pytest.mark.parametrize(
    "name",
    [
        "bellwire_message_send_seconds",
        "bellwire_messages_sent_total",
        "bellwire_send_stage_seconds",
        "bellwire_delivery_seconds",
        "bellwire_tail_lag_seconds",
        "bellwire_client_send_seconds",
        "bellwire_polls_open",
        "bellwire_poll_seconds",
        "bellwire_commit_seconds",
        "bellwire_commit_batch_size",
        "bellwire_operation_seconds",
        "bellwire_commit_queue",
        "bellwire_log_events_total",
        "bellwire_log_lag_seconds",
        "bellwire_job_seconds",
        "bellwire_job_wait_seconds",
        "bellwire_queue_depth",
        "bellwire_queue_oldest_seconds",
        "bellwire_queue_fallback_total",
        "bellwire_notifications_total",
        "bellwire_emails_total",
        "bellwire_email_seconds",
        "bellwire_signup_stage_seconds",
        "bellwire_table_rows",
        "bellwire_database_bytes",
        "bellwire_wal_bytes",
        "bellwire_disk_free_bytes",
        "bellwire_drain_seconds",
        "bellwire_drain_rows_total",
        "bellwire_dead_events_total",
        "bellwire_http_requests_total",
        "bellwire_http_request_seconds",
        "bellwire_loop_lag_seconds",
        "bellwire_ready",
        "bellwire_degraded",
        "bellwire_failures_total",
        "bellwire_rate_limited_total",
        "bellwire_auth_failures_total",
        "bellwire_build_info",
    ],
)
def test_each_metric_is_exposed_under_its_name(gateway: Gateway, name: str) -> None:
    assert f"# TYPE {name} " in gateway.anonymous().get("//metrics").text


def test_refused_tokens_are_counted(gateway: Gateway, ana: Client) -> None:
    before = gateway.metric("bellwire_auth_failures_total", what="token")
    ana.with_token("dead").get("/me")

    assert gateway.metric("bellwire_auth_failures_total", what="token") == before + 1


def test_no_label_contains_text_of_a_client(gateway: Gateway, ana: Client) -> None:
    def labels() -> set[tuple[str, str, str]]:
        return {
            (sample["method"], sample["route"], sample["status"])
            for sample, count in gateway.samples("bellwire_http_requests_total")
            if count
        }

    for n in range(30):
        ana.call(f"BREW{n}", f"/me{n}")
        ana.call(f"BREW{n}", "/me")
        ana.get(f"/nothing/{n}/{ana.id}")
        ana.get(f"/users/{1000 + n}")
        ana.put(f"/messages/{n + 1}/reactions/x{n}")
    assert ("OTHER", "unknown", "405") in labels()
    assert ("GET", "unknown", "404") in labels()
    assert ("GET", "/api/v1/users/ID", "404") in labels()
    series = [line.rpartition(" ")[0] for line in gateway.anonymous().get("//metrics").text.splitlines()]
    for text in ("BREW", "nothing", "x29", "1029", ana.name):
        assert not [name for name in series if text in name]
    assert len(labels()) < 60


def test_measurements_of_senders_are_recorded(gateway: Gateway, ana: Client) -> None:
    before = gateway.metric("bellwire_client_send_seconds_count")

    assert ana.post("/telemetry/send", {"seconds": [0, 0.25, 300, 1]}).status_code == 204
    assert gateway.metric("bellwire_client_send_seconds_count") - before == 4
    assert gateway.metric("bellwire_client_send_seconds_sum") >= 301.25
    assert ana.post("/telemetry/send", {"seconds": []}).status_code == 204


@pytest.mark.parametrize("seconds", [[-0.1], [300.1], [0.1] * 101, ["1"], [None], "1", None])
def test_an_invalid_measurement_is_named(gateway: Gateway, ana: Client, seconds: object) -> None:
    before = gateway.metric("bellwire_client_send_seconds_count")
    (field,) = fields(ana.post("/telemetry/send", {"seconds": seconds}))

    assert field.partition(".")[0] == "seconds"
    assert gateway.metric("bellwire_client_send_seconds_count") == before


def test_measurements_need_a_token(gateway: Gateway) -> None:
    problem(gateway.anonymous().post("/telemetry/send", {"seconds": [1]}), 401, "unauthorized")


def test_an_error_of_a_client_is_counted_by_its_part_and_the_parts_are_bounded(gateway: Gateway) -> None:
    def report(where: str) -> int:
        answer = gateway.anonymous().post("/telemetry/error", {"where": where, "what": "TypeError chat.js:12"})
        return answer.status_code

    def counted(where: str) -> float:
        return gateway.metric("bellwire_client_errors_total", where=where)

    parts = {"page", "area", "event", "events", "section", "state", "other"}
    begun = {labels["where"]: value for labels, value in gateway.samples("bellwire_client_errors_total")}
    assert begun == dict.fromkeys(parts, 0), "Prometheus sees no increase in a series that begins at 1"
    assert [report("page"), report("page")] == [204, 204]
    assert {report(f"part-{number}") for number in range(60)} == {204}
    assert report("state") == 204, "those that were invented are in nobody's place"
    assert (counted("page"), counted("other"), counted("state")) == (2, 60, 1)
    assert {labels["where"] for labels, _ in gateway.samples("bellwire_client_errors_total")} == parts


@pytest.mark.parametrize(
    ("report", "field"),
    [
        ({"where": "Chat!", "what": "x"}, "where"),
        ({"where": "chat\n", "what": "x"}, "where"),
        ({"where": "a" * 41, "what": "x"}, "where"),
        ({"where": "chat", "what": ""}, "what"),
        ({"where": "chat", "what": "x" * 101}, "what"),
        *(({"where": "chat", "what": f"Error {text}"}, "what") for text in ("\x1b[2J", "\x1b]0;x\x07", "\x9b2J", "a\nb", "\u202e")),
        ({"where": "chat"}, "what"),
    ],
)
def test_a_report_of_an_error_has_a_part_and_few_words(gateway: Gateway, report: dict[str, str], field: str) -> None:
    assert fields(gateway.anonymous().post("/telemetry/error", report)) == [field]

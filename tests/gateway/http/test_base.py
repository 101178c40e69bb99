import json
import re
import socket
from collections.abc import Callable

import httpx
import pytest

from tests.gateway.client import Client, fields, problem
from tests.gateway.running import Gateway
from tests.waiting import until

pytestmark = pytest.mark.only("sqlite")  # the store has no part in it

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["/nothing", "/", "//etc/passwd", "/messages/", "//static/../run.py", "/users/1/nothing"])
def test_a_request_without_a_route_gets_a_problem_document(gateway: Gateway, method: str, path: str) -> None:
    problem(gateway.anonymous().call(method, path), 404, "not-found")


@pytest.mark.parametrize(
    ("method", "path"), [("DELETE", "/messages"), ("POST", "/state"), ("PUT", "/me"), ("GET", "/login"), ("BREW", "/me")]
)
def test_a_wrong_method_is_405_and_the_allowed_ones_are_named(ana: Client, method: str, path: str) -> None:
    answer = ana.call(method, path)

    problem(answer, 405, "method-not-allowed")
    assert method not in answer.headers["Allow"].split(", ")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"nothing",
        b'{"body":"x"',
        b'{"unknown":"x"',
        b'{"to":2,"body":"x"} trailing',
        b"[" * 100_000,
        b'{"body":' * 20_000,
        b'{"to":2,"body":"x","extra":' + b"[" * 100_000,
        b'{"to":2,"body":"\xff\xfe"}',
        b'{"to":2,"body":"\\ud800"}',
        b'{"to":2,"\xff":1}',
        b"\xef\xbb\xbf{}",
        b'{"to":NaN,"body":"x"}',
    ],
    ids=range(13),
)
def test_invalid_json_is_400(ana: Client, body: bytes) -> None:
    problem(ana.post("/messages", content=body, headers=JSON), 400, "malformed")


@pytest.mark.parametrize("body", [b"[]", b"5", b"null", b'"text"', b"true"])
def test_json_that_is_not_an_object_is_422(ana: Client, body: bytes) -> None:
    problem(ana.post("/messages", content=body, headers=JSON), 422, "invalid")


def test_valid_json_that_is_nested_too_deeply_is_400(ana: Client) -> None:
    body = b'{"to":2,"body":"x","extra":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    problem(ana.post("/messages", content=body, headers=JSON), 400, "malformed")
    assert ana.get("/me").status_code == 200


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("to", 2**53),
        ("to", 2**63),
        ("to", 2**64),
        ("to", 10**400),
        ("to", -1),
        ("to", 0),
        ("to", "2"),
        ("to", 1.5),
        ("to", True),
        ("to", [2]),
        ("body", 5),
        ("body", None),
        ("client_id", 5),
        ("priority", 1),
        ("reply_to", 2**63),
        ("reply_to", "x"),
        ("surprise", 1),
    ],
)
def test_an_invalid_field_is_named(ana: Client, ben: Client, field: str, value: object) -> None:
    body = {"to": ben.id, "body": "hi", field: value}

    assert fields(ana.post("/messages", content=json.dumps(body), headers=JSON)) == [field]


def test_a_number_outside_the_range_of_floats_is_named(ana: Client) -> None:
    assert fields(ana.post("/telemetry/send", content=b'{"seconds":[1e400]}', headers=JSON)) == ["seconds.0"]


@pytest.mark.parametrize(
    ("user", "field"),
    [
        ({"username": "fine", "email": 5}, "users.1.email"),
        ({"username": "fine"}, "users.1.email"),
        ({"username": "fine", "email": "a@example.org", "surprise": 1}, "users.1.surprise"),
        ("text", "users.1"),
    ],
)
def test_a_field_inside_a_list_is_named_with_its_index(admin: Client, user: object, field: str) -> None:
    first = {"username": "first", "email": "first@example.org"}

    assert fields(admin.post("/admin/users", {"users": [first, user]})) == [field]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", None])
def test_a_body_with_another_content_type_is_415(gateway: Gateway, ana: Client, kind: str | None) -> None:
    headers = {} if kind is None else {"Content-Type": kind}

    problem(ana.post("/messages", content=b'{"body":"x"}', headers=headers), 415, "unsupported-media-type")
    problem(ana.post("/messages", files={"body": b"x"}), 415, "unsupported-media-type")


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; charset=utf-8"])
def test_the_content_type_of_json_may_name_a_charset(ana: Client, ben: Client, kind: str) -> None:
    body = json.dumps({"to": ben.id, "body": "hi"})

    assert ana.post("/messages", content=body, headers={"Content-Type": kind}).status_code == 201


LIMITS = [
    ("/me", "PATCH", 64),
    ("/nothing", "POST", 64),
    ("/messages", "POST", 256),
    ("/communication/chats/", "POST", 256),
    ("/admin/users", "POST", 2048),
]


@pytest.mark.parametrize(("path", "method", "kib"), LIMITS)
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_beyond_the_limit_of_its_route_is_413(admin: Client, path: str, method: str, kib: int, chunked: bool) -> None:
    def answer(size: int) -> httpx.Response:
        body = b'{"surprise":"' + b"x" * (size - 15) + b'"}'
        content = iter([body[n : n + 65_536] for n in range(0, size, 65_536)]) if chunked else body
        return admin.call(method, path, content=content, headers=JSON)

    if path == "/nothing":
        problem(answer(kib * 1024 + 1), 404, "not-found")
        return
    problem(answer(kib * 1024), 422, "invalid")
    problem(answer(kib * 1024 + 1), 413, "too-large")
    problem(answer(kib * 1024 * 3), 413, "too-large")


ID_ROUTES = [
    ("GET", "/users/{}"),
    ("DELETE", "/me/sessions/{}"),
    ("GET", "/conversations/{}"),
    ("PATCH", "/conversations/{}"),
    ("PUT", "/conversations/{}/members/1"),
    ("DELETE", "/conversations/{}/members/1"),
    ("GET", "/conversations/{}/messages"),
    ("POST", "/conversations/{}/typing"),
    ("POST", "/conversations/{}/read"),
    ("GET", "/messages/{}"),
    ("PATCH", "/messages/{}"),
    ("DELETE", "/messages/{}"),
    ("PUT", "/messages/{}/reactions/x"),
    ("DELETE", "/messages/{}/reactions/x"),
    ("PATCH", "/admin/users/{}"),
    ("POST", "/admin/users/{}/tokens"),
    ("DELETE", "/admin/users/{}/tokens"),
    ("POST", "/admin/jobs/{}/retry"),
]
BODIES = {
    "conversations/{}": {"title": "x"},
    "typing": {"typing": True},
    "read": {"message": 1},
    "messages/{}": {"body": "x"},
    "users/{}": {},
    "tokens": {},
    "retry": {},
}


@pytest.mark.parametrize(("method", "path"), ID_ROUTES)
def test_an_invalid_or_unknown_id_is_404(admin: Client, method: str, path: str) -> None:
    body = next((b for end, b in BODIES.items() if path.endswith(end)), None) if method in ("POST", "PATCH") else None
    for number in ("0", "-1", "x", "1e3", "%00", "9" * 15, str(2**53), str(2**63), str(2**64), "9" * 50, "١"):
        problem(admin.call(method, path.format(number), body), 404, "not-found")


def test_objects_of_other_users_are_404_on_every_route(ana: Client, ben: Client, cleo: Client) -> None:
    group = ana.group(ben)
    message = ana.send("secret", at=group)["id"]
    calls = {
        ("GET", f"/conversations/{group}"): None,
        ("PATCH", f"/conversations/{group}"): {"title": "mine"},
        ("PUT", f"/conversations/{group}/members/{cleo.id}"): None,
        ("DELETE", f"/conversations/{group}/members/{ben.id}"): None,
        ("DELETE", f"/conversations/{group}/members/{cleo.id}"): None,
        ("GET", f"/conversations/{group}/messages"): None,
        ("POST", f"/conversations/{group}/typing"): {"typing": True},
        ("POST", f"/conversations/{group}/read"): {"message": message},
        ("POST", "/messages"): {"conversation": group, "body": "hi"},
        ("GET", f"/messages/{message}"): None,
        ("PATCH", f"/messages/{message}"): {"body": "mine"},
        ("DELETE", f"/messages/{message}"): None,
        ("PUT", f"/messages/{message}/reactions/x"): None,
        ("DELETE", f"/messages/{message}/reactions/x"): None,
    }

    for (method, path), body in calls.items():
        problem(cleo.call(method, path, body), 404, "not-found")
    assert ana.get(f"/messages/{message}").json()["body"] == "secret"


ADMIN_ROUTES = [("GET", "/admin/users"), ("POST", "/admin/users"), ("PATCH", "/admin/users/1"), ("POST", "/admin/users/1/tokens")]
ADMIN_ROUTES += [
    ("DELETE", "/admin/users/1/tokens"),
    ("GET", "/admin/watches"),
    ("PUT", "/admin/watches"),
    ("GET", "/admin/activity"),
    ("GET", "/admin/activity/hourly"),
]
ADMIN_ROUTES += [("GET", "/admin/jobs"), ("POST", "/admin/jobs/1/retry")]


@pytest.mark.parametrize(("method", "path"), ADMIN_ROUTES)
def test_admin_routes_are_for_admins(gateway: Gateway, ana: Client, method: str, path: str) -> None:
    problem(gateway.anonymous().call(method, path), 401, "unauthorized")
    problem(ana.call(method, path), 403, "forbidden")


@pytest.mark.parametrize("scheme", ["Bearer", "Token", "bearer", "TOKEN"])
def test_a_token_is_sent_as_bearer_or_token(gateway: Gateway, ana: Client, scheme: str) -> None:
    answer = gateway.anonymous().get("/me", headers={"Authorization": f"{scheme} {ana.token}"})

    assert answer.json()["id"] == ana.id


@pytest.mark.parametrize("header", ["", "Bearer", "Basic x", "Bearer a b", "Bearer \xff", "Bearer " + "x" * 5000])
def test_an_invalid_authorization_header_is_401(gateway: Gateway, header: str) -> None:
    answer = gateway.anonymous().get("/me", headers={"Authorization": header.encode("latin-1")})  # type: ignore[dict-item]

    problem(answer, 401, "unauthorized")


def test_a_token_in_the_query_is_valid_only_for_event_endpoints(gateway: Gateway, ana: Client) -> None:
    anonymous = gateway.anonymous()

    assert anonymous.get("/events", token=ana.token).status_code == 200
    for path in ("/me", "/conversations", "/notifications", "/users"):
        problem(anonymous.get(path, token=ana.token), 401, "unauthorized")
    assert ana.token is not None
    assert ana.token not in gateway.stderr()


def test_every_answer_has_the_request_id_of_the_client_if_it_is_valid(gateway: Gateway, ana: Client) -> None:
    for path in ("/me", "/nothing", "//healthz", "//metrics", "/events"):
        assert ana.get(path, headers={"X-Request-Id": "job-7.a_B"}).headers["X-Request-Id"] == "job-7.a_B"

    for sent in ("", "a b", "x" * 65, "<script>", "a;b", "é"):
        request_id = ana.get("/me", headers={"X-Request-Id": sent.encode("latin-1")}).headers["X-Request-Id"]  # type: ignore[dict-item]
        assert request_id != sent
        assert request_id.replace("-", "").isalnum()
    assert ana.get("/me").headers["X-Request-Id"] != ana.get("/me").headers["X-Request-Id"]


@pytest.fixture(scope="module")
def guarded(make_gateway: Callable[..., Gateway]) -> Gateway:
    """A gateway that trusts no proxy, refuses metrics to this machine, and allows one origin."""
    return make_gateway(METRICS_ALLOW="192.0.2.0/24", ALLOWED_ORIGINS="https://app.example.org")


@pytest.fixture(scope="module")
def proxied(make_gateway: Callable[..., Gateway]) -> Gateway:
    """A gateway behind a proxy that runs on this machine."""
    return make_gateway(TRUSTED_PROXIES="127.0.0.1/32,198.51.100.7/32")


def test_metrics_are_for_allowed_addresses_and_never_for_forwarded_requests(gateway: Gateway, guarded: Gateway) -> None:
    assert gateway.anonymous().get("//metrics").status_code == 200
    problem(guarded.anonymous().get("//metrics"), 403, "forbidden")

    assert gateway.anonymous().get("//metrics/targets").json() == [{"targets": [gateway.url[7:]], "labels": {}}]
    problem(guarded.anonymous().get("//metrics/targets"), 403, "forbidden")
    for header in ("X-Forwarded-For", "Forwarded", "X-Real-Ip"):
        problem(guarded.anonymous().get("//metrics", headers={header: "192.0.2.1"}), 403, "forbidden")
    for header in ("X-Forwarded-For", "Forwarded"):
        problem(gateway.anonymous().get("//metrics", headers={header: "127.0.0.1"}), 403, "forbidden")


def test_behind_a_trusted_proxy_metrics_are_for_the_forwarded_address(proxied: Gateway) -> None:
    anonymous = proxied.anonymous()

    assert anonymous.get("//metrics").status_code == 200
    problem(anonymous.get("//metrics", headers={"X-Forwarded-For": "203.0.113.9"}), 403, "forbidden")
    problem(anonymous.get("//metrics", headers={"X-Forwarded-For": "127.0.0.1, 203.0.113.9"}), 403, "forbidden")
    problem(anonymous.get("//metrics", headers={"Forwarded": "for=203.0.113.9"}), 403, "forbidden")


@pytest.mark.parametrize(
    ("trusting", "forwarded", "address"),
    [
        (False, "203.0.113.9", "127.0.0.1"),
        (True, "203.0.113.9", "203.0.113.9"),
        (True, "192.0.2.1, 203.0.113.9", "203.0.113.9"),
        (True, "203.0.113.9, 198.51.100.7", "203.0.113.9"),
        (True, "2001:db8::9", "2001:db8::9"),
        (True, "203.0.113.9, nonsense", "127.0.0.1"),
    ],
)
def test_a_forwarded_address_is_used_only_from_trusted_proxies(
    gateway: Gateway, proxied: Gateway, trusting: bool, forwarded: str, address: str
) -> None:
    served_by = proxied if trusting else gateway
    admin = served_by.user("admin")
    new = {"username": f"f{admin.id}", "email": f"f{admin.id}@example.org", "password": "a long enough password"}
    assert admin.post("/admin/users", {"users": [new]}).status_code == 201

    headers = {"X-Forwarded-For": forwarded, "X-Real-Ip": "192.0.2.77"}
    answer = served_by.anonymous().post("/login", {"login": new["username"], "password": new["password"]}, headers=headers)
    sessions = Client(served_by, 0, "", answer.json()["token"]).get("/me/sessions", headers=headers).json()["items"]
    assert sessions[0]["address"] == address


@pytest.mark.parametrize(("trusting", "secure"), [(False, False), (True, True)])
def test_a_cookie_is_secure_when_a_trusted_proxy_forwards_https(
    gateway: Gateway, proxied: Gateway, trusting: bool, secure: bool
) -> None:
    served_by = proxied if trusting else gateway
    admin = served_by.user("admin")
    new = {"username": f"s{admin.id}", "email": f"s{admin.id}@example.org", "password": "a long enough password"}
    assert admin.post("/admin/users", {"users": [new]}).status_code == 201

    body = {"login": new["username"], "password": new["password"], "cookie": True}
    answer = httpx.post(served_by.url + "/api/v1/login", json=body, headers={"X-Forwarded-Proto": "https"}, trust_env=False)
    assert ("Secure" in answer.headers["Set-Cookie"]) is secure


def test_only_allowed_origins_get_cors_headers(guarded: Gateway) -> None:
    user = guarded.user()
    allowed, foreign = {"Origin": "https://app.example.org"}, {"Origin": "https://evil.example.org"}

    preflight = guarded.anonymous().call("OPTIONS", "/messages", headers={**allowed, "Access-Control-Request-Method": "POST"})
    assert preflight.status_code == 204
    assert preflight.headers["Access-Control-Allow-Origin"] == allowed["Origin"]
    assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
    assert {"authorization", "bellwire-as"} <= set(preflight.headers["Access-Control-Allow-Headers"].lower().split(", "))
    for answer in (
        user.get("/me", headers=allowed),
        user.get("/nothing", headers=allowed),
        guarded.anonymous().get("/me", headers=allowed),
    ):
        assert answer.headers["Access-Control-Allow-Origin"] == allowed["Origin"]
        assert "Origin" in answer.headers["Vary"]
    for answer in (
        user.get("/me", headers=foreign),
        guarded.anonymous().call("OPTIONS", "/messages", headers=foreign),
        user.get("/me"),
    ):
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_without_allowed_origins_no_origin_gets_cors_headers(gateway: Gateway, ana: Client) -> None:
    assert "Access-Control-Allow-Origin" not in ana.get("/me", headers={"Origin": "https://app.example.org"}).headers


@pytest.fixture(scope="module")
def long_texts(gateway: Gateway) -> tuple[Client, Client, int]:
    """Two users, with 30 messages of 80 KB in a conversation of theirs."""
    ana, ben = gateway.users(2)
    conversation = ana.send("first", to=ben)["conversation"]
    sends = [
        gateway.later(ana.send, f"\N{GRINNING FACE} word{n} " + "\N{GRINNING FACE}" * 19_000, at=conversation) for n in range(30)
    ]
    for send in sends:
        send.result()
    return ana, ben, conversation


MAX_BYTES = 1.1 * 2**20


def test_a_list_ends_at_a_mebibyte_and_continues_without_a_gap(gateway: Gateway, long_texts: tuple[Client, Client, int]) -> None:
    _, ben, conversation = long_texts
    ids: list[int] = []
    page, pages = "", 0
    while pages == 0 or page:
        answer = ben.get(f"/conversations/{conversation}/messages", limit="200", **({"page": page} if page else {}))
        assert len(answer.content) < MAX_BYTES
        ids += [item["id"] for item in answer.json()["items"]]
        page, pages = answer.json()["next"], pages + 1
    assert pages > 2
    assert len(ids) == 31
    assert ids == sorted(set(ids), reverse=True)


def test_the_messages_around_one_are_as_many_as_fit(long_texts: tuple[Client, Client, int]) -> None:
    _, ben, conversation = long_texts
    every = [e["data"]["id"] for e in ben.events("begin", types="message.created")]
    answer = ben.get(f"/conversations/{conversation}/messages", limit="200", around=every[15])
    ids = [item["id"] for item in answer.json()["items"]]
    assert len(answer.content) < MAX_BYTES
    assert every[15] in ids[3:-3]
    older = ben.get(f"/conversations/{conversation}/messages", limit="200", page=answer.json()["next"]).json()["items"]
    assert older[0]["id"] == every[every.index(ids[-1]) - 1]


def test_a_poll_ends_at_a_mebibyte_with_more(long_texts: tuple[Client, Client, int]) -> None:
    _, ben, _ = long_texts
    cursor, more, bodies = "begin", True, 0
    while more:
        answer = ben.get("/events", cursor=cursor, timeout=0)
        assert len(answer.content) < MAX_BYTES
        cursor, more = answer.json()["cursor"], answer.json()["more"]
        bodies += sum(event["type"] == "message.created" for event in answer.json()["events"])
    assert bodies == 31


def test_the_state_has_as_many_conversations_as_fit(gateway: Gateway, long_texts: tuple[Client, Client, int]) -> None:
    ana, _, _ = long_texts
    others = gateway.users(20)
    sends = [gateway.later(ana.send, "\N{GRINNING FACE}" * 20_000, to=other) for other in others]
    for send in sends:
        send.result()
    state = ana.get("/state")
    assert len(state.content) < MAX_BYTES
    listed = [conversation["id"] for conversation in state.json()["conversations"]]
    first = ana.get("/conversations", limit="200").json()
    assert listed == [conversation["id"] for conversation in first["items"]][: len(listed)]
    rest = ana.get("/conversations", limit="200", page=first["next"]).json()
    assert len(first["items"]) + len(rest["items"]) == 21


def raw(gateway: Gateway, sent: bytes) -> httpx.Response:
    """Send bytes and return the answer that comes until the connection is closed."""
    with socket.create_connection(("127.0.0.1", int(gateway.settings["PORT"])), 30) as client:
        client.sendall(sent)
        received = b""
        while part := client.recv(65536):
            received += part
    head, _, body = received.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    return httpx.Response(int(status.split()[1]), headers=[tuple(line.split(": ", 1)) for line in lines], content=body)


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
        b"POST /api/v1/login HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 100,
    ],
)
def test_what_is_no_http_gets_a_problem_document_and_a_log_line(gateway: Gateway, sent: bytes) -> None:
    answer = raw(gateway, sent)
    problem(answer, 400, "malformed")
    until(lambda: answer.headers["X-Request-Id"] in gateway.stderr())


def test_headers_beyond_64_kib_are_431(gateway: Gateway) -> None:
    answer = raw(gateway, b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Long: " + b"x" * 70_000)
    assert problem(answer, 431, "headers-too-large")["title"] == "Request Header Fields Too Large"


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/api/v1/openapi.json", "/", "/static/client.js", "/api/docs"])
def test_head_is_answered_like_get_without_a_body(gateway: Gateway, path: str) -> None:
    got, head = gateway.http.get(path), gateway.http.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Type"] == got.headers["Content-Type"]


@pytest.mark.parametrize("path", ["/me", "/state", "/conversations", "/posts", "/events", "/notifications", "/events/stream"])
def test_head_is_answered_wherever_get_is(ana: Client, path: str) -> None:
    assert ana.call("HEAD", path).status_code == 200


def test_head_is_no_method_where_get_is_none(ana: Client) -> None:
    answer = ana.call("HEAD", "/login")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST, OPTIONS")
    assert ana.call("HEAD", "/events/ws").status_code == 400


def test_a_body_of_another_type_or_encoding_is_415(ana: Client) -> None:
    for sent_type in ("multipart/form-data", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "text/plain"):
        problem(ana.post("/posts", headers={"Content-Type": sent_type}, content=b'{"body":"hi"}'), 415, "unsupported-media-type")
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    problem(ana.post("/posts", headers=headers, content=b'{"body":"hi"}'), 415, "unsupported-media-type")


def test_refused_requests_of_strangers_make_few_series(gateway: Gateway) -> None:
    paths = [path for path, operations in gateway.http.get("/api/v1/openapi.json").json()["paths"].items()]
    stranger = gateway.anonymous()
    for path in paths:
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"):
            if "/events" not in path and path != "/metrics":
                stranger.call(method, "/" + re.sub(r"\{.*?\}", "1", path))
    refused = {s["route"] for s, _ in gateway.samples("bellwire_http_requests_total") if s["status"] in ("401", "405")}
    public = {"/api/v1/login", "/api/v1/signup/verify", "unknown"}
    assert refused <= public


def test_probes_and_scrapes_that_succeed_are_not_logged(gateway: Gateway) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        answer = gateway.http.get(path, headers={"X-Request-Id": "quiet"})
        assert answer.status_code == 200
    gateway.http.get("/metrics", headers={"X-Request-Id": "refused", "X-Forwarded-For": "192.0.2.1"})
    until(lambda: '"request_id":"refused"' in gateway.stderr())
    assert '"request_id":"quiet"' not in gateway.stderr()

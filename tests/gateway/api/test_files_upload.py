"""Uploading over HTTP, with clients that send too much, too little, nothing, or disconnect."""

from __future__ import annotations

import io
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.gateway.client import Client, fields, problem
from tests.gateway.running import Gateway
from tests.waiting import LIMIT_S, until

MIB = 1024 * 1024
PDF = b"%PDF-1.7\n" + b"x" * 300_000
UPLOADS = "bellwire_file_uploads_total"


@pytest.fixture(scope="module")
def gateway(make_gateway: Callable[..., Gateway]) -> Gateway:
    """A gateway with small limits."""
    return make_gateway(FILE_MAX_MB="1", FILES_PER_DAY_MB="2")


def upload(client: Client, content: Any, name: str = "", **headers: str) -> httpx.Response:
    return client.post("/files", params={"name": name}, content=content, headers=headers)


def chunks(content: bytes) -> Iterator[bytes]:
    yield from (content[n : n + 50_000] for n in range(0, len(content), 50_000))


def left_of(client: Client) -> tuple[int, list[str]]:
    """The number of bytes that count for a user's day, and the objects that no file of anybody has."""
    gateway = client.gateway
    (used,) = gateway.rows("SELECT coalesce(sum(bytes),0) FROM file_usage WHERE user_id=?", client.id)
    known = {key for (key,) in gateway.rows("SELECT key FROM blobs JOIN files ON content_id=blobs.id")}
    written = {path.name for path in (gateway.data / "files").rglob("*") if path.is_file()}
    rows = {key for (key,) in gateway.rows("SELECT key FROM blobs")}
    return int(used[0]), sorted((written | rows) - known)


class Raw:
    """A connection that sends what no library would."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.socket = socket.create_connection(("127.0.0.1", int(client.gateway.settings["PORT"])), LIMIT_S)
        self.file = self.socket.makefile("rb")

    def send(self, *headers: str, body: bytes = b"", token: str | None = None, path: str = "/api/v1/files?name=a.pdf") -> None:
        lines = [f"POST {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {token or self.client.token}", *headers, "", ""]
        self.socket.sendall("\r\n".join(lines).encode() + body)

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the next answer."""
        status = int(self.file.readline().split()[1])
        headers: dict[str, str] = {}
        while (line := self.file.readline().strip()) != b"":
            name, _, value = line.decode().partition(": ")
            headers[name] = value
        return status, headers, self.file.read(int(headers.get("Content-Length", "0")))

    def is_closed(self) -> bool:
        """Whether the gateway has closed its side."""
        return self.file.read(1) == b""

    def close(self) -> None:
        self.file.close()
        self.socket.close()


@pytest.fixture
def raw(ana: Client) -> Iterator[Raw]:
    connection = Raw(ana)
    yield connection
    connection.close()


@pytest.mark.parametrize("chunked", [False, True])
def test_a_file_is_stored_and_answered(gateway: Gateway, ana: Client, chunked: bool) -> None:
    before = gateway.metric(UPLOADS, outcome="ok")
    answer = upload(ana, chunks(PDF) if chunked else PDF, "Größe 🎉.pdf", **{"Content-Type": "text/html"})

    assert answer.status_code == 201, answer.text
    file = answer.json()
    assert file == {
        **{"id": file["id"], "name": "Größe 🎉.pdf", "type": "application/pdf", "bytes": len(PDF), "width": None, "height": None},
        **{"thumbnail": False, "state": "ready", "created_at": file["created_at"]},
    }
    sql = "SELECT key, blobs.state FROM blobs JOIN files ON content_id=blobs.id WHERE files.id=?"
    ((key, state),) = gateway.rows(sql, file["id"])
    path = gateway.data / "files" / key[:2] / key
    assert (state, path.read_bytes(), path.stat().st_mode & 0o777) == ("stored", PDF, 0o600)
    assert left_of(ana) == (len(PDF), [])
    assert gateway.metric(UPLOADS, outcome="ok") == before + 1


def test_a_picture_is_pending_and_private_if_it_has_marks(gateway: Gateway, ana: Client) -> None:
    def picture(**options: Any) -> bytes:
        file = io.BytesIO()
        Image.new("RGB", (30, 20)).save(file, "JPEG", **options)
        return file.getvalue()

    exif = Image.Exif()
    exif[0x010F] = "Camera"
    files = [upload(ana, picture(), "a.html").json(), upload(ana, picture(exif=exif)).json()]

    assert [(file["name"], file["type"], file["state"]) for file in files] == [
        ("a.html", "image/jpeg", "pending"),
        ("file.jpg", "image/jpeg", "pending"),
    ]
    sql = "SELECT private FROM files WHERE owner_id=? ORDER BY id"
    assert [bool(private) for (private,) in gateway.rows(sql, ana.id)] == [False, True]


def test_an_upload_can_be_sent(ana: Client, ben: Client) -> None:
    file = upload(ana, b"voice", "memo").json()

    assert ana.send("", to=ben, files=[file["id"]])["files"] == [file]


def test_an_empty_file_is_refused(ana: Client) -> None:
    assert fields(upload(ana, b"")) == ["body"]
    assert fields(upload(ana, iter([]))) == ["body"]
    assert fields(upload(ana, b"x", "n" * 1001)) == ["name"]
    until(lambda: left_of(ana) == (0, []))


def test_a_file_over_the_limit_is_refused_as_soon_as_it_is_known(gateway: Gateway, ana: Client, raw: Raw) -> None:
    before = gateway.metric(UPLOADS, outcome="too_large")
    assert upload(ana, b"x" * MIB).status_code == 201
    problem(upload(ana, b"x" * (MIB + 1)), 413, "too-large")
    for length in (MIB + 1, 20 * MIB):
        problem(upload(ana, chunks(b"x" * length)), 413, "too-large")
        until(lambda: left_of(ana) == (MIB, []))  # what was reserved for it is given back after the answer

    raw.send(f"Content-Length: {1 << 40}")
    status, headers, _ = raw.answer()
    assert (status, headers["Connection"]) == (413, "close")
    until(lambda: left_of(ana) == (MIB, []))
    assert gateway.metric(UPLOADS, outcome="too_large") == before + 4


def test_a_chunked_body_is_refused_while_its_client_still_sends(ana: Client, raw: Raw) -> None:
    block = b"%x\r\n" % (MIB // 4) + b"x" * (MIB // 4) + b"\r\n"
    raw.send("Transfer-Encoding: chunked", body=4 * block + b"1\r\nx\r\n")

    assert raw.answer()[0] == 413
    raw.socket.sendall(4 * block + b"0\r\n\r\n")  # it is not reset before it has read
    assert raw.is_closed()
    until(lambda: left_of(ana) == (0, []))


def test_the_day_has_a_limit_and_the_answer_says_what_is_left(gateway: Gateway, ana: Client) -> None:
    assert upload(ana, b"x" * MIB).status_code == 201
    assert upload(ana, b"x" * (MIB - 1000)).status_code == 201

    for content in (b"x" * 1001, chunks(b"x" * 1001)):
        answer = upload(ana, content)
        body = problem(answer, 429, "quota-exceeded")
        assert (body["left"], "1000 bytes are left" in body["detail"]) == (1000, True)
        assert 0 < int(answer.headers["Retry-After"]) <= 24 * 3600
    until(lambda: left_of(ana) == (2 * MIB - 1000, []))
    assert upload(ana, chunks(b"x" * 1000)).status_code == 201
    assert problem(upload(ana, iter([b"x"])), 429, "quota-exceeded")["left"] == 0


@pytest.mark.parametrize("chunked", [False, True])
def test_an_upload_that_breaks_off_leaves_nothing(gateway: Gateway, ana: Client, raw: Raw, chunked: bool) -> None:
    before = gateway.metric(UPLOADS, outcome="broken")
    head = "Transfer-Encoding: chunked" if chunked else "Content-Length: 1000000"
    raw.send(head, body=(b"c0000\r\n" if chunked else b"") + b"x" * 700_000)
    until(lambda: left_of(ana)[1] and any(path.is_file() for path in (gateway.data / "files").rglob(left_of(ana)[1][0])))

    raw.close()

    until(lambda: left_of(ana) == (0, []))
    assert gateway.rows("SELECT id FROM files WHERE owner_id=?", ana.id) == []
    until(lambda: gateway.metric(UPLOADS, outcome="broken") == before + 1)


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (("Transfer-Encoding: chunked",), b"5\r\nhello\r\nzz\r\n"),
        (("Transfer-Encoding: chunked",), b"5\r\nhelloworld"),
        (("Content-Length: 5, 6",), b"hello"),
        (("Content-Length: x",), b"hello"),
        (("Content-Length: 5", "Transfer-Encoding: chunked"), b"5\r\nhello\r\n0\r\n\r\n"),
        (("Transfer-Encoding: gzip",), b"hello"),
    ],
)
def test_a_body_that_is_no_body_is_refused(ana: Client, raw: Raw, headers: tuple[str, ...], body: bytes) -> None:
    raw.send(*headers, body=body)

    assert raw.answer()[0] in (400, 422)
    assert raw.is_closed()
    until(lambda: left_of(ana) == (0, []))


def test_a_client_without_access_is_answered_before_it_sends(gateway: Gateway, raw: Raw) -> None:
    raw.send("Content-Length: 1000000", body=b"x" * 100_000, token="nothing")

    status, headers, _ = raw.answer()
    assert (status, headers["Connection"]) == (401, "close")
    raw.socket.sendall(b"x" * 900_000)
    assert raw.is_closed()


def test_a_client_that_waits_for_100_gets_it_if_its_body_is_expected(ana: Client, raw: Raw) -> None:
    raw.send("Content-Length: 5", "Expect: 100-continue")
    assert raw.answer()[0] == 100
    raw.socket.sendall(b"hello")
    assert raw.answer()[0] == 201

    raw.send(f"Content-Length: {2 * MIB}", "Expect: 100-continue")
    assert raw.answer()[0] == 413
    assert raw.is_closed()


def test_a_connection_serves_further_requests_after_an_upload(ana: Client, raw: Raw) -> None:
    raw.send("Content-Length: 5", body=b"hello")
    raw.send("Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\n\r\n")
    raw.socket.sendall(f"GET /api/v1/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ana.token}\r\n\r\n".encode())

    assert [raw.answer()[0] for _ in range(3)] == [201, 201, 200]


def test_an_account_has_a_few_uploads_at_the_same_time(gateway: Gateway, ana: Client, ben: Client) -> None:
    open_ones = [Raw(ana) for _ in range(8)]
    for connection in open_ones:
        connection.send("Content-Length: 1000", body=b"x")
    until(lambda: len(left_of(ana)[1]) == 8)

    waiting = Raw(ana)
    waiting.send("Content-Length: 1", body=b"x")
    assert upload(ben, b"x").status_code == 201
    assert len(left_of(ana)[1]) == 8
    for connection in open_ones:
        connection.close()
    assert waiting.answer()[0] == 201
    until(lambda: left_of(ana) == (1, []))


def test_a_token_that_ends_in_the_middle_ends_the_upload(ana: Client, raw: Raw) -> None:
    raw.send("Content-Length: 5", body=b"he")
    until(lambda: left_of(ana)[1])
    assert ana.post("/logout").status_code == 204
    raw.socket.sendall(b"llo")

    assert raw.answer()[0] == 401
    until(lambda: left_of(ana) == (0, []))


def test_other_verbs_have_no_body(ana: Client) -> None:
    problem(ana.call("PUT", "/files"), 405, "method-not-allowed")
    problem(upload(ana, b"x", **{"Content-Encoding": "gzip"}), 415, "unsupported-media-type")
    assert ana.call("OPTIONS", "/files").status_code == 204


@contextmanager
def longest_file(gateway: Gateway, size: int) -> Iterator[None]:
    """Let the process write no file that is longer."""
    assert gateway.process is not None
    unlimited = resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE, (size, unlimited[1]))
    try:
        yield
    finally:
        resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE, unlimited)


@pytest.mark.only("postgresql")  # SQLite's file may be longer than that
def test_a_disk_that_fills_in_the_middle_is_507_and_sends_go_on(gateway: Gateway, ana: Client, ben: Client) -> None:
    before = gateway.metric(UPLOADS, outcome="full")
    with longest_file(gateway, MIB // 2):
        answer = upload(ana, b"x" * MIB)
        ana.send("hi", to=ben)

    assert "no space left" in problem(answer, 507, "insufficient-storage")["detail"]
    until(lambda: left_of(ana) == (0, []))
    assert gateway.metric(UPLOADS, outcome="full") == before + 1


@pytest.mark.only("sqlite")  # the store has no part in it
def test_a_gateway_that_stops_breaks_uploads_off(make_gateway: Callable[..., Gateway], gateway: Gateway, ana: Client) -> None:
    other = make_gateway(beside=gateway)
    connection = Raw(ana.at(other))
    connection.send("Content-Length: 1000", body=b"x")
    until(lambda: left_of(ana)[1])

    other.terminate()

    status, headers, _ = connection.answer()
    assert (status, headers["Retry-After"]) == (503, "1")
    assert other.process is not None
    assert other.process.wait(LIMIT_S) == 0
    assert left_of(ana) == (0, [])
    connection.close()


@pytest.mark.only("sqlite")
def test_an_upload_that_is_killed_has_a_row_by_which_it_is_removed(
    make_gateway: Callable[..., Gateway], gateway: Gateway, ana: Client
) -> None:
    other = make_gateway(beside=gateway)
    connection = Raw(ana.at(other))
    connection.send("Content-Length: 1000000", body=b"x" * 700_000)
    until(lambda: [path for path in (gateway.data / "files").rglob("*") if path.name in left_of(ana)[1]])

    other.kill()

    used, keys = left_of(ana)
    assert used == 1_000_000
    assert gateway.rows("SELECT key, state, owner, bytes FROM blobs WHERE state<>'stored'") == [
        (keys[0], "writing", ana.id, 1_000_000)
    ]
    connection.close()


@pytest.mark.only("sqlite")
def test_what_a_kill_has_left_is_given_up_when_a_gateway_starts_alone(make_gateway: Callable[..., Gateway]) -> None:
    first = make_gateway(FILE_MAX_MB="1", FILES_PER_DAY_MB="2")
    other = make_gateway(beside=first)
    ana = first.users(1)[0]
    killed, going_on = Raw(ana.at(other)), Raw(ana)
    for connection in (killed, going_on):
        connection.send("Content-Length: 700000", body=b"x" * 600_000)
    until(lambda: left_of(ana)[0] == 1_400_000)

    other.kill()
    other.start()
    assert left_of(ana)[0] == 1_400_000, "an upload to the first one goes on"
    going_on.socket.sendall(b"x" * 100_000)
    assert going_on.answer()[0] == 201
    for each in (first, other):
        each.kill()
    first.start()

    assert left_of(ana)[0] == 700_000
    assert first.rows("SELECT state FROM blobs ORDER BY state") == [("stored",), ("unused",)]
    for connection in (killed, going_on):
        connection.close()

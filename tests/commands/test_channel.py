"""The broker of the local channel forwards frames in order, and neither a slow member nor garbage disturbs the others."""

import os
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from commands import channel, serve
from commands.channel import MAX_WAITING_BYTES, ChannelBroker, socket_path
from conf import Settings
from jobs.infra.channel import (
    HEAD,
    JOIN,
    LOST,
    MAX_BODY_BYTES,
    TO_ALL,
    TO_OLDEST,
    VARIABLE,
    ChannelConnection,
    Frame,
    FrameError,
    encode,
)
from tests.channel_broker import running_broker
from tests.waiting import LIMIT_S, until

Connect = Callable[[], ChannelConnection]


@pytest.fixture
def join(broker: ChannelBroker) -> Iterator[Connect]:
    """Connect and join, so that the next frame of another member arrives."""
    connections: list[ChannelConnection] = []

    def connect() -> ChannelConnection:
        connections.append(ChannelConnection(str(broker.path)))
        connections[-1].send(JOIN, b"")
        until(lambda: len(broker._joined) == len(connections))
        return connections[-1]

    yield connect
    for connection in connections:
        connection.close()


def received(connection: ChannelConnection, count: int) -> list[bytes]:
    bodies: list[bytes] = []

    def enough() -> bool:
        bodies.extend(frame.body for frame in connection.receive(0.1))
        return len(bodies) >= count

    until(enough)
    return bodies


def raw(broker: ChannelBroker) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(LIMIT_S)
    connection.connect(str(broker.path))
    return connection


@contextmanager
def unread(path: Path) -> Iterator[tuple[ChannelConnection, socket.socket]]:
    """A connection whose other end reads only what the test reads."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(path))
        listening.listen()
        with closing(ChannelConnection(str(path))) as connection, listening.accept()[0] as accepted:
            yield connection, accepted


def test_frames_reach_every_other_member_in_the_order_of_their_sender(join: Connect) -> None:
    first, second, third = join(), join(), join()
    sent = [str(number).encode() * (number % 50) for number in range(2_000)]
    for body in sent:
        assert first.send(TO_ALL, body)
    until(lambda: first.receive(0.01) == [] and not first._unsent)
    assert received(second, len(sent)) == received(third, len(sent)) == sent
    second.send(TO_ALL, b"back")
    assert received(first, 1) == [b"back"]


def test_a_frame_may_be_for_the_oldest_other_member_whose_answer_is_for_its_sender_alone(join: Connect) -> None:
    first, second, third = join(), join(), join()
    second.send(TO_OLDEST, b"question")
    (question,) = until(lambda: first.receive(0.1))
    first.send(question.peer, b"answer")
    first.send(TO_ALL, b"to all")
    assert received(second, 2) == [b"answer", b"to all"]
    assert received(third, 1) == [b"to all"]
    first.send(TO_OLDEST, b"of the oldest")
    assert received(second, 1) == [b"of the oldest"]


def test_a_process_that_has_not_joined_sends_and_receives_nothing(broker: ChannelBroker, join: Connect) -> None:
    member, third = join(), join()
    silent = ChannelConnection(str(broker.path))
    silent.send(TO_ALL, b"hint")
    assert received(member, 1) == [b"hint"]
    member.send(TO_ALL, b"not for it")
    member.send(TO_OLDEST, b"nor this")
    assert received(third, 3) == [b"hint", b"not for it", b"nor this"]
    silent.send(JOIN, b"")
    until(lambda: len(broker._joined) == 3)
    member.send(TO_ALL, b"for it")
    assert received(silent, 1) == [b"for it"]
    silent.close()


def test_a_member_that_does_not_read_delays_nobody_and_learns_how_much_it_missed(join: Connect) -> None:
    first, slow, third = join(), join(), join()
    body = b"x" * 10_000
    count = 3 * MAX_WAITING_BYTES // len(body)
    for _ in range(count):
        assert first.send(TO_ALL, body)
        assert received(third, 1) == [body]
    first.send(TO_ALL, b"end")
    assert received(third, 1) == [b"end"]

    frames: list[Frame] = []

    def knows() -> bool:
        frames.extend(slow.receive(0.1))
        return any(frame.peer == LOST for frame in frames)

    until(knows)
    missed = sum(int(frame.body) for frame in frames if frame.peer == LOST)
    assert missed + len(frames) - 1 == count + 1
    first.send(TO_ALL, b"again")
    assert received(slow, 1) == [b"again"]


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n\r\n", HEAD.pack(MAX_BODY_BYTES + 1, TO_ALL), b"\xff" * 100])
def test_garbage_ends_its_own_connection_only(broker: ChannelBroker, join: Connect, garbage: bytes) -> None:
    first, second = join(), join()
    other = raw(broker)
    other.sendall(garbage)
    assert other.recv(1) == b""
    first.send(TO_ALL, b"hi")
    assert received(second, 1) == [b"hi"]


def test_frames_to_unknown_members_and_half_frames_go_nowhere(broker: ChannelBroker, join: Connect) -> None:
    first, second = join(), join()
    other = raw(broker)
    other.sendall(encode(77_777, b"nobody") + encode(TO_ALL, b"whole") + encode(TO_ALL, b"half")[:-1])
    assert received(second, 1) == [b"whole"]
    other.close()
    first.send(TO_ALL, b"next")
    assert received(second, 1) == [b"next"]


def test_a_frame_that_is_too_long_is_not_sent(join: Connect) -> None:
    with pytest.raises(FrameError):
        join().send(TO_ALL, b"x" * (MAX_BODY_BYTES + 1))


def test_a_sender_does_not_wait_for_a_broker_that_hangs(tmp_path: Path) -> None:
    with unread(tmp_path / "hangs.sock") as (connection, _):
        until(lambda: not connection.send(TO_ALL, b"x" * 100_000))


def test_what_a_busy_broker_did_not_read_is_sent_when_it_reads(tmp_path: Path) -> None:
    with unread(tmp_path / "busy.sock") as (connection, accepted):
        count = 0
        while not connection._unsent:
            count += connection.send(TO_ALL, b"x" * 100_000)
        size, got = count * (HEAD.size + 100_000), 0
        while got < size:
            got += len(accepted.recv(1 << 20))
            connection.receive(0)
        assert got == size


def test_only_the_user_of_the_broker_may_connect(broker: ChannelBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    assert stat.S_IMODE(broker.path.stat().st_mode) == 0o600
    monkeypatch.setattr(channel, "ROOT_USER", -1)
    monkeypatch.setattr("os.geteuid", lambda: 12_345)
    assert raw(broker).recv(1) == b""


def test_more_connections_than_the_bound_are_refused(broker: ChannelBroker, join: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "MAX_CONNECTIONS", 2)
    first, second = join(), join()
    assert raw(broker).recv(1) == b""
    first.send(TO_ALL, b"hi")
    assert received(second, 1) == [b"hi"]


def test_a_new_broker_takes_the_place_of_one_that_was_killed(broker: ChannelBroker) -> None:
    broker.stop()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as killed:
        killed.bind(str(broker.path))
    other = ChannelBroker(broker.path)
    other.start()
    ChannelConnection(str(other.path)).close()
    other.stop()
    other.stop()
    assert not other.path.exists()


def test_a_broker_that_stops_leaves_the_socket_of_its_successor(broker: ChannelBroker, join: Connect) -> None:
    join()  # it serves, and is not just looking for its file
    with running_broker(broker.path) as other:
        broker.stop()
        ChannelConnection(str(other.path)).close()
    assert not other.path.exists()


def test_the_socket_comes_back_when_somebody_removes_it(broker: ChannelBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    broker.stop()
    monkeypatch.setattr(channel, "CHECK_INTERVAL_S", 0.05)
    with running_broker(broker.path) as other:
        other.path.unlink()
        until(other.path.exists)


def test_an_error_in_the_broker_closes_the_connections_and_it_goes_on(
    broker: ChannelBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.stop()
    failures = [OSError("no memory"), RuntimeError("a defect")]

    async def fail(self: ChannelBroker) -> None:
        if failures:
            raise failures.pop()
        await serve(self)

    serve = ChannelBroker._serve
    monkeypatch.setattr(ChannelBroker, "_serve", fail)
    monkeypatch.setattr(channel, "RESTART_DELAY_S", 0.01)
    with running_broker(broker.path) as other:
        until(lambda: not failures)
        first, second = ChannelConnection(str(other.path)), ChannelConnection(str(other.path))
        second.send(JOIN, b"")
        until(lambda: other._joined)
        first.send(TO_ALL, b"hi")
        assert received(second, 1) == [b"hi"]
        for each in (first, second):
            each.close()


@pytest.mark.parametrize("part", ["socket_path", "ChannelBroker.start"])
def test_a_serve_whose_channel_cannot_be_opened_goes_on_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, part: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError("no space")

    monkeypatch.setenv(VARIABLE, "another installation's")
    monkeypatch.setattr(f"commands.serve.{part}", fail)
    with serve._channel(Settings(_env_file=None, data_dir=tmp_path)):  # type: ignore[call-arg]
        assert VARIABLE not in os.environ
    assert "channel_not_opened" in caplog.text


def test_the_path_is_short_enough_for_a_socket(tmp_path: Path) -> None:
    assert socket_path(tmp_path, 8080) == tmp_path / "channel-8080.sock"
    path = socket_path(tmp_path / ("long" * 40), 8080)
    with running_broker(path):
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert not path.parent.exists()

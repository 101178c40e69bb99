"""The load client's framing of answers, however the bytes are cut."""

import pytest

from bench.load.client import parse_answer, raw_request

PLAIN = b"HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhello"
EMPTY = b"HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n"


@pytest.mark.parametrize(("data", "body"), [(PLAIN, b"hello"), (EMPTY, b"")])
def test_an_answer_is_whole_only_with_its_last_byte(data: bytes, body: bytes) -> None:
    for length in range(len(data)):
        assert parse_answer(data[:length]) is None
    parsed = parse_answer(data + b"HTTP/1.1 200 OK\r\n")
    assert parsed is not None
    assert (parsed[0].body, parsed[1]) == (body, len(data))


def test_an_answer_without_a_length_is_an_error() -> None:
    with pytest.raises(ValueError, match="without a length"):
        parse_answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")


def test_a_request_carries_its_token_and_the_length_of_its_json() -> None:
    raw = raw_request("POST", "/x", "secret", {"body": "é"})
    head, _, body = raw.partition(b"\r\n\r\n")
    assert b"Authorization: Bearer secret" in head
    assert b"Content-Length: %d" % len(body) in head
    assert body == '{"body":"é"}'.encode()

"""The differences between the two wires that are meant; everything else must be equal.

The bytes contain the reason, and up to some request the answers are the same. Then the new wire refuses a request and closes the
connection (STRICTER), or does so before Tornado (EARLIER), or only Tornado does (MORE), or the new wire closes the connection
(CLOSING), or only Tornado does (KEEPING).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from tests.gateway.http.wire.exchanges import LAST, Answer, Outcome

REFUSED = (400, 414, 431)


@dataclass(frozen=True)
class Rule:
    """A reason to refuse."""

    name: str
    found_in: re.Pattern[bytes]
    reason: str


def _rule(name: str, pattern: bytes, reason: str) -> Rule:
    return Rule(name, re.compile(pattern, re.IGNORECASE), reason)


STRICTER = (
    _rule("line ends", rb"(?<!\r)\n|\r(?!\n)", "a lone LF or CR ends a line for some servers (RFC 9112, section 2.2)"),
    _rule("folding", rb"\n[ \t]", "a folded line is a header of its own for some (section 5.2)"),
    _rule("both lengths", rb"(?s)content-length.*transfer-encoding|transfer-encoding.*content-length", "(section 6.1)"),
    _rule(
        "lengths",
        rb"(?s)content-length.*content-length|content-length:[^\r\n]*,|transfer-encoding.*transfer-encoding",
        "each could be meant (section 6.3)",
    ),
    _rule("control", rb"[\0-\x08\x0b\x0c\x0e-\x1f\x7f]", "NUL and controls end a value for some (RFC 9110, section 5.5)"),
    _rule("version", rb"HTTP/(?!1\.[01]\r\n)", "no other version has this framing (section 2.3)"),
    _rule("length", rb"content-length:(?![ \t]*[0-9]+[ \t]*\r\n)", "no handler sees it (section 6.3)"),
    _rule("unknown encoding", rb"transfer-encoding:(?! ?chunked\r\n)", "no handler sees it (section 6.1)"),
    _rule("target", rb"(?:^|\n)[!-~]+ (?![/*]|https?://)[!-~]* HTTP", "it is a path, an absolute URL or * (section 3.2)"),
    _rule("target's bytes", rb"(?:^|\n)[!-~]+ [!-~]*[\x80-\xff]", "they are ASCII (RFC 3986, section 2)"),
    _rule("long target", rb"[!-~]{9000}", "414 instead of 431"),
    _rule("CONNECT", rb"(?:^|\n)CONNECT ", "this is no proxy (RFC 9110, section 9.3.6)"),
    _rule("HTTP/2", rb"(?:^|\n)PRI ", "the method is reserved for its preface (RFC 9113, section 3.4)"),
    _rule("encoding of 1.0", rb"(?s)HTTP/1\.0.*transfer-encoding", "HTTP/1.0 has none: an old proxy ignores it (section 6.1)"),
)
MORE = (
    _rule("extension", rb"\n[0-9a-f]+[ \t]*;", "a chunk's extension is to be ignored (section 7.1.1)"),
    _rule("trailer", rb"\n0+\r\n[!-9;-~]+:", "trailers may be ignored (section 7.1.2)"),
    _rule("empty lines", rb"^(?:\r\n){2}|(?:\r\n){4}", "those before a request are to be ignored (section 2.2)"),
)
LIST_OF_OPTIONS = rb"\nconnection:(?:[^\r\n]*,|(?:[^\r]|\r(?!\n\r))*\nconnection:)"
CLOSING = (_rule("list", LIST_OF_OPTIONS, "close may be one of several options (section 9.6)"),)
KEEPING = (_rule("proxy", rb"\nproxy-connection:", "llhttp reads it as Connection, which old clients mean by it"),)
EARLIER = (_rule("chunks", rb"transfer-encoding", "a wrong byte between chunks is refused when it comes, without the next"),)


def difference(data: bytes, tornado: Outcome, wire: Outcome) -> str:
    """Return how two outcomes differ, empty if they are equal or a rule applies."""
    framing = [answer.framing for answer in wire.answers if answer.framing]
    if framing and not any(answer.framing for answer in tornado.answers):
        return f"framing: {framing}"
    if any("connection: close" in answer.headers for answer in wire.final[:-1]):
        return "an answer follows one that closes the connection"
    if same(tornado.final, wire.final) and (tornado.closed, tornado.closed_after_last) == (wire.closed, wire.closed_after_last):
        return ""
    data += LAST  # it can be the end of what began before
    is_meant = (
        (refuses_more(wire, tornado) and applies(STRICTER, data))
        or (refuses_more(tornado, wire) and applies(MORE, data))
        or (refuses_earlier(wire, tornado) and applies(EARLIER, data))
        or (closes_earlier(wire, tornado) and applies(CLOSING, data))
        or (closes_earlier(tornado, wire) and applies(KEEPING, data))
    )
    return "" if is_meant else describe(tornado, wire)


def applies(rules: Iterable[Rule], data: bytes) -> bool:
    """Whether the bytes contain a reason of the rules."""
    return any(rule.found_in.search(data) for rule in rules)


def refuses_more(one: Outcome, other: Outcome) -> bool:
    """Whether the answers of one are the first of the other's, then a refusal after which nothing follows."""
    if not one.final or one.final[-1].status not in REFUSED or not one.closed:
        return False
    return same(one.final[:-1], other.final[: len(one.final) - 1])


def refuses_earlier(one: Outcome, other: Outcome) -> bool:
    """Whether the last answer of one refuses a request of which the other waits for more."""
    before = other.before_last if len(other.final) == len(one.final) else len(other.final)
    return one.closed and not other.closed and before == len(one.final) - 1 and refuses_more(one, other)


def closes_earlier(one: Outcome, other: Outcome) -> bool:
    """Whether the answers of one are the first of the other's, then nothing follows."""
    return one.closed_after_last and bool(one.final) and same(one.final, other.final[: len(one.final)])


def same(some: Sequence[Answer], others: Sequence[Answer]) -> bool:
    """Whether answers are equal. To clients of HTTP/1.0 the two wires say in different words that the connection closes or not."""
    return [_without_connection(each) for each in some] == [_without_connection(each) for each in others]


def _without_connection(answer: Answer) -> Answer:
    return replace(answer, headers=[header for header in answer.headers if not header.startswith("connection: ")])


def describe(tornado: Outcome, wire: Outcome) -> str:
    """Return the first answers that differ."""
    one, other = ([*outcome.final, outcome.closed, outcome.closed_after_last] for outcome in (tornado, wire))
    at = next(n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    return (
        f"{len(one) - 2} answers became {len(other) - 2}. Number {at} was {str(one[at])[:700]}, and became {str(other[at])[:700]}"
    )

"""Models of servers in front, strict and lenient ones: how many requests each believes to forward with some bytes.

The wire must never answer more often than such a server expects: the answers of one client would reach another one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
LINE = re.compile(TOKEN + rb" [^\s\x00]+ HTTP/1\.[01]")
FIELD = re.compile(rb"(" + TOKEN + rb")[ \t]*:[ \t]*(.*?)[ \t]*", re.DOTALL)
SIZE = re.compile(rb"[ \t]*(?:0[xX])?([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?", re.DOTALL)


class Unsure(Exception):
    """The server would refuse this, or has not received all of it."""


@dataclass(frozen=True)
class Front:
    """A server that reads requests in its way."""

    name: str
    bare_lf: bool = False  # LF alone ends a line
    folds: bool = False  # a folded line belongs to the one before
    both: str = ""  # of a length and an encoding: the one that it believes; otherwise it refuses both
    lengths: str = ""  # of two lengths: "first" or "last"; otherwise it refuses them
    loose_encoding: bool = False  # "chunked" anywhere in the value is enough
    ignores_unknown: bool = False  # an encoding that it does not know
    loose_names: bool = False  # a blank before the colon is dropped; otherwise such a header is refused

    def count(self, data: bytes) -> int | None:
        """How many requests it sees if the bytes are whole requests, otherwise None."""
        count, rest = self.begin(data)
        return None if rest else count

    def begin(self, data: bytes) -> tuple[int, bytes]:
        """How many whole requests it sees at the beginning, and the bytes after them."""
        count = 0
        while data:
            try:
                data = self._after_request(data)
            except (Unsure, ValueError):
                break
            count += 1
        return count, data

    def _line(self, data: bytes) -> tuple[bytes, bytes]:
        line, end, rest = data.partition(b"\n" if self.bare_lf else b"\r\n")
        if not end:
            raise Unsure
        line = line.removesuffix(b"\r") if self.bare_lf else line
        if b"\r" in line or b"\n" in line or b"\0" in line:
            raise Unsure
        return line, rest

    def _after_request(self, data: bytes) -> bytes:
        line, data = self._line(data)
        if not LINE.fullmatch(line):
            raise Unsure
        fields: list[list[bytes]] = []
        while True:
            line, data = self._line(data)
            if not line:
                break
            if line[:1] in b" \t" and self.folds and fields:
                fields[-1][1] += b" " + line.strip()
                continue
            field = FIELD.fullmatch(line)
            if field is None or (not self.loose_names and line[: line.index(b":")] != field[1]):
                raise Unsure
            fields.append([field[1].lower(), field[2]])
        return self._after_body(data, fields)

    def _after_body(self, data: bytes, fields: list[list[bytes]]) -> bytes:
        lengths = [value for name, value in fields if name == b"content-length"]
        encodings = [value.lower() for name, value in fields if name == b"transfer-encoding"]
        if self.ignores_unknown and encodings != [b"chunked"]:
            encodings = []
        if lengths and encodings:
            if not self.both:
                raise Unsure
            lengths, encodings = (lengths, []) if self.both == "length" else ([], encodings)
        if encodings:
            if encodings != [b"chunked"] and not (self.loose_encoding and b"chunked" in b",".join(encodings)):
                raise Unsure
            return self._after_chunks(data)
        if len(lengths) > 1 and not self.lengths:
            raise Unsure
        length = int(lengths[0 if self.lengths == "first" else -1]) if lengths else 0
        if not 0 <= length <= len(data):
            raise Unsure
        return data[length:]

    def _after_chunks(self, data: bytes) -> bytes:
        while True:
            line, data = self._line(data)
            size = SIZE.fullmatch(line)
            if size is None:
                raise Unsure
            length = int(size[1], 16)
            if not length:
                break
            line, data = self._line(data[length:])
            if line:
                raise Unsure
        while line:
            line, data = self._line(data)
        return data


FRONTS = (
    Front("strict"),
    Front("bare LF", bare_lf=True),
    Front("folding", folds=True),
    Front("lengths first", both="length"),
    Front("encodings first", both="encoding"),
    Front("first length", lengths="first"),
    Front("last length", lengths="last"),
    Front("loose encodings", loose_encoding=True),
    Front("unknown encodings", ignores_unknown=True),
    Front("loose names", loose_names=True),
    Front("old", bare_lf=True, folds=True, both="length", lengths="last", loose_names=True),
    Front("lenient", bare_lf=True, folds=True, both="encoding", lengths="first", loose_encoding=True, loose_names=True),
)

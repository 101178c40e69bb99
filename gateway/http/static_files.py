"""What browsers load: the files of gateway/static, read and compressed once, and the pages among them.

Nothing of a page comes from elsewhere, and no script or style stands in its text: the policy below lets a browser hold us to it.
"""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path
from typing import ClassVar, NamedTuple

from gateway.http.base import Handler
from gateway.http.errors import ProblemError

FOLDER = Path(__file__).parents[1] / "static"
TYPES = {  # by suffix; what has another one is not served. Our own, since a machine's table may say something else
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
PACKED = ("image/png",)
HEADERS = {
    "Cache-Control": "no-cache",  # kept, and asked for again with its ETag: a page and its scripts are of one version
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept-Encoding",
}


class Version(NamedTuple):
    """A file's bytes as they are sent, and their ETag (RFC 9110, section 8.8.3: each encoding has its own)."""

    body: bytes
    etag: str


class File(NamedTuple):
    """A file of gateway/static. `zipped` is None where that would save nothing."""

    content_type: str
    plain: Version
    zipped: Version | None


def _version(body: bytes) -> Version:
    return Version(body, f'"{hashlib.sha256(body).hexdigest()[:32]}"')


def file_of(content_type: str, body: bytes) -> File:
    """A file, compressed unless it is already."""
    zipped = None if content_type in PACKED else _version(gzip.compress(body, 9, mtime=0))
    return File(content_type, _version(body), zipped)


FILES = {
    path.relative_to(FOLDER).as_posix(): file_of(TYPES[path.suffix], path.read_bytes())
    for path in sorted(FOLDER.rglob("*"))
    if path.suffix in TYPES
}


class FileHandler(Handler):
    """What is the same for everybody, as long as this process lives."""

    access = "public"

    def answer_file(self, file: File) -> None:
        """200 the file, or 304 to whoever has it already."""
        takes_gzip = file.zipped is not None and _takes_gzip(self.request.headers.get("Accept-Encoding", ""))
        self._version = file.zipped if file.zipped is not None and takes_gzip else file.plain
        for header, value in HEADERS.items():
            self.set_header(header, value)
        self.set_header("Content-Type", file.content_type)
        if takes_gzip:
            self.set_header("Content-Encoding", "gzip")
        self.answer(self._version.body)

    def compute_etag(self) -> str | None:
        """Tornado's hook: it answers 304 to an If-None-Match of the same."""
        return self._version.etag


class Static(FileHandler):
    """A file, by its place in gateway/static: what is not there can't be asked for."""

    async def get(self, name: str) -> None:
        """200 the file."""
        file = FILES.get(name)
        if file is None:
            raise ProblemError("not-found")
        self.answer_file(file)

    async def head(self, name: str) -> None:
        """The headers alone."""
        await self.get(name)


class Example(Static):
    """A file to copy from."""

    async def get(self, name: str) -> None:
        """The same."""
        await super().get(f"examples/{name}")


class Page(Static):
    """A page that has an address of its own."""

    file: ClassVar[str]

    async def get(self) -> None:  # type: ignore[override]
        """200 the page."""
        await super().get(self.file)

    async def head(self) -> None:  # type: ignore[override]
        """The headers alone."""
        await super().get(self.file)


class Docs(Page):
    """The API's documentation, with calls to try."""

    file = "docs/index.html"


class Index(Page):
    """The chat."""

    file = "index.html"


def _takes_gzip(accepted: str) -> bool:
    """RFC 9110, section 12.5.3; weight 0 means not."""
    for part in accepted.lower().split(","):
        coding, _, weight = part.partition(";")
        if coding.strip() in ("gzip", "*"):
            return weight.strip().removeprefix("q=").strip("0.") != "" if weight else True
    return False

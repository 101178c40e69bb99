"""The bytes of files and of their thumbnails.

A browser asks each time whether what it has is still the same, and still the caller's (`no-cache` with an ETag): access can end,
and another user may sign in there. Only what was loaded by a link is used again without asking, for a part of the link's hour.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import ClassVar

import structlog

from gateway.api.file_links import LinkedHandler
from gateway.http import ranges
from gateway.http.content_disposition import content_disposition
from gateway.http.describe import ANY_TYPE, describe
from gateway.http.downloads import Downloading
from gateway.http.errors import RETRY_AFTER_S, ProblemError
from gateway.http.ranges import Span
from models.chat import file_access
from models.chat.file_access import FoundFile, StoredObject
from models.files.types import is_inline
from models.store.errors import StoreDownError

logger = structlog.get_logger()

THUMBNAIL_TYPE = "image/webp"
PDF = "application/pdf"
CACHED_S = 600  # by browsers, of what they loaded by a link
MAX_READS = 3  # of a file whose object is replaced meanwhile
PENDING_S, CHECK_S = 5.0, 0.2  # how long a request waits for a picture that is being looked at, and how often it reads
MAX_PENDING = 50  # requests that wait so
# Of what browsers show no script runs. Their players need the file's own origin, and Chromium's reader of PDF opens in no sandbox.
OF_ATTACHMENTS = "default-src 'none'; sandbox"
SHOWN = "default-src 'none'; img-src 'self'; media-src 'self'; object-src 'self'; style-src 'unsafe-inline'"
OF_MEDIA = f"{SHOWN}; sandbox allow-same-origin"
EXPOSED = "Accept-Ranges, Content-Disposition, Content-Range, ETag, Retry-After, X-Request-Id"
ANSWERS = {200: ANY_TYPE, 206: ANY_TYPE, 304: None}
ERRORS = ("not-found", "range-not-satisfiable")


class DownloadHandler(Downloading, LinkedHandler):
    """The base of handlers that answer with the bytes of a file, to users who may see it."""

    waiting: ClassVar[int] = 0

    def allow_origin(self) -> None:
        """Let the pages read the headers of a download, too."""
        super().allow_origin()
        if "Access-Control-Allow-Origin" in self._headers:
            self.set_header("Access-Control-Expose-Headers", EXPOSED)

    async def find(self, file: int) -> FoundFile:
        """A file whose bytes the caller may have. Waits while its picture is looked at. Raises NotFoundError, and ProblemError."""
        found = await self._read_file(file)
        if not found.withheld:
            return found
        if found.pending and DownloadHandler.waiting < MAX_PENDING:
            found = await self._wait_for_picture(file, found)
        if found.withheld and not found.pending:
            raise ProblemError("not-found", file_access.UNREADABLE)
        if found.withheld:
            raise ProblemError("unavailable", "the picture is not ready: try again", {"Retry-After": str(RETRY_AFTER_S)})
        return found

    async def _wait_for_picture(self, file: int, found: FoundFile) -> FoundFile:
        DownloadHandler.waiting += 1
        try:
            end = asyncio.get_running_loop().time() + PENDING_S
            while found.withheld and found.pending and asyncio.get_running_loop().time() < end:
                await asyncio.sleep(CHECK_S)
                found = await self._read_file(file)
            return found
        finally:
            DownloadHandler.waiting -= 1

    async def _read_file(self, file: int) -> FoundFile:
        return await self.read(file_access.find, self.actor.user, file, self.bound())

    async def answer_object(self, stored: StoredObject, name: str, type_: str, *, is_final: bool = True) -> None:
        """Answer 200, 206 or 304 with an object. Raises ProblemError 416, OSError if it is not there, and StoreDownError."""
        self._set_headers(stored, name, type_, is_final=is_final)
        etag = f'"{stored.sha256}"'
        self.set_header("ETag", etag)
        if self.check_etag_header():
            self.set_status(304)
            self.finish()
            return
        span = self._span(stored, etag)
        self.set_header("Content-Length", str(span.length))
        if self.request.method == "HEAD" or not span.length:
            self.finish()
        else:
            await self.services.downloads.answer(self, stored.key, span)

    def _span(self, stored: StoredObject, etag: str) -> Span:
        """The part that the request is for. A range of HEAD has no meaning (RFC 9110, section 14.2)."""
        self.set_status(200)
        header, if_range = self.request.headers.get("Range"), self.request.headers.get("If-Range")
        if header is None or self.request.method == "HEAD" or not ranges.is_of_same_content(if_range, etag):
            return Span(0, stored.bytes)
        span = ranges.requested(header, stored.bytes)
        if span is None:
            return Span(0, stored.bytes)
        self.set_status(206)
        self.set_header("Content-Range", span.content_range(stored.bytes))
        return span

    def _set_headers(self, stored: StoredObject, name: str, type_: str, *, is_final: bool) -> None:
        is_shown = is_inline(type_)
        is_cached = self.is_linked and is_final
        headers = {
            "Content-Type": type_,
            "Content-Disposition": content_disposition(name, inline=is_shown),
            "Content-Security-Policy": OF_ATTACHMENTS if not is_shown else SHOWN if type_ == PDF else OF_MEDIA,
            "Cross-Origin-Resource-Policy": "cross-origin" if self.is_linked else "same-origin",
            "Cache-Control": f"private, max-age={CACHED_S}" if is_cached else "private, no-cache",
            "Accept-Ranges": "bytes",
            "Referrer-Policy": "no-referrer",
        }
        for header, value in headers.items():
            self.set_header(header, value)

    async def answer_found(self, file: int, answer: Callable[[FoundFile], Awaitable[None]]) -> None:
        """Find the file and `answer`; again if it got another content in between, whose object replaces the one that was found."""
        for attempt in range(MAX_READS):
            found = await self.find(file)
            try:
                await answer(found)
                return
            except OSError as error:
                if attempt == MAX_READS - 1:
                    logger.error("file_object_missing", file=file, request_id=self.request_id(), error=repr(error))
        raise StoreDownError


class FileContent(DownloadHandler):
    """A file."""

    @describe("Download a file", ANSWERS, errors=ERRORS)
    async def get(self, file: str) -> None:
        """Answer with the bytes, to users who may see the message or post that has the file; before it is sent, to its owner.

        `Range` (one range), `If-Range` and `If-None-Match` count. Images, audio, video and PDF are shown by browsers, all else is
        an attachment. 503 while a picture that may name a place is not ready.
        """
        await self.answer_found(int(file), self._answer)

    async def _answer(self, found: FoundFile) -> None:
        await self.answer_object(found.content, found.name, found.type, is_final=not found.pending)


class FileThumbnail(DownloadHandler):
    """The thumbnail of a picture: WebP, 512 pixels wide and high at most."""

    @describe("Download a thumbnail", ANSWERS, errors=ERRORS)
    async def get(self, file: str) -> None:
        """Answer with the bytes, to users who may have the file. 404 while there is none: `message.updated` tells when there is."""
        await self.answer_found(int(file), self._answer)

    async def _answer(self, found: FoundFile) -> None:
        """Answer with the thumbnail. Raises ProblemError 404 if there is none."""
        if found.thumbnail is None:
            raise ProblemError("not-found", "the file has no thumbnail" + (" yet" if found.pending else ""))
        name = found.name.rpartition(".")[0] or found.name
        await self.answer_object(found.thumbnail, f"{name}.webp", THUMBNAIL_TYPE)

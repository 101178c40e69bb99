"""Uploading a file. Its bytes are written while they arrive, beside the gateway's other work: see gateway/http/uploads.py."""

from __future__ import annotations

import asyncio
from functools import partial

from gateway.http.describe import BINARY, TextParameter, describe
from gateway.http.errors import ProblemError, problem_of
from gateway.http.streaming import StreamingHandler
from gateway.http.uploads import Upload
from metrics import declared as metrics
from models.files import names, upload
from models.files.file import FileView
from models.files.upload import DayFullError, ReceivedFile
from models.store.clock import now_ms
from models.store.errors import RefusedError

MAX_UPLOAD_S = 3300.0  # before the sweeper removes what is being written: models/blobs/blob.py
NAME = TextParameter("name", "the file's name, which loses folders and control characters")
OUTCOMES = {  # by the slug of the answer
    "too-large": "too_large",
    "quota-exceeded": "quota",
    "rate-limited": "quota",
    "malformed": "broken",
    "insufficient-storage": "full",
    "invalid": "invalid",
}
OK, ERROR = "ok", "error"
metrics.begin_at_0(metrics.FILE_UPLOADS_TOTAL, (*OUTCOMES.values(), OK, ERROR))


class Files(StreamingHandler):
    """Files that the caller has uploaded, for messages and posts."""

    rate_limit = "uploads"

    @describe("Upload a file", {201: FileView}, body=BINARY, query=(NAME,), errors=("quota-exceeded",))
    async def post(self) -> None:
        """Answer 201 with the FILE when it is on disk. It is the caller's alone until a message or post has it; after a day without
        one it is removed. Its type is recognised from the bytes, not from the request's Content-Type."""
        try:
            view = await self._upload()
        except Exception as error:
            metrics.FILE_UPLOADS_TOTAL.labels(OUTCOMES.get(problem_of(error, 500).slug, ERROR)).inc()
            raise
        metrics.FILE_UPLOADS_TOTAL.labels(OK).inc()
        self.answer(view, 201)

    async def _upload(self) -> FileView:
        name, length = self.query_text(NAME), self._checked_length()
        receiving = await self.services.uploads.begin(self.actor.user, self._stop)
        try:
            if self.services.stopping:  # it may have waited for its place
                raise _stopping()
            limits = self.services.uploads.limits
            await self.services.uploads.beginnings.wait()
            begun = await self.commit(partial(upload.begin, owner=self.actor.user, length=length, limits=limits))
            receiving.open(begun)
            async with asyncio.timeout(MAX_UPLOAD_S):
                await self._receive(receiving, begun.reserved)
            return await self._complete(receiving, name)
        except TimeoutError:
            raise ProblemError("unavailable", "it took too long", {"Retry-After": "1"}) from None
        except DayFullError as full:
            raise _day_full(full) from None
        finally:
            receiving.end()

    def _checked_length(self) -> int | None:
        """The length that the client announces. Raises ProblemError if it is refused before it is sent."""
        length = self.content_length()
        if length == 0:
            raise _empty()
        if length is not None and length > self.services.uploads.limits.file:
            raise self._too_large()
        return length

    async def _receive(self, receiving: Upload, reserved: int) -> None:
        """Write the body while it arrives. Raises ProblemError if it is longer than what is reserved."""
        while batch := await self.body.read(self.services.uploads.batch_bytes(), reserved):
            if self.body.received > reserved:
                raise self._too_large() if reserved == self.services.uploads.limits.file else self._reserved_full(reserved)
            await self.services.uploads.pace.wait(len(batch))
            await receiving.write(batch)
            del batch  # while the next one is collected
        if not self.body.received:
            raise _empty()
        await receiving.finish()

    async def _complete(self, receiving: Upload, name: str) -> FileView:
        """Make it a file of the caller's. Whether it is one is not known if this fails."""
        file, begun = receiving.file, receiving.begun
        assert file is not None
        assert begun is not None
        received = ReceivedFile(names.clean(name, file.type), file.type, file.bytes, file.sha256, file.private)
        receiving.is_complete = True
        try:
            view = await self.commit(partial(upload.complete, upload=begun, received=received))
        except RefusedError:
            receiving.is_complete = False
            raise
        receiving.is_stored = True
        return view

    def _stop(self) -> None:
        """Break off, since the gateway stops."""
        self.body.end(_stopping())

    def _reserved_full(self, reserved: int) -> ProblemError:
        """The refusal of a body of unknown length that is longer than what was left."""
        return _day_full(upload.day_full(reserved, now_ms(), self.services.uploads.limits))

    def _too_large(self) -> ProblemError:
        return ProblemError("too-large", f"a file must be at most {self.services.settings.file_max_mb} MiB")


def _stopping() -> ProblemError:
    return ProblemError("unavailable", "the gateway stops: try again", {"Retry-After": "1"})


def _empty() -> ProblemError:
    wrong = [{"field": "body", "message": "must have at least 1 byte"}]
    return ProblemError("invalid", "body: must have at least 1 byte", errors=wrong)


def _day_full(full: DayFullError) -> ProblemError:
    """429 with what is left, in bytes."""
    seconds = -(-full.retry_after_ms // 1000)
    return ProblemError(full.slug, full.detail, {"Retry-After": str(seconds)}, left=full.left)

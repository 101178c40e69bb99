"""The export of a user, everything of theirs as a zip: for themselves, and for admins."""

from __future__ import annotations

from typing import IO

from tornado.iostream import StreamClosedError

from gateway.http.base import Handler
from gateway.http.connections import abort_connection
from gateway.http.describe import describe
from models.accounts import user_export
from models.records import archive

ZIP = "application/zip"
BLOCK_BYTES = 64 * 1024


class ExportingHandler(Handler):
    """The base of handlers that answer an export."""

    async def answer_export(self, user: int) -> None:
        """Write the zip block by block, each when the one before is sent."""
        data = self.services.settings.data_dir
        file = await self.services.export.of_account(
            self.actor.user, user_export.write, user, data / "exports", archive.folder(data)
        )
        self.set_header("Content-Type", ZIP)
        self.set_header("Content-Disposition", f'attachment; filename="bellwire-{user}.zip"')
        try:
            await self._send(file)
        finally:
            file.close()

    async def _send(self, file: IO[bytes]) -> None:
        try:
            while block := await self.read(file.read, BLOCK_BYTES):
                self.write(block)
                await self.flush()
        except StreamClosedError:
            return
        except Exception:
            if self._headers_written:  # an incomplete zip must not look complete
                abort_connection(self)
            raise
        self.finish()


class MyExport(ExportingHandler):
    """The caller's own export."""

    @describe("Export my data", {200: ZIP})
    async def get(self) -> None:
        """Answer 200 with a zip of JSON files, all of one moment: account, messages, posts, notifications and more."""
        await self.answer_export(self.actor.user)

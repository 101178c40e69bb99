"""The export of a user, everything of theirs as a zip: for themselves, and for admins."""

from __future__ import annotations

from tornado.iostream import StreamClosedError

from gateway.http.base import Handler
from gateway.http.connections import abort_connection
from gateway.http.describe import describe
from models.accounts import user_export
from models.accounts.export_stream import UserExport
from models.records import archive

ZIP = "application/zip"
BLOCK_BYTES = 64 * 1024


class ExportingHandler(Handler):
    """The base of handlers that answer an export."""

    async def answer_export(self, user: int) -> None:
        """Write the zip block by block, each when the one before is sent."""
        async with self.services.export_places.place(self.actor.user):
            data = self.services.settings.data_dir
            export = await self.services.export.of_account(
                self.actor.user, user_export.write, user, data / "exports", archive.folder(data), self.services.files
            )
            self.set_header("Content-Type", ZIP)
            self.set_header("Content-Disposition", f'attachment; filename="bellwire-{user}.zip"')
            try:
                await self._send(export)
            finally:
                export.close()

    async def _send(self, export: UserExport) -> None:
        try:
            while block := await self.services.export_blocks.of_account(self.actor.user, export.read, BLOCK_BYTES):
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
        """Answer 200 with a zip: JSON files, all of one moment, with account, messages, posts, notifications and more, and the
        files that the caller has uploaded."""
        await self.answer_export(self.actor.user)

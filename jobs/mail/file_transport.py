"""The transport of mails: the relay, or a folder while none is set, so that one can try Bellwire out without a mail server."""

from __future__ import annotations

import os
import re
import tempfile
from email.utils import parsedate_to_datetime
from pathlib import Path

from conf import Settings
from jobs.mail.compose import ComposedMail
from jobs.mail.smtp import RelayDownError, SmtpTransport

_DATE = re.compile(rb"^Date: (.*?)\r?$", re.MULTILINE)
_MESSAGE_ID = re.compile(rb"^Message-ID: <([0-9a-f]{4})([0-9a-f]{4})", re.MULTILINE)


class FileTransport:
    """Writes each mail to a file in a folder.

    The file's name comes from the mail's Date and Message-ID, so another attempt writes the same file again:
    `2026-11-06T12-34-56Z-1f2e-3d4c.eml`. The last hyphen keeps six digits in a row, which look like a code, out of the name.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, sender: str, receiver: str, mail: ComposedMail) -> None:
        """Write a mail, readable by its owner alone, completely or not at all. Raises RelayDownError when that fails."""
        del sender, receiver  # both are in the mail
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._write(self._folder / _file_name(mail.message), mail.message)
        except OSError as error:
            raise RelayDownError(f"{self._folder} cannot be written ({error.strerror or error})") from error

    def _write(self, path: Path, message: bytes) -> None:
        descriptor, draft = tempfile.mkstemp(dir=self._folder, prefix=".")  # with mode 0600
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(message)
            Path(draft).replace(path)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise

    def close_if_idle(self) -> None:
        """Do nothing: a folder has no connection."""

    def close(self) -> None:
        """Do nothing: a folder has no connection."""


def _file_name(message: bytes) -> str:
    date, message_id = _DATE.search(message), _MESSAGE_ID.search(message)
    assert date, "a mail has a date"
    assert message_id, "a mail has a Message-ID of ours"
    at = parsedate_to_datetime(date[1].decode())
    return f"{at:%Y-%m-%dT%H-%M-%SZ}-{message_id[1].decode()}-{message_id[2].decode()}.eml"


def create_transport(settings: Settings) -> SmtpTransport | FileTransport:
    """Return the transport that the settings name."""
    return SmtpTransport(settings.email_url) if settings.sends_mail else FileTransport(settings.data_dir / "mail")

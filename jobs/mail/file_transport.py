"""Where letters go: to the relay, or into a folder as long as none is set, for whoever tries Bellwire out to read."""

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
    """A folder with a file a letter. It is called what the letter's Date and Message-ID say, so another try writes the same file
    again: `2026-11-06T12-34-56Z-1f2e-3d4c.eml`. The second hyphen keeps anything like a code of six digits out of the name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, sender: str, receiver: str, letter: ComposedMail) -> None:
        """Writes a letter, readable by the owner alone, whole or not at all. Raises RelayDownError when that can't be done."""
        del sender, receiver  # both are in the letter
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._write(self._folder / _name(letter.message), letter.message)
        except OSError as error:
            raise RelayDownError(f"{self._folder} can't be written ({error.strerror or error})") from error

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
        """There is nothing to close_if_idle."""

    def close(self) -> None:
        """There is nothing to close."""


def _name(message: bytes) -> str:
    date, message_id = _DATE.search(message), _MESSAGE_ID.search(message)
    assert date, "a letter has a date"
    assert message_id, "a letter has a Message-ID of ours"
    at = parsedate_to_datetime(date[1].decode())
    return f"{at:%Y-%m-%dT%H-%M-%SZ}-{message_id[1].decode()}-{message_id[2].decode()}.eml"


def create_transport(settings: Settings) -> SmtpTransport | FileTransport:
    """What the settings say that mail is handed to."""
    return FileTransport(settings.data_dir / "mail") if settings.email_url == "file:" else SmtpTransport(settings.email_url)

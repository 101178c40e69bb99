"""Mails in a folder."""

import os
import re
import stat
from pathlib import Path

import pytest

from conf import Settings
from jobs.mail.compose import ComposedMail, Composer
from jobs.mail.file_transport import FileTransport, create_transport
from jobs.mail.smtp import RelayDownError, SmtpTransport
from tests.stores import full_disk

COMPOSER = Composer("bell@example.org", "https://chat.example.org")
AT_MS = 1_792_000_000_000
SENDER, ANA = "bell@example.org", "ana@example.org"


def composed(digits: str = "0123456789abcdef", at_ms: int = AT_MS) -> ComposedMail:
    return COMPOSER.compose("login_code", ANA, "Ana", {"code": "482913"}, f"<{digits}@example.org>", at_ms, None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "mail"


def test_a_mail_is_a_file_for_its_owner_alone(folder: Path) -> None:
    FileTransport(folder).send(SENDER, ANA, composed())
    (file,) = folder.iterdir()
    assert file.name == "2026-10-14T17-46-40Z-0123-4567.eml"
    assert file.read_bytes() == composed().message
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_another_try_writes_the_same_file_and_another_mail_another(folder: Path) -> None:
    mails = FileTransport(folder)
    for one in (composed(), composed(), composed("fedcba9876543210"), composed(at_ms=AT_MS + 1000)):
        mails.send(SENDER, ANA, one)
    mails.close_if_idle()
    mails.close()
    assert len(list(folder.iterdir())) == 3


@pytest.mark.parametrize("digits", ["123456ab", "a123456b", "ab123456", "12345678"])
def test_no_name_has_what_looks_like_a_code(folder: Path, digits: str) -> None:
    FileTransport(folder).send(SENDER, ANA, composed(digits))
    assert not re.search(r"\d{5}", next(folder.iterdir()).name)


def test_a_folder_that_can_not_be_written_is_a_relay_that_is_down(folder: Path) -> None:
    folder.parent.mkdir()
    folder.write_text("a file")
    with pytest.raises(RelayDownError, match="cannot be written"):
        FileTransport(folder).send(SENDER, ANA, composed())


def test_a_mail_that_can_not_be_finished_leaves_nothing(folder: Path) -> None:
    mails = FileTransport(folder)
    mails.send(SENDER, ANA, composed())
    (file,) = folder.iterdir()
    file.unlink()
    file.mkdir()  # in the way of the finished file
    with pytest.raises(RelayDownError):
        mails.send(SENDER, ANA, composed())
    assert os.listdir(folder) == [file.name]


def test_a_full_disk_is_a_relay_that_is_down_and_leaves_nothing(folder: Path) -> None:
    mails = FileTransport(folder)
    with full_disk(100), pytest.raises(RelayDownError):
        mails.send(SENDER, ANA, composed())
    assert list(folder.iterdir()) == []
    mails.send(SENDER, ANA, composed())
    assert [file.read_bytes() for file in folder.iterdir()] == [composed().message]


def test_the_settings_say_where_mail_goes(tmp_path: Path) -> None:
    assert isinstance(create_transport(Settings(data_dir=tmp_path)), FileTransport)
    assert isinstance(create_transport(Settings(data_dir=tmp_path, email_url="smtp://relay.example")), SmtpTransport)

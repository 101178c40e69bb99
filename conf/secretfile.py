"""A generated secret, kept in a file that only its owner can read."""

import contextlib
import os
import secrets
from pathlib import Path


class SecretFileError(Exception):
    """The file can't be created or read, or its secret is too short."""


def read_or_create(path: Path, *, min_chars: int) -> str:
    """Return the secret in `path`; create the file, with mode 0600, if it does not exist. Raises SecretFileError.

    Processes that start at the same time get the same secret: a finished file is linked into place, and the first link wins.
    """
    try:
        if not path.exists():
            _create(path)
        secret = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SecretFileError(f"the secret in {path} can't be used: {error}") from error
    if len(secret) < min_chars:
        raise SecretFileError(f"{path} holds no secret of {min_chars} characters; remove it to have a new one")
    return secret


def _create(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(48) + "\n")
            file.flush()
            os.fsync(descriptor)
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()

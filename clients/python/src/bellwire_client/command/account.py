"""Where Bellwire is and who calls, kept in a file that only its owner can read."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from bellwire_client.calls import PATIENCE_S
from bellwire_client.client import Client

OWNER_ONLY = 0o600


class AccountError(Exception):
    """Nobody is logged in, or can be."""


def file() -> Path:
    """`bellwire/account.json` in the user's folder for settings (XDG Base Directory Specification; APPDATA on Windows)."""
    elsewhere = os.environ.get("APPDATA" if sys.platform == "win32" else "XDG_CONFIG_HOME")
    return (Path(elsewhere) if elsewhere else Path.home() / ".config") / "bellwire" / "account.json"


def keep(url: str, token: str) -> Path:
    """Writes both, and returns where. The file is never readable for others, nor ever half written. Raises AccountError."""
    kept = file()
    written = kept.with_suffix(".new")
    try:
        kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        written.unlink(missing_ok=True)  # one that was left may be readable for others
        with open(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY), "w", encoding="utf-8") as new:
            json.dump({"url": url, "token": token}, new)
        return written.replace(kept)
    except OSError as error:
        raise AccountError(f"the token can't be kept: {error}") from error


def connect(patience_s: float = PATIENCE_S) -> Client:
    """A client for who is logged in. Raises AccountError."""
    url, token = os.environ.get("BELLWIRE_URL"), os.environ.get("BELLWIRE_TOKEN")
    if not (url and token):
        kept = _kept()
        url, token = url or kept.get("url"), token or kept.get("token")
    if not (url and token):
        raise AccountError("not logged in: `bellwire login URL`, or set BELLWIRE_URL and BELLWIRE_TOKEN")
    try:
        return Client(url, token, patience_s=patience_s)
    except ValueError as error:
        raise AccountError(f"BELLWIRE_URL: {error}") from error


def _kept() -> dict[str, str]:
    try:
        found = json.loads(file().read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise AccountError(f"{file()} can't be read ({error}): log in again with `bellwire login URL`") from error
    return found if isinstance(found, dict) else {}

"""The address and the token of the account, stored in a file that only its owner can read."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from bellwire_client.calls import PATIENCE_S
from bellwire_client.client import Client

OWNER_ONLY = 0o600


class AccountError(Exception):
    """There is no account, or it cannot be stored or read."""


def account_file() -> Path:
    """Return `bellwire/account.json` in the user's folder for settings (XDG Base Directory Specification; APPDATA on Windows)."""
    folder = os.environ.get("APPDATA" if sys.platform == "win32" else "XDG_CONFIG_HOME")
    return (Path(folder) if folder else Path.home() / ".config") / "bellwire" / "account.json"


def save(url: str, token: str) -> Path:
    """Store both and return the file. It is never readable by others, and never incomplete. Raises AccountError."""
    path = account_file()
    new_path = path.with_suffix(".new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new_path.unlink(missing_ok=True)  # an old one may be readable by others
        with open(os.open(new_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY), "w", encoding="utf-8") as new:
            json.dump({"url": url, "token": token}, new)
        return new_path.replace(path)
    except OSError as error:
        raise AccountError(f"the token can't be stored: {error}") from error


def connect(patience_s: float = PATIENCE_S) -> Client:
    """Return a client for the stored account, or for the one in the environment. Raises AccountError."""
    url, token = os.environ.get("BELLWIRE_URL"), os.environ.get("BELLWIRE_TOKEN")
    if not (url and token):
        stored = _load()
        url, token = url or stored.get("url"), token or stored.get("token")
    if not (url and token):
        raise AccountError("not logged in: `bellwire login URL`, or set BELLWIRE_URL and BELLWIRE_TOKEN")
    try:
        return Client(url, token, patience_s=patience_s)
    except ValueError as error:
        raise AccountError(f"BELLWIRE_URL: {error}") from error


def _load() -> dict[str, str]:
    try:
        account = json.loads(account_file().read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise AccountError(f"{account_file()} can't be read ({error}): log in again with `bellwire login URL`") from error
    return account if isinstance(account, dict) else {}

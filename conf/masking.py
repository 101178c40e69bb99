"""Masking of values that must not appear in an error or in the log."""

import re
from functools import lru_cache

MASK = "***"

_SECRET_NAMES = frozenset(
    {"api_key", "auth", "authorization", "body", "code", "cookie", "otp", "passwd", "password"}
    | {"secret", "secret_key", "set_cookie", "token"}
)
_SECRET_ENDINGS = ("_token", "_password", "_secret", "_cookie", "_otp")

_URL_PASSWORD = re.compile(r"(?<=://)([^/@\s:]*):(\S*)@")
_PARAMETER = re.compile(r"(?i)\b([a-z_]*(?:token|password|passwd|secret|otp|access_key|access_key_id)|code)=[^&\s\"'#;,)]+")
_ROW = re.compile(r"DETAIL:.*?(?=\n\n(?:The above|During handling)|\Z)", re.DOTALL)  # PostgreSQL quotes the refused row
_ADDRESS = re.compile(r"[^\s<>()\[\]\"',;:]+@[^\s<>()\[\]\"',;:]+")
_BEARER = re.compile(r"(?i)\b(bearer|basic) [a-z0-9._~+/=-]{8,}")


@lru_cache(maxsize=1024)
def is_secret(name: str) -> bool:
    """Whether the value under this key (of a setting, a header, a field of a log line) is a secret."""
    key = name.lower().replace("-", "_")
    return key in _SECRET_NAMES or key.endswith(_SECRET_ENDINGS)


def without_secrets(text: str) -> str:
    """`text` with passwords in URLs, `token=…` parameters, bearer tokens and rows quoted by an error masked."""
    if "://" in text and "@" in text:
        text = _URL_PASSWORD.sub(rf"\1:{MASK}@", text)
    if "=" in text:
        text = _PARAMETER.sub(rf"\1={MASK}", text)
    if "earer " in text or "asic " in text:
        text = _BEARER.sub(rf"\1 {MASK}", text)
    if "DETAIL:" in text:
        text = _ROW.sub(f"DETAIL: {MASK}", text)
    return text


def without_addresses(text: str) -> str:
    """`text`, the answer of a mail server, with its addresses masked."""
    return _ADDRESS.sub(MASK, text)


def masked(name: str, text: str) -> str:
    """`text`, the value of `name`, with its secrets masked."""
    return MASK if is_secret(name) else without_secrets(text)

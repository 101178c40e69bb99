"""The header Content-Disposition: whether a browser shows a file or saves it, and under which name (RFC 6266, RFC 8187)."""

from __future__ import annotations

import re
from urllib.parse import quote

ATTR_CHARS = "!#$&+-.^_`|~"  # beside letters and digits (RFC 8187, section 3.2.1)
UNSAFE = re.compile(r'[^ -~]|["\\%]')  # in a quoted name: browsers decode a percent sign there, each in its way


def content_disposition(name: str, *, inline: bool) -> str:
    """The header's value: the name in UTF-8, and for old clients one in ASCII, if that is not the same."""
    fallback = UNSAFE.sub("_", name)
    value = f'{"inline" if inline else "attachment"}; filename="{fallback}"'
    return value if fallback == name else f"{value}; filename*=UTF-8''{quote(name, ATTR_CHARS, errors='replace')}"

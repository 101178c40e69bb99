"""The name of a file as its receivers see it, and as their browsers save it: a client may claim anything.

Letters of all scripts and emoji stay. Folders, control characters, and what makes a name look like another one go.
"""

from __future__ import annotations

import re
import unicodedata

from models.files.types import EXTENSIONS

MAX_NAME_BYTES = 255  # in UTF-8: what file systems accept
MAX_EXTENSION_BYTES = 16
DEFAULT_NAME = "file"
SEPARATORS = re.compile(r"[/\\\u2044\u2215\u29f8\ufe68\uff0f\uff3c]")
FORBIDDEN = re.compile(r'[<>:"|?*\ufffd]')  # in names of Windows; and what stood for letters that could not be read
BLANKS = re.compile(r"\s+")
DROPPED_CATEGORIES = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
JOINERS = "\u200c\u200d"  # within words of Persian and Indic scripts, and within emoji
TAGS = range(0xE0020, 0xE0080)  # of flags such as that of Scotland
RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(?=\.|$)")  # devices of Windows, with any extension
EXTENSION = re.compile(r"\.[^.\s]+$")


def clean(name: str, type_: str) -> str:
    """The name of a file of a type, of 1 to MAX_NAME_BYTES bytes, for what a client calls it."""
    text = unicodedata.normalize("NFC", SEPARATORS.split(name)[-1])
    text = FORBIDDEN.sub("_", "".join(character for character in _visible(text)))
    text = BLANKS.sub(" ", text).strip(" .\u200c\u200d")
    if not text or not any(character.isalnum() or unicodedata.category(character) == "So" for character in text):
        extension = EXTENSIONS.get(type_)
        return f"{DEFAULT_NAME}.{extension}" if extension else DEFAULT_NAME
    return _shortened(f"_{text}" if RESERVED.match(text) else text)


def _visible(text: str) -> list[str]:
    """The characters that are seen, and those within words and emoji that join them."""
    kept: list[str] = []
    for character in text:
        category = unicodedata.category(character)
        if character.isspace():
            kept.append(" ")
        elif category not in DROPPED_CATEGORIES or _joins(character, kept):
            kept.append(character)
    return kept


def _joins(character: str, before: list[str]) -> bool:
    """Whether an invisible character belongs to a word or an emoji: it follows a visible character of one."""
    if character not in JOINERS and ord(character) not in TAGS:
        return False
    return bool(before) and ord(before[-1]) > 0x7F and before[-1] not in JOINERS


def _shortened(name: str) -> str:
    """The name without its end, but with its extension, if it is too long."""
    if len(name.encode()) <= MAX_NAME_BYTES:
        return name
    found = EXTENSION.search(name)
    extension = found[0] if found is not None and len(found[0].encode()) <= MAX_EXTENSION_BYTES else ""
    room = MAX_NAME_BYTES - len(extension.encode())
    start = name.removesuffix(extension).encode()[:room].decode(errors="ignore").rstrip(" .\u200c\u200d")
    return start + extension

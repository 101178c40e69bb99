"""Rules for short texts that users see of each other: names, titles, emoji."""

from __future__ import annotations

# Zero-width joiners combine several emoji into one and occur between letters in Persian; tags spell the flags of regions.
JOINERS = dict.fromkeys((0x200C, 0x200D, *range(0xE0020, 0xE0080)))


def is_displayable(text: str) -> bool:
    """Return whether the text has visible characters and, besides joiners, only those: no line breaks, controls or changes of
    direction."""
    visible = text.translate(JOINERS)
    return visible.isprintable() and not visible.isspace() and visible != ""

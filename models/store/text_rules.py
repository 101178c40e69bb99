"""Short texts that people see of one another: names, titles, emoji."""

from __future__ import annotations

# Zero-width joiners make one emoji of several and are letters' neighbours in Persian; tags spell the flags of regions.
JOINERS = dict.fromkeys((0x200C, 0x200D, *range(0xE0020, 0xE0080)))


def is_displayable(text: str) -> bool:
    """Whether something shows, and all else joins what does: no line breaks, no controls, no change of direction."""
    seen = text.translate(JOINERS)
    return seen.isprintable() and not seen.isspace() and seen != ""

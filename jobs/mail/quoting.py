"""Texts that users chose, in mails: addresses and domains in them are no links.

In the app a name is beside its user; a mail's subject has nothing beside it, and comes from the operator.
"""

from __future__ import annotations

import re

WORD_JOINER = "\u2060"  # invisible; a mail program takes what is before and after it for two words


def unlinked(text: str) -> str:
    """Return the text with addresses and domains divided, so that no mail program makes links of them."""
    return re.sub(r"(?<=\S)[.:/@](?=\S)", rf"\g<0>{WORD_JOINER}", text)


def linkable(text: str) -> str:
    """Return the text without the divisions of `unlinked`, for subjects."""
    return text.replace(WORD_JOINER, "")

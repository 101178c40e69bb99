"""Links to files: for an hour, their bytes without a token, for `<img>` and downloads.

A link names its file, the user who requested it, and when it ends. Each request by it is that user's: their account and their
access are checked then. Links of the same ten minutes are the same, so that browsers find what they have loaded by them.
"""

from __future__ import annotations

import hashlib
from typing import TypedDict

from itsdangerous import BadData, URLSafeSerializer

from gateway.http.base import Handler
from gateway.http.describe import describe
from models.chat import file_access
from models.identity.token import Actor
from models.store.clock import now_ms, rfc3339
from models.store.errors import ActingError, NotFoundError

SALT = "bellwire.file"  # a value signed for another use is not accepted here
SIGNATURE = "signature"
GOOD_S = 3600
ROUNDED_S = 600  # links end at full ten minutes
WRONG = "the link is wrong or has ended: request a new one"


class Link(TypedDict):
    """A link. It is good until `expires_at`, for the file and its thumbnail."""

    url: str
    expires_at: str


class FileLink(Handler):
    """A link to a file."""

    @describe("Make a link to a file", {200: Link})
    async def get(self, file: str) -> None:
        """Answer 200 with a URL that needs no token, for an hour: it is good for as long as the caller may see the file, and their
        account is active. Its path with `/thumbnail` is the thumbnail's."""
        await self.read(file_access.find, self.actor.user, int(file), self.bound())
        expires_s = -(-(now_ms() // 1000 + GOOD_S) // ROUNDED_S) * ROUNDED_S
        signature = sign(self.services.secret, int(file), self.actor.user, expires_s)
        url = f"{self._own_url()}/api/v1/files/{file}?{SIGNATURE}={signature}"
        self.answer(Link(url=url, expires_at=rfc3339(expires_s * 1000)))

    def _own_url(self) -> str:
        """The address of this installation: its setting, or as the client knows it."""
        settings = self.services.settings
        scheme = "https" if self.over_https() else "http"
        return settings.url if settings.base_url else f"{scheme}://{self.request.host}"


class LinkedHandler(Handler):
    """The base of handlers whose caller may have a link instead of a token. `is_linked`: they have."""

    accepts_links = True
    is_linked = False

    async def authenticate(self) -> None:
        """Set `actor`: of the link, if the query has one. Raises NotFoundError for a wrong one, or if its user is not
        active any more."""
        signatures = self.request.query_arguments.get(SIGNATURE)
        if signatures is None:
            authenticated = super().authenticate()
            if authenticated is not None:
                await authenticated
            return
        self.is_linked = True
        user = read(self.services.secret, int(self.path_args[0]), signatures[-1].decode("utf-8", "replace"))
        if user is None:
            await self._refuse(NotFoundError(WRONG))
        found = await self.services.acted_for(str(user))
        if isinstance(found, ActingError):
            await self._refuse(NotFoundError())
        self.actor = Actor(found.id, 0, found.role, found.status, found.bot)
        if (counting := self._count(self.actor)) is not None:
            await counting


def sign(secret: str, file: int, user: int, expires_s: int) -> str:
    """Return the signature of a link."""
    signed = _signer(secret).dumps([file, user, expires_s])
    return signed if isinstance(signed, str) else signed.decode()


def read(secret: str, file: int, signature: str) -> int | None:
    """Return the user of a link; None when it was not signed for this file, or has ended."""
    try:
        match _signer(secret).loads(signature):
            case [int(signed_file), int(user), int(expires_s)] if signed_file == file and expires_s * 1000 > now_ms():
                return user
    except (BadData, UnicodeError):  # UnicodeError: a lone surrogate
        pass
    return None


def _signer(secret: str) -> URLSafeSerializer:
    return URLSafeSerializer(secret, SALT, signer_kwargs={"digest_method": hashlib.sha256, "key_derivation": "hmac"})

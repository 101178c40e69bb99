"""Authentication: the caller of a request, its address, and its rate limits."""

from __future__ import annotations

import math
from collections.abc import Awaitable
from typing import ClassVar, NoReturn

from tornado import web

from gateway.http import client_address
from gateway.http.errors import ProblemError
from gateway.http.rate_limits import QUOTAS
from gateway.http.routing import Request
from gateway.http.services import Services
from gateway.http.tokens import COOKIE
from gateway.jwt.verifier import has_form
from models.identity.token import ENDED, Actor
from models.store.clock import now_ms
from models.store.errors import DeadTokenError, RefusedError

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


class Authentication(web.RequestHandler):
    """The part of a handler that authenticates its caller. `access` is the group of callers: `public`, `user` or `admin`."""

    access: ClassVar[str] = "user"
    rate_limit: ClassVar[str] = "api"
    writes_count: ClassVar[bool] = True  # towards the user's quotas
    query_token: ClassVar[bool] = False  # whether ?token= is accepted, as it is on event endpoints
    accepts_links: ClassVar[bool] = False  # whether ?signature= is accepted, as it is for the bytes of files
    request: Request
    services: Services
    actor: Actor
    address: str

    def authenticate(self) -> Awaitable[None] | None:
        """Set `actor` and count the request. It waits only for a token that is not in memory, or for rate limits.

        Raises DeadTokenError, SuspendedError, or ProblemError 403 or 429.
        """
        if self.access == "public":
            return self._count(None)
        try:
            credential = self.credential()
        except DeadTokenError as refusal:
            return self._refuse(refusal)
        actor = self.services.tokens.cached(credential)
        if actor is None:
            return self._find(credential)
        self._accept(actor)
        return self._count(actor)

    async def _find(self, credential: str) -> None:
        try:
            actor = await self.services.tokens.find(credential, self.client_address())
        except RefusedError as refusal:
            await self._refuse(refusal)
        else:
            self._accept(actor)
            if (counting := self._count(actor)) is not None:
                await counting

    async def _refuse(self, refusal: RefusedError) -> NoReturn:
        """Refuse a request without a valid token, after counting it by address."""
        if (counting := self._count(None)) is not None:
            await counting
        raise refusal

    async def refuse_ended(self) -> NoReturn:
        """Raise the error of a token that ended while its poll was open. One of the host's is refused as a new request with it is:
        by the claim, or because its user is suspended."""
        credential = self.credential()
        if has_form(credential):
            await self.services.tokens.find(credential, self.client_address())
        raise DeadTokenError(ENDED)

    def _accept(self, actor: Actor) -> None:
        if self.access == "admin" and actor.role != "admin":
            raise ProblemError("forbidden", "only admins may do this")
        self.actor = actor
        self.services.tokens.record_use(actor, self.client_address)

    def remaining_s(self) -> float:
        """The seconds until the caller's token expires; infinite for one that does not."""
        expires_ms = self.actor.expires_ms
        return math.inf if expires_ms is None else max(0.0, (expires_ms - now_ms()) / 1000)

    def _count(self, actor: Actor | None) -> Awaitable[None] | None:
        """Count the request. None if that was done at once."""
        if not self.services.rate_limits.enabled:
            return None
        caller = f"user:{actor.user}" if actor is not None else f"address:{client_address.limited_as(self.client_address())}"
        return self.services.rate_limits.hit_all(self._limits(actor), caller)

    def _limits(self, actor: Actor | None) -> tuple[str, ...]:
        """The names of the limits that count this request."""
        if self.request.method in SAFE_METHODS:
            return ("api",)
        own = ("api",) if self.rate_limit == "api" else ("api", self.rate_limit)
        has_quota = self.writes_count and actor is not None and actor.role != "admin"
        return (*own, *QUOTAS) if has_quota else own

    def credential(self) -> str:
        """The token in the Authorization header, the query or the session cookie.

        A cookie counts for unsafe methods only together with its XSRF token. Raises DeadTokenError, or ProblemError 403.
        """
        header = self.request.header("Authorization")
        if header is not None:
            scheme, _, value = header.partition(" ")
            if scheme in ("Bearer", "Token") or scheme.lower() in ("bearer", "token"):
                return value.strip()
            raise DeadTokenError("use Authorization: Bearer TOKEN")
        if self.query_token and (values := self.request.query_arguments.get("token")):
            return values[-1].decode("utf-8", "replace")
        cookie = self.get_cookie(COOKIE)
        if cookie is None:
            raise DeadTokenError("a token is required: Authorization: Bearer TOKEN")
        if self.request.method not in SAFE_METHODS:
            self._check_xsrf()
        return cookie

    def _check_xsrf(self) -> None:
        try:
            self.check_xsrf_cookie()
        except web.HTTPError:
            raise ProblemError("xsrf", "repeat the _xsrf cookie in X-XSRFToken") from None

    def client_address(self) -> str:
        """The peer's address, or the client's address that trusted proxies report (X-Forwarded-For, read from the right)."""
        if not self.address:
            self.address = self._resolve_address()
        return self.address

    def _resolve_address(self) -> str:
        forwarded = self.request.header("X-Forwarded-For") or ""
        return client_address.client_address(self.request.remote_ip or "", forwarded, self.services.settings.trusted_proxies)

    def over_https(self) -> bool:
        """Whether clients use HTTPS: with this gateway, with a trusted proxy (X-Forwarded-Proto), or by the base URL."""
        trusted = self.services.is_trusted_proxy(self.request.remote_ip or "")
        forwarded = trusted and self.request.headers.get("X-Forwarded-Proto")
        return (forwarded or self.request.protocol).lower() == "https" or self.services.settings.url.startswith("https:")

"""How this installation identifies itself to push services (VAPID, RFC 8292): a signed token for each of them."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

from py_vapid import Vapid02
from py_vapid.jwt import sign

from conf import Settings
from jobs.mail.headers import envelope_address
from models.notices import push_key

VALID_S = 12 * 3600  # services refuse tokens that are valid for more than 24 hours
RENEW_S = VALID_S / 2
MAX_TOKENS = 1_000  # that are kept


class Identification:
    """The tokens of one process, each kept for hours."""

    def __init__(self, settings: Settings) -> None:
        self._contact = contact(settings)
        self._key: tuple[Vapid02, str] | None = None
        self._tokens: dict[str, tuple[float, str]] = {}  # by origin: when to renew it (Unix time), and the header

    def load(self) -> None:
        """Read the key from the store, once."""
        if self._key is None:
            self._key = Vapid02.from_raw(push_key.private().encode()), push_key.public()

    def header(self, endpoint: str) -> str:
        """Return the Authorization header for an endpoint."""
        parts, now = urlsplit(endpoint), time.time()
        origin = f"{parts.scheme}://{parts.netloc}"
        renew_at, header = self._tokens.get(origin, (0.0, ""))
        if renew_at <= now:
            if len(self._tokens) >= MAX_TOKENS:
                self._tokens.clear()
            header = self._signed(origin, int(now) + VALID_S)
            self._tokens[origin] = now + RENEW_S, header
        return header

    def _signed(self, origin: str, expires: int) -> str:
        assert self._key is not None
        key, public = self._key
        return f"vapid t={sign({'aud': origin, 'exp': expires, 'sub': self._contact}, key.private_key)}, k={public}"


def contact(settings: Settings) -> str:
    """Return where the operator of this installation is reached: its address if that is https, else the sender of mails."""
    url = settings.base_url or ""
    return url if url.startswith("https://") else f"mailto:{envelope_address(settings.email_from)}"

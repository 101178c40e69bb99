"""Sending mail: one thread a worker takes what is due from the outbox, codes first, and hands it to the relay.

A mail is taken under a lease, sent, and then marked. Crash points: before the relay's 250 it is as if nothing had been; between
250 and the mark the mail goes out again when the lease has run out, with the same Message-ID (promise 5: at least once). The mark
of one mail and the taking of the next are one transaction.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import structlog

from conf import Settings
from conf.masking import without_addresses
from jobs.infra import parent
from jobs.infra.outage import Outage
from jobs.mail import compose, headers, unsubscribe
from jobs.mail.file_transport import create_transport
from jobs.mail.recheck import current_mail, preference_types
from jobs.mail.smtp import MailDeferredError, MailRefusedError, RelayDownError
from metrics.declared import EMAIL_SECONDS, EMAILS_TOTAL
from models.log import event
from models.log.event import Transaction
from models.notices import outbox
from models.notices.notification import mark_mail_only_read
from models.notices.outbox import Mail
from models.ops import dead_letters
from models.store.backoff import Backoff
from models.store.clock import now_ms
from models.store.database import disconnect

LOOK_S = 0.5  # between two looks at the outbox when nobody asks for one
LEASE_S = 15.0  # what a dead sender has taken is taken again after so long
RENEW_S = 5.0
GIVE_UP_S = 24 * 3600.0  # of a relay that defers a mail again and again
DROPS_A_TRANSACTION = 50  # of mails that nobody wants any more: senders need the store's lock, too
MAIL_BACKOFF = Backoff(2.0, 3600.0, jitter=(0.75, 1.25))  # of one mail, by its attempts
FIRST_RELAY_RETRY_S, MAX_RELAY_RETRY_S = 1.0, 30.0  # between two attempts while the relay itself is down

logger = structlog.get_logger("jobs")


class Result(NamedTuple):
    """What became of a try: sent, deferred or dead; and why."""

    mail: Mail
    outcome: str
    error: str = ""
    retry_s: float = 0.0


class Sending(NamedTuple):
    """A mail that is on its way to the relay: since when, and when its lease is to be renewed (time.monotonic())."""

    number: int
    since_ms: int
    renew_at: float


class Mailer:
    """The thread. It works while `wanted`, and rests while it is not."""

    def __init__(self, settings: Settings, wanted: Callable[[], bool] = lambda: True) -> None:
        self._settings = settings
        self._wanted = wanted
        self._holder = secrets.token_hex(8)
        self._transport = create_transport(settings)
        self._composer = compose.Composer(settings.email_from, settings.url)
        self._domain = headers.envelope_address(settings.email_from).rpartition("@")[2]
        self._relay = Outage("the mail relay", "mail waits, and is tried again")
        self._store = Outage("sending mail", "it is tried again")
        self._relay_backoff = Backoff(FIRST_RELAY_RETRY_S, MAX_RELAY_RETRY_S, jitter=(0.75, 1.0))
        self.sending: Sending | None = None
        self._called = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mailer", daemon=True)
        self.start, self.join, self.is_alive = self._thread.start, self._thread.join, self._thread.is_alive

    def wake(self) -> None:
        """There is mail."""
        self._called.set()

    def stop(self) -> None:
        """Ends the thread after the mail that it is sending."""
        self._stopping.set()
        self._called.set()

    def renew(self) -> None:
        """Keeps the lease of a mail whose relay takes its time. By another thread, now and then. Raises what the store raises."""
        sending = self.sending
        if sending is not None and time.monotonic() > sending.renew_at:
            with event.transaction(appends=False, durable=False) as transaction:
                outbox.renew_lease(transaction, sending.number, self._holder, int(LEASE_S * 1000))
            if self.sending is sending:
                self.sending = sending._replace(renew_at=time.monotonic() + RENEW_S)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._called.wait(LOOK_S)
            self._called.clear()
            try:
                if self._wanted():
                    self.send_due()
                self._transport.close_if_idle()
                self._store.record_success()
            except Exception as error:  # the store's; the next look may do better, and the thread must live
                self._store.record_failure(error)
                disconnect()
        self.close()
        disconnect()

    def close(self) -> None:
        """Lets go of the relay."""
        self._transport.close()

    def send_due(self) -> int:
        """Sends what is due, until there is no more, the relay is down or the thread is to end; returns how many it tried."""
        tried, result = 0, None
        while result is not None or outbox.next_due(now_ms()) is not None:
            may_go_on = not self._stopping.is_set() and self._relay_backoff.is_due()
            if result is None and not may_go_on:
                break
            with event.transaction(appends=False, durable=False) as transaction:
                if result is not None:
                    self._write(transaction, result)
                mail = self._take(transaction) if may_go_on else None
            result = self._try(mail) if mail is not None else None
            tried += mail is not None
        return tried

    def _take(self, transaction: Transaction) -> Mail | None:
        """The next mail that is still wanted, if there is one among the next DROPS_A_TRANSACTION; the others are dropped."""
        for _ in range(DROPS_A_TRANSACTION):
            mail = outbox.next_due(transaction.now_ms)
            if mail is None:
                return None
            wanted = current_mail(transaction, mail)
            if wanted is None:
                outbox.drop(transaction, mail.id)
                EMAILS_TOTAL.labels(mail.kind, "dropped").inc()
            elif taken := outbox.acquire(transaction, wanted, self._holder, int(LEASE_S * 1000), self._domain):
                return taken
        return None

    def _try(self, mail: Mail) -> Result:
        self.sending = Sending(mail.id, now_ms(), time.monotonic() + RENEW_S)
        began = time.perf_counter()
        result = self._result(mail)
        self.sending = None
        took_s = time.perf_counter() - began
        EMAILS_TOTAL.labels(mail.kind, result.outcome).inc()
        EMAIL_SECONDS.labels(mail.kind, result.outcome).observe(took_s)
        if result.outcome == "sent":
            logger.info("a mail was sent", **_named(mail), seconds=round(took_s, 3))
        elif result.outcome == "deferred":
            logger.info(
                "a mail is put off", **_named(mail), again_in_s=round(result.retry_s), error=without_addresses(result.error)
            )
        return result

    def _result(self, mail: Mail) -> Result:
        try:
            letter = self._letter(mail)
            self._transport.send(self._settings.email_from, mail.address, letter)
        except MailRefusedError as error:
            return Result(mail, "dead", str(error))
        except MailDeferredError as error:
            return self._deferred(mail, str(error), MAIL_BACKOFF.delay_s(mail.attempts))
        except RelayDownError as error:
            self._relay.record_failure(error, **_named(mail))
            return self._deferred(mail, str(error), self._relay_backoff.record_failure())
        except Exception as error:  # a defect of ours, or of what the mail holds: the others must go on
            logger.exception("a mail can't be made", **_named(mail))
            return Result(mail, "dead", f"{type(error).__name__}: {error}")
        self._relay.record_success()
        self._relay_backoff.record_success()
        self._show(mail, letter.subject)
        return Result(mail, "sent")

    def _deferred(self, mail: Mail, error: str, retry_s: float) -> Result:
        if now_ms() - mail.tried_from_ms > GIVE_UP_S * 1000:
            return Result(mail, "dead", f"given up after a day: {error}")
        return Result(mail, "deferred", error, retry_s)

    def _letter(self, mail: Mail) -> compose.ComposedMail:
        types, link = preference_types(mail), None
        if types and mail.receiver is not None:
            link = unsubscribe.link(self._settings.url, self._settings.secret(), mail.receiver, ",".join(types))
        return self._composer.compose(mail.kind, mail.address, mail.name, mail.data, mail.message_id, mail.created_ms, link)

    def _show(self, mail: Mail, subject: str) -> None:
        """A newcomer without a mail server reads their code where `serve` runs; it is no log."""
        if self._settings.email_url == "file:" and parent.inherited is not None:
            code = f", {mail.data['code']}" if "code" in mail.data else ""
            print(f"Mail to {mail.address}: {subject}{code} (in {self._settings.data_dir / 'mail'})", flush=True)

    def _write(self, transaction: Transaction, result: Result) -> None:
        number, outcome = result.mail.id, result.outcome
        if outcome == "sent":
            outbox.mark_sent(transaction, number)
            mark_mail_only_read(transaction, result.mail.data.get("notifications", ()))
        elif outcome == "deferred":
            outbox.defer(transaction, number, self._holder, now_ms() + int(result.retry_s * 1000), result.error)
        elif outbox.mark_dead(transaction, number, result.error):
            dead_letters.park_mail(transaction, number, result.error)
            logger.error("a mail is dead", **_named(result.mail), error=without_addresses(result.error))


def _named(mail: Mail) -> dict[str, Any]:
    """How lines of the log name it: by what it is about and whose that is, never by what it says or where it goes."""
    about = {"user": mail.receiver, "notifications": mail.data.get("notifications")}
    return {"mail": mail.id, "kind": mail.kind, "tries": mail.attempts} | {name: is_ for name, is_ in about.items() if is_}

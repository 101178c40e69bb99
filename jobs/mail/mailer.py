"""Send the mails of the outbox: a few threads per worker send those that are due to the relay, codes first.

A mail is leased, sent, and then marked as sent. Crash points: before the relay's 250 nothing has happened; between 250 and the
mark the mail goes out again when the lease has expired, with the same Message-ID (promise 5: at least once). One transaction marks
a mail and leases the next.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import structlog

from conf import Settings
from conf.masking import without_addresses
from conf.terminal import print_line
from jobs.infra import parent
from jobs.infra.outage import Outage
from jobs.mail import compose, headers, unsubscribe
from jobs.mail.file_transport import create_transport
from jobs.mail.recheck import current_mail, preference_types
from jobs.mail.smtp import MailDeferredError, MailRefusedError, RelayDownError
from metrics.declared import EMAIL_SECONDS, EMAILS_TOTAL
from models.identity.email_address import AddressError
from models.log import event
from models.log.event import Transaction
from models.notices import outbox
from models.notices.notification import mark_mail_only_read
from models.notices.outbox import Mail
from models.ops import dead_letters
from models.store.backoff import Backoff
from models.store.clock import now_ms
from models.store.database import disconnect, engine

POLL_INTERVAL_S = 0.5  # between two checks of the outbox without a wake-up
RENEW_S = 5.0  # from one renewal of a lease to the next
CORRECT_S = 5.0  # from one search for mail that a clock which was ahead has planned to the next; it reads all mail that waits
MAX_DEFERRAL_S = 24 * 3600.0  # a mail that the relay defers for so long is dead
MAX_DROPS_PER_TRANSACTION = 50  # mails that are not to be sent any more; sends of messages wait for the same lock
MAIL_BACKOFF = Backoff(2.0, 3600.0, jitter=(0.75, 1.25))  # of one mail, by its attempts
FIRST_RELAY_RETRY_S, MAX_RELAY_RETRY_S = 1.0, 30.0  # between two attempts while the relay itself is down

logger = structlog.get_logger("jobs")


class Result(NamedTuple):
    """The outcome of an attempt: sent, deferred or dead; and why."""

    mail: Mail
    outcome: str
    error: str = ""
    retry_s: float = 0.0


class Sending(msgspec.Struct):
    """A mail that is being sent: since when, and when to renew its lease (time.monotonic())."""

    number: int
    since_ms: int
    renew_at: float


class _Connection(threading.local):
    """The transport of the calling thread: a connection carries one mail at a time."""

    def __init__(self, settings: Settings) -> None:
        self.transport = create_transport(settings)


class Mailer:
    """The threads that send, each over a connection of its own. They do nothing while `enabled` returns False.

    `sending` has the mails that are being sent, by id.
    """

    def __init__(self, settings: Settings, enabled: Callable[[], bool] = lambda: True) -> None:
        self._settings = settings
        self._enabled = enabled
        self._holder_id = secrets.token_hex(8)
        self._own = _Connection(settings)
        self._composer = compose.Composer(settings.email_from, settings.url)
        self._domain = headers.envelope_address(settings.email_from).rpartition("@")[2]
        self._relay = Outage("mail_relay", "mail waits, and is tried again")
        self._store = Outage("mailer", "it is tried again")
        self._relay_backoff = Backoff(FIRST_RELAY_RETRY_S, MAX_RELAY_RETRY_S, jitter=(0.75, 1.0))
        self._correct_at = 0.0  # time.monotonic()
        self.sending: dict[int, Sending] = {}
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, name=f"mailer-{number}", daemon=True) for number in range(settings.mail_connections)
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def join(self, timeout_s: float | None = None) -> None:
        """Wait for the threads' end, all together for at most `timeout_s`."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))

    def is_alive(self) -> bool:
        """Return whether one of the threads runs."""
        return any(thread.is_alive() for thread in self._threads)

    @property
    def relay_down_since_ms(self) -> int | None:
        """When the relay stopped to accept connections; None while it accepts them."""
        return self._relay.since_ms

    def wake(self) -> None:
        """Have the threads check the outbox at once."""
        self._woken.set()

    def stop(self) -> None:
        """End the threads after the mails that they are sending."""
        self._stopping.set()
        self._woken.set()

    def renew(self) -> None:
        """Renew the leases of the mails that are being sent, where due. Called on another thread. Raises the store's errors."""
        due = [sending for sending in list(self.sending.values()) if time.monotonic() > sending.renew_at]
        if not due:
            return
        with event.transaction(appends=False, durable=False) as tx:
            for sending in due:
                outbox.renew_lease(tx, sending.number, self._holder_id)
        for sending in due:
            sending.renew_at = time.monotonic() + RENEW_S

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._woken.wait(POLL_INTERVAL_S)
            self._woken.clear()
            try:
                if self._enabled():
                    self.send_due()
                self._own.transport.close_if_idle()
                self._store.record_success()
            except Exception as error:  # an error of the store; the thread must live and try again
                self._store.record_failure(error)
                disconnect()
        self.close()
        disconnect()

    def close(self) -> None:
        """Close the calling thread's connection to the relay."""
        self._own.transport.close()

    def send_due(self) -> int:
        """Send mails that are due until there are no more, the relay is down or the threads must end; return how many were tried.

        Each transaction records the result of one mail and leases the next.
        """
        self._correct_times()
        tried = 0
        result: Result | None = None  # of the latest mail, not recorded yet
        while result is not None or outbox.next_due(engine().now_ms()) is not None:
            may_continue = not self._stopping.is_set() and self._relay_backoff.is_due()
            if result is None and not may_continue:
                break
            with event.transaction(appends=False, durable=False) as tx:
                if result is not None:
                    self._record(tx, result)
                mail = self._acquire(tx) if may_continue else None
            result = None
            if mail is not None:
                result = self._try(mail)
                tried += 1
        return tried

    def _correct_times(self) -> None:
        """Make mail due that was planned while the store's clock was ahead, once in CORRECT_S."""
        if time.monotonic() < self._correct_at:
            return
        self._correct_at = time.monotonic() + CORRECT_S
        if outbox.has_future(engine().now_ms()):
            with event.transaction(appends=False, durable=False) as tx:
                outbox.make_future_due(tx)

    def _acquire(self, tx: Transaction) -> Mail | None:
        """Lease the next mail that is still to be sent and drop those before it, at most MAX_DROPS_PER_TRANSACTION."""
        for _ in range(MAX_DROPS_PER_TRANSACTION):
            mail = outbox.next_due(tx.now_ms)
            if mail is None:
                return None
            current = current_mail(tx, mail)
            if current is None:
                outbox.drop(tx, mail.id)
                EMAILS_TOTAL.labels(mail.kind, "dropped").inc()
            elif leased := outbox.acquire(tx, current, self._holder_id, self._domain):
                return leased
        return None

    def _try(self, mail: Mail) -> Result:
        """Make one attempt, with its metrics and log line."""
        self.sending[mail.id] = Sending(mail.id, now_ms(), time.monotonic() + RENEW_S)
        began = time.perf_counter()
        try:
            result = self._result(mail)
        finally:
            del self.sending[mail.id]
        seconds = time.perf_counter() - began
        EMAILS_TOTAL.labels(mail.kind, result.outcome).inc()
        EMAIL_SECONDS.labels(mail.kind, result.outcome).observe(seconds)
        if result.outcome == "sent":
            logger.info("mail_sent", **_log_fields(mail), seconds=round(seconds, 3))
        elif result.outcome == "deferred":
            logger.info(
                "mail_deferred", **_log_fields(mail), again_in_s=round(result.retry_s), error=without_addresses(result.error)
            )
        return result

    def _result(self, mail: Mail) -> Result:
        """Compose and send a mail; return the outcome as a value, since each kind of error has another one."""
        try:
            composed = self._compose(mail)
            self._own.transport.send(self._settings.email_from, mail.address, composed)
        except (MailRefusedError, AddressError) as error:
            return Result(mail, "dead", str(error))
        except MailDeferredError as error:
            return self._deferred(mail, str(error), MAIL_BACKOFF.delay_s(mail.attempts))
        except RelayDownError as error:
            self._relay.record_failure(error, **_log_fields(mail))
            return self._deferred(mail, str(error), self._relay_retry_s())
        except Exception as error:  # a defect in the code or the data of this mail; the other mails must go on
            logger.exception("mail_not_composed", **_log_fields(mail))
            return Result(mail, "dead", f"{type(error).__name__}: {error}")
        self._relay.record_success()
        self._relay_backoff.record_success()
        self._print(mail, composed.subject)
        return Result(mail, "sent")

    def _relay_retry_s(self) -> float:
        """Return the delay after a failure of the relay. Of several threads that fail at once, one makes it longer."""
        return self._relay_backoff.record_failure() if self._relay_backoff.is_due() else FIRST_RELAY_RETRY_S

    def _deferred(self, mail: Mail, error: str, retry_s: float) -> Result:
        if engine().now_ms() - mail.tried_from_ms > MAX_DEFERRAL_S * 1000:
            return Result(mail, "dead", f"given up after a day: {error}")
        return Result(mail, "deferred", error, retry_s)

    def _compose(self, mail: Mail) -> compose.ComposedMail:
        types, unsubscribe_url = preference_types(mail), None
        if types and mail.receiver is not None:
            unsubscribe_url = unsubscribe.link(self._settings.url, self._settings.secret(), mail.receiver, ",".join(types))
        return self._composer.compose(
            mail.kind, mail.address, mail.name, mail.data, mail.message_id, mail.created_ms, unsubscribe_url, mail.locale
        )

    def _print(self, mail: Mail, subject: str) -> None:
        """Print the subject and code to the terminal of `serve` when no mail server is set. Not a log line."""
        if not self._settings.sends_mail and parent.inherited is not None:
            code = f", {mail.data['code']}" if "code" in mail.data else ""
            print_line(f"Mail to {mail.address}: {subject}{code} (in {self._settings.data_dir / 'mail'})")

    def _record(self, tx: Transaction, result: Result) -> None:
        """Write the result of an attempt to the outbox."""
        number, outcome = result.mail.id, result.outcome
        if outcome == "sent":
            outbox.mark_sent(tx, number)
            mark_mail_only_read(tx, result.mail.data.get("notifications", ()))
        elif outcome == "deferred":
            outbox.defer(tx, number, self._holder_id, int(result.retry_s * 1000), result.error)
        elif outbox.mark_dead(tx, number, result.error):
            dead_letters.park_mail(tx, number, result.error)
            logger.error("mail_dead", **_log_fields(result.mail), error=without_addresses(result.error))


def _log_fields(mail: Mail) -> dict[str, Any]:
    """Return the fields that log lines have of a mail: never its text or address."""
    fields: dict[str, Any] = {"mail": mail.id, "kind": mail.kind, "tries": mail.attempts}
    if mail.receiver:
        fields["user"] = mail.receiver
    if notifications := mail.data.get("notifications"):
        fields["notifications"] = notifications
    return fields

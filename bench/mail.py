"""How fast the worker hands a full outbox to a mail server, against a loop that does nothing else.

The relay, the worker and the loop are processes of their own. Both rates are by the relay's clock, from the first mail that it
took to the last, so neither has a start or a connection in it. What the worker must do besides: find a mail and take it, ask
whether it is wanted, write the letter, and mark it as sent.
"""

import secrets
import smtplib
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from bench.figures import Benchmark, Bound, Line, Outcome, Scale
from bench.relay import Relay, Taken, relay
from bench.server import ROOT, Bellwire, StartFailed, bellwire

MAILS = 1_000
DRAIN_S = 120.0
NEAR_S = 0.005  # over a mail, by a relay nearby
DATA = {
    "title": "Your account is active again",
    "body": "An admin has made your account active again.\nEverything that you missed is there, and so are your conversations.",
}


def _receivers(count: int) -> list[str]:
    return [f"reader{number}@example.org" for number in range(count)]


def _fill(count: int) -> None:
    """Make so many people and queue a mail to each, in the store that the environment names."""
    from commands import opening
    from models.accounts import registration
    from models.accounts.registration import NewUser
    from models.log import event
    from models.notices import outbox

    with opening.store(opening.settings()), event.transaction() as tx:
        people = [NewUser(address.split("@")[0], address) for address in _receivers(count)]
        made = registration.create_active(tx, people, [None] * count)
        letters = [
            outbox.NewMail("account", view.id, new.email, view.display_name, DATA) for view, new in zip(made, people, strict=True)
        ]
        outbox.queue(tx, letters)


def _loop(count: int) -> None:
    """Send letters such as the worker's, which are written before the first goes, over one connection."""
    from commands import opening
    from jobs.mail import compose, unsubscribe
    from models.store.clock import now_ms

    settings = opening.settings()
    composer, sender = compose.Composer(settings.email_from, settings.url), "bellwire@example.org"
    written = []
    for number, address in enumerate(_receivers(count)):
        link = unsubscribe.link(settings.url, settings.secret(), number, "account")
        identity = f"<{secrets.token_hex(16)}@example.org>"
        written.append(
            (address, composer.compose("account", address, address.split("@")[0], DATA, identity, now_ms(), link).message)
        )
    with smtplib.SMTP("127.0.0.1", int(settings.email_url.rpartition(":")[2]), "[127.0.0.1]") as smtp:
        for address, message in written:
            smtp.sendmail(sender, [address], message)


def _apart(server: Bellwire, what: str, count: int) -> None:
    """Do it in another process, which has the server's settings."""
    command = [sys.executable, "-m", "bench.mail", what, str(count)]
    done = subprocess.run(command, cwd=ROOT, env=server.env(), capture_output=True, timeout=DRAIN_S)
    if done.returncode:
        raise StartFailed(done.stderr.decode()[-2000:])


class Sent(NamedTuple):
    """How one of both fared."""

    rate: float  # mails a second
    size: float  # bytes of a mail, the mean
    wrong: int  # mails that did not arrive, or arrived again


def sent(taken: Sequence[Taken], wanted: Sequence[str]) -> Sent:
    """Compare what the relay took with what it should have: one mail to each receiver."""
    arrived, asked = Counter(mail.receiver for mail in taken), Counter(wanted)
    wrong = (arrived - asked).total() + (asked - arrived).total()
    if len(taken) < 2:
        return Sent(float("nan"), float("nan"), wrong)
    rate = (len(taken) - 1) / (taken[-1].at - taken[0].at)
    return Sent(rate, sum(mail.size for mail in taken) / len(taken), wrong)


async def _both(through: Relay, count: int) -> tuple[Sent, Sent]:
    """Send by the loop, then drain an outbox by the worker, through the same relay; return worker and loop."""
    with bellwire(worker=False, settings=through.settings) as server:
        _apart(server, "fill", count)
        _apart(server, "loop", count)
        bare = through.taken()
        worker = server.start("worker")
        await through.wait(len(bare) + count, DRAIN_S)
        server.stop(worker)
        mails = through.taken()[len(bare) :]
    return sent(mails, _receivers(count)), sent(bare, _receivers(count))


async def mail(scale: Scale) -> Outcome:
    """Through a relay nearby, then through one that takes no time."""
    count = scale.count(MAILS, MAILS // 10)
    found: dict[str, tuple[float, float | None]] = {}
    remarks, wrong = [], 0
    for name, delay_s in (("near", NEAR_S), ("instant", 0.0)):
        with relay(delay_s) as through:
            worker, bare = await _both(through, count)
        found[name] = (worker.rate, bare.rate)
        wrong += worker.wrong + bare.wrong
        remarks.append(
            f"{name}: worker {1000 / worker.rate:.2f} ms a mail of {worker.size:,.0f} bytes, "
            f"smtplib {1000 / bare.rate:.2f} ms a mail of {bare.size:,.0f}"
        )
    return Outcome(found, wrong, f"{wrong} mails did not arrive exactly once" if wrong else "", remarks)


MAIL = Benchmark(
    "mail",
    {
        "near": Line(
            f"mails of a full outbox, to a relay that takes {1000 * NEAR_S:g} ms over each; floor: smtplib alone, one connection",
            "/s",
            Bound(0.8, least=True),
        ),
        "instant": Line("the same, to a relay that takes none", "/s"),
    },
    mail,
)

if __name__ == "__main__":
    {"fill": _fill, "loop": _loop}[sys.argv[1]](int(sys.argv[2]))

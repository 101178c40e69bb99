"""Play recorded conversations through a server, and check that every copy, notification and record is exact.

`python bench/replay.py --speed MSG_PER_S|max --conversations N [--away SHARE] [--url URL --token ADMIN_TOKEN]`

Most people hold a long poll all the time. A share of them is away: they hear of it in notifications, one for each
conversation, and catch up afterwards from the cursor they had. The exit status is 1 when anything is not exact.
"""

import argparse
import asyncio
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import uvloop

if not __package__:  # started as a script: the other modules are found from the folder above
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from bench.aftermath import AdminView, unread_counts
from bench.audience import Audience
from bench.client import Client, raise_open_files, spread
from bench.conversations import Script, read_script
from bench.exactness import check_copies, counts_by_conversation
from bench.metrics_page import read_page, samples
from bench.people import make_people
from bench.player import Player, Sent
from bench.processes import CpuMeter
from bench.progress import Progress
from bench.report import Report
from bench.server import bellwire

AT_ONCE = 64  # pairs that talk at the same time


def replay(
    conversations: int | None = None,
    speed: float | None = None,
    away: float = 0.05,
    url: str = "",
    token: str = "",
    progress: bool = False,
) -> Report:
    """Play the first `conversations` (or all) at `speed` messages a second (or as fast as they are answered).

    Without a `url` a fresh server is started; with one, `token` must be an admin's, and nobody else may send meanwhile.
    """
    script = read_script(conversations)
    raise_open_files()
    if url:
        return uvloop.run(_play(url, token, script, speed, away, progress))
    with bellwire() as server:
        report = uvloop.run(_play(server.base, server.admin_token, script, speed, away, progress))
        report.database_bytes = server.database_bytes()
    return report


async def _play(url: str, token: str, script: Script, speed: float | None, away: float, progress: bool) -> Report:
    """Play on a running server; its database's size is known if its metrics are ours to see."""
    address = urlsplit(url)
    if address.scheme != "http" or not address.hostname:
        raise ValueError(f"{url}: not an http:// address")
    client = Client(address.port or 80, address.hostname)
    report = await Replay(client, token, script, away, progress).play(speed)
    with suppress(OSError):
        sizes = samples(await read_page(client), "bellwire_database_bytes")
        report.database_bytes = int(sum(sizes.values())) if sizes else None
    client.close()
    return report


class Replay:
    """One replay against one server."""

    def __init__(self, client: Client, admin_token: str, script: Script, away: float, progress: bool) -> None:
        """Take what to play and where; nothing is sent yet."""
        self._client, self._admin_token, self._script, self._away = client, admin_token, script, away
        self._sendable = sum(len(dialogue.turns) for dialogue in script.dialogues)
        self._progress = Progress(self._sendable, progress)
        self._tag = f"r{time.time_ns() // 1_000_000:x}"

    async def play(self, speed: float | None) -> Report:
        """Make the people, play, wait for the background work, check everything."""
        admin = AdminView(self._client, self._admin_token, since=_rfc3339_now())
        await admin.watch_messages_only()
        people = await make_people(self._client, self._admin_token, self._script.people, self._tag + "p")
        audience = Audience(self._client, people, self._away)
        await audience.gather()
        report = self._blank_report(audience)
        player = Player(self._client, people, speed, self._progress.at, self._tag)
        self._progress.start()
        meter = CpuMeter([])
        report.seconds = await player.play(self._script.dialogues, AT_ONCE)
        report.client_cpu_percent = meter.read()[1]
        await self._check_background(report, admin, audience, player.sent)
        await audience.settle(_copies_wanted(player.sent, len(people)))
        await audience.catch_up()
        report.poll_failures = await audience.leave()
        _enter_sends(report, player, audience)
        await admin.leave()
        return report

    def _blank_report(self, audience: Audience) -> Report:
        script = self._script
        return Report(len(audience.people), len(audience.away), len(script.dialogues), script.unsendable, self._sendable)

    async def _check_background(self, report: Report, admin: AdminView, audience: Audience, sent: Sequence[Sent]) -> None:
        """Wait until the admin heard of every message and each is recorded; then check who was notified of what."""
        heard, recorded = await asyncio.gather(admin.wait_heard(len(sent)), admin.wait_recorded(len(sent)))
        report.notifications_lag_s, report.records_lag_s = heard[1], recorded[1]
        report.expect("sent messages that the admin's notifications count", heard[0], len(sent))
        senders = Counter(audience.people[one.sender].id for one in sent)
        report.expect("activity records by user", await admin.recount(), senders)
        received = counts_by_conversation(sent)

        async def check(client: Client, number: int) -> None:
            found = await unread_counts(client, audience.people[number].token, "message")
            wanted = received.get(number, []) if number in audience.away else []
            who = "away" if number in audience.away else "looking"
            report.expect(f"counts of the unread notifications of person {number}, {who}", found, wanted)

        await spread(self._client, range(len(audience.people)), check)


def _enter_sends(report: Report, player: Player, audience: Audience) -> None:
    """Enter the sends and the deliveries, and check every copy."""
    report.sent, report.retried, report.failed = len(player.sent), player.retried, player.failed
    report.send_s = [one.took_s for one in player.sent]
    looking = set(audience.looking)
    report.delivery_s = [
        audience.parsed_at[one.receiver][one.id] - one.at
        for one in player.sent
        if one.receiver in looking and one.id in audience.parsed_at[one.receiver]
    ]
    report.copies = check_copies(player.sent, audience.copies, [person.id for person in audience.people])
    report.expect("copies that are wrong", report.copies.wrong, 0)
    report.expect(f"messages sent ({player.first_failure or 'no failure'})", report.sent, report.sendable)


def _copies_wanted(sent: Sequence[Sent], people: int) -> list[int]:
    """Return how many copies each person must get: of what they received, and of what they sent."""
    wanted = [0] * people
    for one in sent:
        wanted[one.sender] += 1
        wanted[one.receiver] += 1
    return wanted


def _rfc3339_now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())


def main() -> int:
    """Run from the command line; 1 when a check failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speed", default="max", help="messages a second, or max (default)")
    parser.add_argument("--conversations", type=int, default=None, help="how many (default: all 7,168)")
    parser.add_argument("--away", type=float, default=0.05, help="share of the people who do not poll (default 0.05)")
    parser.add_argument("--url", default="", help="a running server (default: starts its own)")
    parser.add_argument("--token", default="", help="an admin's token for --url")
    arguments = parser.parse_args()
    if bool(arguments.url) != bool(arguments.token):
        parser.error("--url and --token go together")
    speed = None if arguments.speed == "max" else float(arguments.speed)
    report = replay(arguments.conversations, speed, arguments.away, arguments.url, arguments.token, progress=True)
    print(report)
    return 0 if report.exact else 1


if __name__ == "__main__":
    sys.exit(main())

"""Play recorded conversations through a fresh server, and check that every copy, notification and activity record is exact.

Most people poll all the time. A share of them is away: they get one notification for each conversation, and catch up afterwards
from their last cursor.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence

import uvloop

from bench.load.client import Client, spread
from bench.load.people import create_people
from bench.servers.bellwire import Bellwire, bellwire
from bench.servers.processes import CpuMeter, raise_open_files
from tests.journeys.replay.audience import Audience
from tests.journeys.replay.background import AdminView, unread_counts, wait_for_count
from tests.journeys.replay.conversations import Script, read_script
from tests.journeys.replay.exactness import check_copies, counts_by_conversation
from tests.journeys.replay.player import Player, Sent
from tests.journeys.replay.report import Report

PAIRS_AT_ONCE = 64
UNLIMITED = {"BELLWIRE_RATE_LIMITS": "off"}  # recorded people are played faster than they wrote


def replay(conversations: int | None = None, speed: float | None = None, away: float = 0.05) -> Report:
    """Play the first `conversations` (or all) at `speed` messages a second (or as fast as they are answered)."""
    script = read_script(conversations)
    raise_open_files()
    with bellwire(settings=UNLIMITED) as server:
        report = uvloop.run(_play(server, script, speed, away))
        report.database_bytes = server.database_bytes()
    return report


async def _play(server: Bellwire, script: Script, speed: float | None, away: float) -> Report:
    """Create the people, play, wait for the background work, check everything."""
    admin = AdminView(server.port, server.admin_token, time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()))
    await admin.watch_only_messages()
    people = create_people(server, script.people)
    audience = Audience(server.port, people, away)
    await audience.start()
    sendable = sum(len(dialogue.messages) for dialogue in script.dialogues)
    report = Report(len(people), len(audience.away), len(script.dialogues), script.unsendable, sendable)
    player, meter = Player(server.port, people, speed), CpuMeter([])
    report.seconds = await player.play(script.dialogues, PAIRS_AT_ONCE)
    report.client_cpu_percent = meter.read()[1]
    await _check_background(server.port, report, admin, audience, player.sent)
    await audience.wait_for_copies(_expected_copies(player.sent, len(people)))
    await audience.catch_up()
    report.poll_failures = await audience.stop()
    _enter_sends(report, player, audience)
    admin.close()
    return report


async def _check_background(port: int, report: Report, admin: AdminView, audience: Audience, sent: Sequence[Sent]) -> None:
    """Wait until the admin is notified of every message and each is recorded; then check everybody's notifications."""
    notified, recorded = await asyncio.gather(
        wait_for_count(admin.count_notified, len(sent)), wait_for_count(admin.count_recorded, len(sent))
    )
    report.notifications_lag_s, report.records_lag_s = notified[1], recorded[1]
    report.expect("sent messages that the admin's notifications count", notified[0], len(sent))
    senders = Counter(audience.people[message.sender].id for message in sent)
    report.expect("activity records by user", await admin.count_by_user(), senders)
    received = counts_by_conversation(sent)

    async def check(client: Client, number: int) -> None:
        counts = await unread_counts(client, audience.people[number].token, "message")
        expected = received.get(number, []) if number in audience.away else []
        where = "away" if number in audience.away else "looking"
        report.expect(f"counts of the unread notifications of person {number}, {where}", counts, expected)

    await spread(port, range(len(audience.people)), check)


def _enter_sends(report: Report, player: Player, audience: Audience) -> None:
    """Enter the sends and the deliveries, and check every copy."""
    report.sent, report.retried, report.failed = len(player.sent), player.retried, player.failed
    report.send_s = [message.seconds for message in player.sent]
    looking = set(audience.looking)
    report.delivery_s = [
        audience.parsed_at[message.receiver][message.id] - message.at
        for message in player.sent
        if message.receiver in looking and message.id in audience.parsed_at[message.receiver]
    ]
    report.copies = check_copies(player.sent, audience.copies, [person.id for person in audience.people])
    report.expect("copies that are wrong", report.copies.wrong, 0)
    report.expect(f"messages sent ({player.first_failure or 'no failure'})", report.sent, report.sendable)


def _expected_copies(sent: Sequence[Sent], people: int) -> list[int]:
    """Return the number of copies that each person must get: of the messages they received, and of those they sent."""
    expected = [0] * people
    for message in sent:
        expected[message.sender] += 1
        expected[message.receiver] += 1
    return expected

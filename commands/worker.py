"""Run one consumer of background work until SIGTERM or SIGINT: `huey_consumer jobs.app.huey` with the settings' threads."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from commands import opening
from conf.logging import configure


def add_arguments(parser: ArgumentParser) -> None:
    """It has none."""


def run(_args: Namespace) -> int:
    """Works; the schema must be up to date."""
    settings = opening.settings()
    configure(settings, "worker")
    with opening.store(settings):
        opening.require_current_schema()

    from jobs.app import huey

    huey.create_consumer(workers=settings.workers).run()
    return 0

"""Run one consumer of background work until SIGTERM or SIGINT: `huey_consumer jobs.app.huey` with the settings' threads."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace

import peewee

from commands import opening
from commands.advice import command_line
from commands.errors import UnreachableError
from commands.supervisor import PARENT_FD
from conf.logging import configure


def add_arguments(parser: ArgumentParser) -> None:
    """Declare no arguments."""


def run(_args: Namespace) -> int:
    """Work until stopped; the schema must be up to date."""
    pipe = os.environ.pop(PARENT_FD, None)  # not a setting: reading the settings would warn of it
    settings = opening.settings()
    if pipe is not None:
        os.environ[PARENT_FD] = pipe  # jobs.app reads it
    configure(settings, "worker")
    with opening.store(settings):
        opening.require_current_schema()
        opening.repeat_deletions(settings)

    from jobs.app import huey

    try:
        huey.create_consumer(workers=settings.workers).run()
    except peewee.PeeweeException as error:  # the store went down after the check
        raise UnreachableError(f"the store can't be used ({error}): {command_line('doctor')} says more") from error
    return 0

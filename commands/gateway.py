"""Run one gateway: HTTP, WebSocket and the page, until SIGTERM or SIGINT. The schema must be up to date."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

import msgspec

from commands import opening
from commands.gateways import VARIABLE
from commands.listening import listen, with_port
from conf.logging import configure
from conf.terminal import print_line

if TYPE_CHECKING:
    from gateway.supervised import Supervised


def add_arguments(parser: ArgumentParser) -> None:
    """Declare no arguments."""


def run(_args: Namespace) -> int:
    """Serve until stopped; background work is done by workers."""
    supervised = _inherit()  # before the settings, which would warn of its variable
    settings = with_port(opening.settings())
    configure(settings, "gateway", None if supervised is None else supervised.number)
    with opening.store(settings):
        opening.require_current_schema()
        if supervised is None:  # otherwise `serve` has done it
            opening.repeat_deletions(settings)
    if supervised is not None:
        return listen(settings, on_ready=supervised.report_ready, supervised=supervised)
    return listen(settings, on_ready=lambda: print_line(f"Bellwire's gateway listens: {settings.url}"))


def _inherit() -> Supervised | None:
    """Return what this process has inherited from a supervisor, and remove its variable; None if it is alone."""
    text = os.environ.pop(VARIABLE, None)
    if text is None:
        return None
    from gateway.supervised import Supervised  # here, since a refusal needs nothing of a gateway

    return msgspec.json.decode(text, type=Supervised)

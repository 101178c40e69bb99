"""The embedded default: bring the schema up to date, then run the gateway and one worker until SIGTERM or SIGINT.

The worker is started again when it dies, and ends with this process, even when this process is killed.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from commands import opening
from commands.listening import listen, with_port
from commands.migrate import migrate_and_print
from commands.supervisor import Supervisor
from conf import Settings
from conf.logging import configure
from conf.terminal import print_line
from models.accounts import setup
from models.log import event
from models.store.database import disconnect

FIRST_STEP = "There is no admin yet. To become it, open {url}/#/setup and enter this code: {code}"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare no arguments."""


def run(_args: Namespace) -> int:
    """Serve until stopped. The worker starts once the port is open."""
    settings = with_port(opening.settings())
    configure(settings, "gateway")
    with opening.store(settings, create=True):
        migrate_and_print(when_nothing="")
        opening.require_whole()
        opening.repeat_deletions(settings)
    supervisor = Supervisor()

    def ready() -> None:
        supervisor.start()
        print_line(_greeting(settings))
        disconnect()

    try:
        return listen(settings, ready, supervisor.stop)
    finally:
        supervisor.join()


def _greeting(settings: Settings) -> str:
    """Return the address and, while there is no admin, a new code, in whose place no earlier one is valid."""
    opened = f"Bellwire is up: open {settings.url} (Ctrl-C stops it)"
    if setup.has_admin():
        return opened
    with event.transaction():
        code = setup.new_code()
    return f"{opened}\n{FIRST_STEP.format(url=settings.url, code=code)}"

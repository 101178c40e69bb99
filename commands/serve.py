"""The embedded default: bring the schema up to date, then run the gateway and one worker until SIGTERM or SIGINT.

With BELLWIRE_GATEWAYS=1 the gateway is this process; of more, each is a process of its own, and this one supervises them. A process
that dies is started again, and ends with this one, even when this one is killed. SIGHUP replaces several gateways one after the
other, and the worker, with the settings that `.env` has then.
"""

from __future__ import annotations

import logging
import os
import signal
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from queue import SimpleQueue

from commands import opening
from commands.channel import ChannelBroker, socket_path
from commands.gateways import Gateways
from commands.listening import listen, open_sockets, with_port
from commands.migrate import migrate_and_print
from commands.reloading import Reloading
from commands.supervisor import Supervisor
from conf import Settings
from conf.logging import configure, detach
from conf.terminal import closing_of_terminal, print_line
from jobs.infra.channel import VARIABLE
from models.accounts import setup
from models.files import sweep
from models.log import event
from models.store.database import disconnect, engine
from models.store.gateway_locks import gateways as gateways_on
from models.store.gateway_locks import registered

logger = logging.getLogger("serve")

FIRST_STEP = "There is no admin yet. To become it, open {url}/#/setup and enter this code: {code}"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare no arguments."""


def run(_args: Namespace) -> int:
    """Serve until stopped. The worker starts once the port is open."""
    chosen = opening.settings()
    settings = with_port(chosen)
    configure(settings, "gateway" if settings.gateways == 1 else "serve")
    with opening.store(settings, create=True):
        migrate_and_print(when_nothing="")
        opening.require_whole()
        opening.repeat_deletions(settings)
    if settings.gateways == 1:
        return _run_one(settings)
    return _run_several(settings, any_port=chosen.port == 0)


def _run_one(settings: Settings) -> int:
    supervisor = Supervisor()

    def ready() -> None:
        supervisor.start()
        print_line(_greeting(settings))
        disconnect()

    try:
        return listen(settings, ready, supervisor.stop)
    finally:
        supervisor.join()


def _run_several(settings: Settings, *, any_port: bool) -> int:
    """Supervise gateways and the worker until a signal ends them."""
    detach()
    next_steps: SimpleQueue[Callable[[], None] | None] = SimpleQueue()  # None: stop

    def ready(count: int) -> None:
        if count == 1:
            next_steps.put(worker.start)
        if count == settings.gateways:
            next_steps.put(partial(_greet, settings))

    listening = open_sockets(settings, settings.gateways, any_port=any_port)
    with _channel(settings), ExitStack() as listed:
        for one in listening:
            listed.enter_context(registered(settings.data_dir, settings.host, one.port))
        _discard_uploads(settings)
        worker, gateways = Supervisor(), Gateways(listening, ready)
        reloading = Reloading(settings, gateways.replace, worker.restart)
        is_terminal_closed = closing_of_terminal()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: next_steps.put(None))
        signal.signal(signal.SIGHUP, lambda *_: next_steps.put(None if is_terminal_closed() else reloading.request))
        parts = (reloading, gateways, worker)
        try:
            gateways.start()
            while (step := next_steps.get()) is not None:
                step()
        finally:
            for part in parts:
                part.stop()
            for part in parts:
                part.join()
    return 0


def _greet(settings: Settings) -> None:
    with opening.connected(settings):
        print_line(_greeting(settings))


@contextmanager
def _channel(settings: Settings) -> Iterator[None]:
    """Run the channel of the processes that are started meanwhile: without Redis, it carries typing, presence and limits."""
    os.environ.pop(VARIABLE, None)  # one that this process has inherited is another installation's
    with ExitStack() as opened:
        try:
            broker = ChannelBroker(socket_path(settings.data_dir, settings.port))
            opened.callback(broker.stop)
            broker.start()
            os.environ[VARIABLE] = str(broker.path)
        except OSError as error:
            logger.warning("channel_not_opened: each gateway has its own typing, presence and limits: %s", error)
        yield


def _discard_uploads(settings: Settings) -> None:
    """Discard what gateways that were killed had received of uploads, unless others run on the data folder."""
    if settings.database_url is not None:
        return
    with opening.connected(settings):
        began_ms = engine().now_ms()  # before the others are listed: one that starts meanwhile begins its uploads later
        if sum(each.is_alive for each in gateways_on(settings.data_dir)) <= settings.gateways:
            sweep.discard_uploads(began_ms)


def _greeting(settings: Settings) -> str:
    """Return the address and, while there is no admin, a new code, in whose place no earlier one is valid."""
    opened = f"Bellwire is up: open {settings.url} (Ctrl-C stops it)"
    if setup.has_admin():
        return opened
    with event.transaction():
        code = setup.new_code()
    return f"{opened}\n{FIRST_STEP.format(url=settings.url, code=code)}"

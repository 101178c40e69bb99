"""One gateway process: it starts, serves, and stops without losing a request that it accepted."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable
from functools import partial

import structlog
from tornado.netutil import bind_sockets

from conf import Settings
from conf.logging import detach
from conf.terminal import closing_of_terminal
from gateway.app import Application
from gateway.background import Background
from gateway.http.connections import UnsentAnswers
from gateway.http.deadlines import Deadlines, Server
from gateway.http.services import Services
from gateway.http.wire.server import WireServer
from gateway.supervised import SiblingQueues, Supervised
from jobs.gauges import measure_disk, set_build_info
from jobs.infra.outage import Outage
from metrics import declared as metrics
from models.files import sweep
from models.identity import token
from models.store.data_dir_lock import acquire_running_lock
from models.store.database import connect, disconnect, engine
from models.store.gateway_locks import gateways, registered

logger = structlog.get_logger()

BACKLOG = 4096  # 128 refused half of 10,000 polls
KEEP_ACCEPTING_S = 2.0  # after SIGTERM: load balancers need a moment to see readyz
ACCEPTING_ROUNDS = 3  # of the loop: connections in the backlog would be reset, and a proxy may not repeat a POST
LAST_FILES_CHECKS, CHECK_FILES_S = 300, 0.1  # of a gateway that is replaced: it waits for 30 s
LAST_REQUESTS_S = 0.2  # for requests of the connections accepted last
COMMIT_TIMEOUT_S = 1.3  # for operations that wait then; later ones were never answered, and are safe to send again
ANSWER_S, CLOSE_TIMEOUT_S = 0.05, 0.5
GIL_SWITCH_INTERVAL_S = 0.00005  # a commit releases the GIL some eight times; each time it waits for the loop at most this long
# The default of 700 makes a collection every few requests, which finds almost nothing. The second number bounds the longest pause:
# with 20,000 and 20 it was 0.2 s while a crowd opened polls. A full collection takes 0.1 ms for each open poll, and is rare.
GC_THRESHOLD = (3_000, 1, 3_000)
TICK_S = 1.0
RELOAD_IGNORED = "reload_ignored: SIGHUP replaces several gateways of `serve`; restart this one to let it read its settings again"
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # of mallopt(3)
LARGE_BLOCK_BYTES = 32 * 1024  # a long message; the default is 128 KiB, and grows up to 32 MiB with the largest block freed
RECORD_USES_TICKS = 60


def main(
    settings: Settings,
    on_ready: Callable[[], None] | None = None,
    on_stop: Callable[[], None] | None = None,
    supervised: Supervised | None = None,
) -> int:
    """Serve until SIGTERM or SIGINT and return 0. Raises OSError at once when the port is in use.

    A gateway that is `supervised` has inherited its sockets, and ends also when its supervisor has a successor for it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    sys.setswitchinterval(GIL_SWITCH_INTERVAL_S)
    return_memory()
    detach()
    listed: contextlib.AbstractContextManager[None] = contextlib.nullcontext()  # a supervisor lists its gateways
    if supervised is None:
        sockets = bind_sockets(settings.port, settings.host, backlog=BACKLOG)
        listed = registered(settings.data_dir, settings.host, sockets[0].getsockname()[1])
    else:
        sockets = supervised.sockets()
    runner_factory = None
    if sys.platform != "win32":
        import uvloop

        runner_factory = uvloop.new_event_loop
    with acquire_running_lock(settings.data_dir), listed, asyncio.Runner(loop_factory=runner_factory) as runner:
        runner.run(_serve(settings, sockets, on_ready, on_stop, supervised))
    return 0


def return_memory() -> None:
    """Make glibc return large answers to the system when they are freed; it would keep tens of MB in fragments otherwise."""
    with contextlib.suppress(OSError, AttributeError, TypeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        for option, value in ((M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES), (M_TRIM_THRESHOLD, 2 * LARGE_BLOCK_BYTES), (M_ARENA_MAX, 1)):
            mallopt(option, value)


def _freeze_objects() -> None:
    """Let later collections skip the objects that exist now, which live as long as the process."""
    gc.collect()
    gc.set_threshold(*GC_THRESHOLD)
    gc.freeze()


def _discard_uploads(settings: Settings) -> None:
    """Discard what a gateway that was killed had received of uploads, unless another one runs, whose uploads may go on.

    Otherwise its bytes and what was reserved for them would stay for an hour. Gateways of PostgreSQL may be on other hosts. Of
    several under one supervisor, it discards before it starts them.
    """
    began_ms = engine().now_ms()  # before the others are listed: one that starts meanwhile begins its uploads later
    if settings.database_url is None and sum(each.is_alive for each in gateways(settings.data_dir)) <= 1:
        sweep.discard_uploads(began_ms)


def http_server(
    settings: Settings, application: Application, deadlines: Deadlines, unsent: UnsentAnswers | None = None
) -> Server | WireServer:
    """Return the server of the wire that is set."""
    if settings.wire == "tornado":
        return Server(application, deadlines=deadlines, unsent=unsent)
    return WireServer(application, deadlines, unsent)


async def _serve(
    settings: Settings,
    sockets: list[socket.socket],
    on_ready: Callable[[], None] | None,
    on_stop: Callable[[], None] | None,
    supervised: Supervised | None,
) -> None:
    connect(settings, "gateway")
    background = Background(settings)
    services = Services(settings, background.wake, None if supervised is None else supervised.pages(settings))
    services.wake_mail = background.wake_mail
    services.health.parts |= {
        "queue": lambda: background.degraded or not background.is_alive(),
        "mail": lambda: background.mail_fails,
        "workers": lambda: background.without_worker,
        "hooks": lambda: background.hooks_fail,
    }
    if supervised is None:
        _discard_uploads(settings)
    disconnect()
    services.start()
    background.start()
    set_build_info(settings)
    measure_disk(settings.data_dir)  # before the metrics are read: 0 would mean a full disk
    deadlines: Deadlines = {}
    server = http_server(settings, Application(services, deadlines), deadlines)
    server.add_sockets(sockets)
    _freeze_objects()
    siblings = SiblingQueues(supervised)
    stopping = _watch_for_end(services, server, siblings, supervised)
    ticking = asyncio.create_task(_tick(services, server))
    checking = asyncio.create_task(services.health.run())
    tasks = [ticking, checking, asyncio.create_task(siblings.run(server))]
    if services.host_tokens is not None:
        tasks.append(asyncio.create_task(services.host_tokens.source.run()))
    services.health.vital["loop"] = lambda: not services.stopping and (ticking.done() or checking.done())
    logger.info("gateway_ready", host=settings.host, port=sockets[0].getsockname()[1])
    if on_ready is not None:
        on_ready()
    await stopping.wait()
    if on_stop is not None:
        on_stop()
    await _stop(services, server, siblings, background, tasks)


def _watch_for_end(
    services: Services, server: Server | WireServer, siblings: SiblingQueues, supervised: Supervised | None
) -> asyncio.Event:
    """Return an event: a signal, a successor, or the end of the supervisor or the terminal ends this gateway."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop() -> None:
        services.is_replaced = False
        stopping.set()

    def retire() -> None:
        if not stopping.is_set():  # after SIGTERM there is no time to wait for files
            services.is_replaced = True
            stopping.set()

    def leave_port() -> None:
        siblings.close()
        server.stop()
        stop()

    is_terminal_closed = closing_of_terminal()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    loop.add_signal_handler(signal.SIGHUP, lambda: stop() if is_terminal_closed() else logger.warning(RELOAD_IGNORED))
    if supervised is not None:
        supervised.watch(partial(loop.call_soon_threadsafe, retire), partial(loop.call_soon_threadsafe, leave_port))
    return stopping


async def _stop(
    services: Services,
    server: Server | WireServer,
    siblings: SiblingQueues,
    background: Background,
    tasks: list[asyncio.Task[None]],
) -> None:
    """Stop: readyz answers 503, open polls end, requests are accepted a while longer, then operations that wait are committed.

    A gateway that is replaced is ready and answers on its connections for as long, but accepts none: its successor does that. It
    waits for the files on their way.
    """
    logger.info("gateway_stopping", replaced=services.is_replaced)
    services.stopping = True
    if not services.is_replaced:
        services.hub.close()
        await asyncio.sleep(KEEP_ACCEPTING_S)
        for _ in range(ACCEPTING_ROUNDS):
            siblings.accept(server)
            await asyncio.sleep(0)
    siblings.close()
    server.stop()
    if services.is_replaced:
        services.hub.close()
        await asyncio.sleep(KEEP_ACCEPTING_S)
        await _wait_for_files(services)
    await asyncio.sleep(LAST_REQUESTS_S)
    for task in tasks:
        task.cancel()
    loop = asyncio.get_running_loop()
    services.rate_limits.stop()
    services.bus.stop()
    await services.uploads.stop()
    ending = [
        asyncio.ensure_future(services.presence.close()),
        loop.run_in_executor(None, background.stop),
        loop.run_in_executor(None, services.tail.stop),
    ]
    try:
        async with asyncio.timeout(COMMIT_TIMEOUT_S):
            await services.committer.stop()
    except TimeoutError:
        services.committer.fail_unanswered()
        await asyncio.sleep(ANSWER_S)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await server.close_all_connections()
            await asyncio.gather(*ending)
    services.login_failures.write()
    services.recorder.close()
    services.close()
    services.traffic.log.write()
    logger.info("gateway_stopped")


async def _wait_for_files(services: Services) -> None:
    """Let files on their way arrive, for a while. SIGTERM ends this."""
    if services.has_files_on_their_way():
        logger.info("gateway_waits_for_files")
    for _ in range(LAST_FILES_CHECKS):
        if not services.is_replaced or not services.has_files_on_their_way():
            return
        await asyncio.sleep(CHECK_FILES_S)


async def _tick(services: Services, server: Server | WireServer) -> None:
    """Once a second, sweep presence, idle subscribers and connections, and write failed log-ins; once a minute, the last uses of
    tokens."""
    outage = Outage("tick", "it is tried again a second later")
    ticks = 0
    while True:
        due = time.perf_counter() + TICK_S
        await asyncio.sleep(TICK_S)
        metrics.LOOP_LAG_SECONDS.observe(max(0.0, time.perf_counter() - due))
        outage.run_each(services.presence.sweep, services.hub.drop_idle, server.close_overdue, services.login_failures.write)
        ticks += 1
        if ticks % RECORD_USES_TICKS == 0:
            outage.run_each(lambda: _record_token_uses(services))


def _record_token_uses(services: Services) -> None:
    services.recorder.record(token.mark_used, services.tokens.collect_uses())

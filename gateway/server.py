"""One gateway process: it starts, serves, and stops without losing what it took."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable

import structlog
from tornado.netutil import bind_sockets

from conf import Settings
from conf.logging import detach
from gateway.app import Application
from gateway.background import Background
from gateway.http.deadlines import Deadlines, Server
from gateway.http.services import Services
from jobs.gauges import measure_disk, set_build_info
from metrics import declared as metrics
from models.identity import token
from models.store.data_dir_lock import acquire_running_lock
from models.store.database import connect, disconnect
from models.store.errors import StoreDownError

logger = structlog.get_logger()

BACKLOG = 4096  # 128 refused half of 10,000 polls
TAKE_ON_S = 2.0  # after SIGTERM: load balancers need a moment to see readyz
ACCEPTING_ROUNDS = 3  # of the loop: who waits to be accepted would be cut off, and a proxy may not send a POST again
SERVE_ON_S = 0.2  # what was accepted last
ANSWER_S, CLOSE_S = 0.05, 0.5
FINISH_S = 1.3  # for what was taken then; what waits longer for the store was never answered, and is safe to send again
SWITCH_S = 0.00005  # a commit gives the GIL away some eight times; each time it waits for the loop no longer than this
GC_THRESHOLD = (20_000, 20, 50)  # the default's 700 makes a collection every few requests, which finds next to nothing
TICK_S = 1.0
USED_NOTED_EVERY = 60  # ticks


def main(settings: Settings, on_ready: Callable[[], None] | None = None, on_stop: Callable[[], None] | None = None) -> int:
    """Serves until SIGTERM or SIGINT and returns 0. Raises OSError before anything is served when the port is taken."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    sys.setswitchinterval(SWITCH_S)
    detach()
    sockets = bind_sockets(settings.port, settings.host, backlog=BACKLOG)
    runner_factory = None
    if sys.platform != "win32":
        import uvloop

        runner_factory = uvloop.new_event_loop
    with acquire_running_lock(settings.data_dir), asyncio.Runner(loop_factory=runner_factory) as runner:
        runner.run(_serve(settings, sockets, on_ready, on_stop))
    return 0


async def _serve(
    settings: Settings, sockets: list[socket.socket], on_ready: Callable[[], None] | None, on_stop: Callable[[], None] | None
) -> None:
    connect(settings, "gateway")
    background = Background(settings)
    services = Services(settings, background.wake)
    services.wake_mail = background.wake_mail
    services.degraded = lambda: degraded(services, background)
    disconnect()
    services.start()
    background.start()
    set_build_info(settings)
    measure_disk(settings.data_dir)  # before anybody reads it: 0 would be a full disk
    deadlines: Deadlines = {}
    server = Server(Application(services, deadlines), deadlines=deadlines)
    server.add_sockets(sockets)
    gc.collect()
    gc.set_threshold(*GC_THRESHOLD)
    gc.freeze()  # what is loaded now lives as long as the process: no later collection walks it
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    ticking = asyncio.create_task(_tick(services, server))
    logger.info("gateway ready", host=settings.host, port=sockets[0].getsockname()[1])
    if on_ready is not None:
        on_ready()
    await stopping.wait()
    if on_stop is not None:
        on_stop()
    await _stop(services, server, background, ticking)


def degraded(services: Services, background: Background) -> list[str]:
    """What does not work at the moment, though everything that is promised does."""
    parts = {"queue": background.degraded, "bus": services.bus.down, "limits": services.rate_limits.local_only}
    return [name for name, down in parts.items() if down]


async def _stop(services: Services, server: Server, background: Background, ticking: asyncio.Task[None]) -> None:
    """readyz turns 503, requests are taken a while longer, open polls are answered; then what was taken is committed."""
    logger.info("gateway stopping")
    services.stopping = True
    services.hub.close()
    await asyncio.sleep(TAKE_ON_S)
    for _ in range(ACCEPTING_ROUNDS):
        await asyncio.sleep(0)
    server.stop()
    await asyncio.sleep(SERVE_ON_S)
    ticking.cancel()
    loop = asyncio.get_running_loop()
    services.bus.stop()
    ending = [loop.run_in_executor(None, background.stop), loop.run_in_executor(None, services.tail.stop)]
    try:
        async with asyncio.timeout(FINISH_S):
            await services.presence.close()
            await services.committer.stop()
    except TimeoutError:
        services.committer.fail_unanswered()
        await asyncio.sleep(ANSWER_S)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_S):
            await server.close_all_connections()
            await asyncio.gather(*ending)
    services.read.close()
    services.traffic.log.write()
    logger.info("gateway stopped")


async def _tick(services: Services, server: Server) -> None:
    """Once a second: presence, idle readers, last uses of tokens; and how late the loop runs."""
    ticks = 0
    while True:
        due = time.perf_counter() + TICK_S
        await asyncio.sleep(TICK_S)
        metrics.LOOP_LAG_SECONDS.observe(max(0.0, time.perf_counter() - due))
        services.presence.sweep()
        services.hub.drop_idle()
        server.close_overdue()
        ticks += 1
        used = services.tokens.collect_uses() if ticks % USED_NOTED_EVERY == 0 else ()
        if used:
            with contextlib.suppress(StoreDownError):  # they are used again, or not worth a note
                services.committer.call(None, lambda tx, u=used: token.mark_used(tx, u))  # type: ignore[misc]

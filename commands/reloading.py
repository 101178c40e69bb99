"""Reloading of `serve`'s processes: each gateway is replaced, one after the other, then the worker is started again.

They read `.env` anew. The supervisor and its sockets stay, so what they depend on can't change.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from conf import Settings, SettingsError, load

logger = logging.getLogger("serve")

FIXED = ("host", "port", "data_dir", "database_url", "redis_url", "gateways")  # for as long as `serve` runs


class Reloading:
    """A thread that reloads when that is requested; requests that come meanwhile are one more reload."""

    def __init__(self, settings: Settings, replace_gateways: Callable[[], bool], restart_worker: Callable[[], None]) -> None:
        self._settings = settings
        self._replace_gateways = replace_gateways
        self._restart_worker = restart_worker
        self._requested = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="reloading", daemon=True)
        self._thread.start()

    def request(self) -> None:
        """Reload soon. Returns at once."""
        self._requested.set()

    def stop(self) -> None:
        """Begin no further reload. Returns at once."""
        self._stopping = True
        self._requested.set()

    def join(self) -> None:
        """Wait for the end of a reload, whose processes must have been stopped."""
        self._thread.join()

    def _run(self) -> None:
        while self._requested.wait() and not self._stopping:
            self._requested.clear()
            if self._may_reload():
                self._reload()

    def _may_reload(self) -> bool:
        """Whether new processes would start, on the same store and port; if not, all stay as they are."""
        try:
            chosen = load()
        except SettingsError as error:
            logger.error("reload_refused: bad settings: %s", str(error).replace("\n", "; "))
            return False
        port = self._settings.port if chosen.port == 0 else chosen.port
        chosen = chosen.model_copy(update={"port": port})
        changed = [f"BELLWIRE_{name.upper()}" for name in FIXED if getattr(chosen, name) != getattr(self._settings, name)]
        if changed:
            logger.error("reload_refused: %s changed: stop serve and start it again", ", ".join(changed))
        return not changed

    def _reload(self) -> None:
        logger.info("reload_begun")
        if self._replace_gateways():
            self._restart_worker()
            logger.info("reload_done")
        elif not self._stopping:
            logger.error("reload_failed: the gateways that were not replaced go on")

"""A connection to PostgreSQL that ends when its server stops answering, and notices that the server may only be read."""

from __future__ import annotations

from typing import Any

import psycopg

from models.store.socket_watchdog import SocketWatchdog


class ServerConnection(psycopg.Connection[Any]):
    """A psycopg connection. While `watchdog` is set, a server that does not answer in time ends it."""

    watchdog: SocketWatchdog | None = None

    def wait(self, *args: Any, **options: Any) -> Any:
        """Wait for the server, as every call of psycopg does, under the watchdog."""
        if self.watchdog is None:
            return super().wait(*args, **options)
        with self.watchdog.watch(self):
            return super().wait(*args, **options)

    @property
    def is_read_only(self) -> bool:
        """Whether the server has reported that it may only be read; PostgreSQL 14 and later report it with the next answer."""
        status = self.pgconn.parameter_status
        return status(b"default_transaction_read_only") == b"on" or status(b"in_hot_standby") == b"on"

    def check(self) -> None:
        """Raise psycopg.OperationalError, and close the connection, unless its server answers and may be written to."""
        self.execute("SELECT 1")
        if self.is_read_only:
            self.close()
            raise psycopg.OperationalError("the server may only be read")

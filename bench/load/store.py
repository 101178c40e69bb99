"""The loads change a server's store beside its API, in a process of its own: `python -m bench.load.store COMMAND`.

`rows` prints the number of rows of all tables, `notify-all` lets all members be notified of all messages.
"""

import sys

from bench.servers.bellwire import Bellwire


def count_rows(server: Bellwire) -> int:
    """Return the number of rows in all tables of the server's store."""
    return int(server.run("-m", "bench.load.store", "rows"))


def notify_all(server: Bellwire) -> None:
    """Set every member's level to all messages: of a large group, the default is mentions."""
    server.run("-m", "bench.load.store", "notify-all")


def _run(command: str) -> None:
    from models.log import event
    from models.schema import TABLES
    from models.store.database import execute

    if command == "rows":
        print(sum(table.select().count() for table in TABLES))
        return
    with event.transaction():
        execute("UPDATE memberships SET level='all'")


if __name__ == "__main__":
    from commands import opening

    with opening.store(opening.settings()):
        _run(sys.argv[1])

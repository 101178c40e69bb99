"""An installation in a temporary folder, used the way people use it: by running `run.py` in a process of its own."""

import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.python import Python, run_python
from tests.stores import free_port

ROOT = Path(__file__).resolve().parents[2]


class Installation:
    """A data folder and the settings that go with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.database = self.data / "bellwire.db"
        self.settings = {"DATA_DIR": str(self.data), "PORT": str(free_port()), "WORKER_METRICS_PORT": "0"}
        self.running: list[subprocess.Popen[str]] = []

    def environment(self, **settings: str) -> dict[str, str]:
        """This process' environment with no setting but ours."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("BELLWIRE_")}
        return clean | {f"BELLWIRE_{name}": value for name, value in (self.settings | settings).items()}

    def command(self, *arguments: str, stdin: str = "", **settings: str) -> "subprocess.CompletedProcess[str]":
        """Runs a command to its end; settings are named without their prefix."""
        return run_python([ROOT / "run.py", *arguments], input=stdin, cwd=self.folder, env=self.environment(**settings))

    def succeed(self, *arguments: str, **settings: str) -> str:
        """Run a command that must succeed; return its output."""
        done = self.command(*arguments, **settings)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def refused(self, *arguments: str, status: int = 2, **settings: str) -> str:
        """Run a command that must be refused, without a stack trace or any output; return its error text."""
        done = self.command(*arguments, **settings)
        assert done.returncode == status, done.stderr + done.stdout
        assert "Traceback" not in done.stderr
        assert done.stdout == ""
        return done.stderr

    def start(self, *command: str | Path, kind: type[Python[str]] = Python, **settings: str) -> "subprocess.Popen[str]":
        """Starts a program with our environment, its standard input and output piped. It is killed at the end of the test."""
        process = kind(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=self.environment(**settings),
        )
        self.running.append(process)
        return process

    def rows(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        """What is stored."""
        return rows(self.database, sql, *params)

    def write(self, sql: str, *params: Any) -> None:
        """Changes what is stored, in one transaction."""
        with closing(sqlite3.connect(self.database)) as connection, connection:
            connection.execute(sql, params)


def rows(database: Path, sql: str, *params: Any) -> list[tuple[Any, ...]]:
    """All rows of one query on a database's file."""
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(sql, params).fetchall()

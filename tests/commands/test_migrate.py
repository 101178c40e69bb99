import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands.installation import Installation
from tests.waiting import LIMIT_S

RUN = Path(__file__).resolve().parents[2] / "run.py"
APPLIED = "SELECT name FROM schema_migration ORDER BY name"


def test_migrate_says_what_it_applied_and_then_that_there_is_nothing(bellwire: Installation) -> None:
    assert "applied 0001_initial\n" in bellwire.succeed("migrate")
    assert ("0001_initial",) in bellwire.rows(APPLIED)
    again = bellwire.succeed("migrate")
    assert "applied" not in again
    assert "up to date" in again


def test_of_several_that_migrate_at_once_one_does_and_none_fails(bellwire: Installation) -> None:
    started = [bellwire.start(RUN, "migrate") for _ in range(4)]
    printed = [process.communicate(timeout=LIMIT_S)[0] for process in started]
    assert [process.returncode for process in started] == [0] * 4
    assert "".join(printed).count("applied 0001_initial") == 1
    assert bellwire.rows("SELECT count(*) FROM facts WHERE name='epoch'") == [(1,)]


@pytest.mark.parametrize(("command", "status"), [("migrate", 0), ("doctor", 141)])
def test_a_command_whose_output_nobody_reads_ends_its_work(bellwire: Installation, command: str, status: int) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    output = {"stdout": writing, "stderr": subprocess.PIPE}
    done = subprocess.run([sys.executable, RUN, command], env=bellwire.environment(), text=True, timeout=120, check=False, **output)
    os.close(writing)
    assert (done.returncode, done.stderr) == (status, "")
    assert bellwire.database.exists() == (command == "migrate")
    if command == "migrate":
        assert "up to date" in bellwire.succeed("migrate")

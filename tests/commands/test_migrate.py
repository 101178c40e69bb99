from pathlib import Path

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

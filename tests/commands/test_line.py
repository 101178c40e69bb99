import pytest

from commands.line import COMMANDS
from tests.commands.installation import Installation

SECRET_URL = "redis://somebody:hunter2-and-more@localhost:99999/0"


def test_help_lists_every_command(bellwire: Installation) -> None:
    listed = bellwire.succeed("--help")
    assert all(name in listed for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help_of_its_own(bellwire: Installation, name: str) -> None:
    printed = bellwire.succeed(name, "--help")
    assert f"usage: run.py {name}" in printed
    assert len(printed.split("\n\n", 1)[1]) > len(COMMANDS[name])
    assert not bellwire.data.exists()


def test_an_unknown_command_is_refused_with_those_there_are(bellwire: Installation) -> None:
    said = bellwire.refused("sevre")
    assert "'sevre'" in said
    assert "serve" in said


@pytest.mark.parametrize("name", [[], ["serve"], ["gateway"], ["worker"], ["migrate"], ["token", "ana"], ["backup", "there"]])
def test_a_bad_setting_stops_the_start_with_its_name_and_masked_value(bellwire: Installation, name: list[str]) -> None:
    said = bellwire.refused(*name, PORT="70000", REDIS_URL=SECRET_URL)
    assert "BELLWIRE_PORT = '70000': allowed is" in said
    assert "BELLWIRE_REDIS_URL = 'redis://somebody:***@" in said
    assert "hunter2" not in said
    assert not bellwire.data.exists()


@pytest.mark.parametrize("name", ["migrate", "serve", "worker"])
def test_a_data_folder_that_can_not_be_is_named(bellwire: Installation, name: str) -> None:
    bellwire.data.write_text("a file")
    said = bellwire.refused(name)
    assert "BELLWIRE_DATA_DIR" in said
    assert str(bellwire.data) in said


@pytest.mark.parametrize("name", ["gateway", "worker"])
def test_what_needs_the_schema_says_that_it_is_not_there(bellwire: Installation, name: str) -> None:
    said = bellwire.refused(name)
    assert "0001_initial" in said
    assert "run.py migrate" in said


def test_a_database_that_is_none_is_refused_without_a_stack_trace(bellwire: Installation) -> None:
    bellwire.data.mkdir()
    bellwire.database.write_bytes(b"not a database, but long enough to be one" * 100)
    assert "not a database" in bellwire.refused("migrate")

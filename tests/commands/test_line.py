import os
import pty
import subprocess
import sys

import pytest

from commands.line import COMMANDS
from conf import VERSION
from tests.commands.installation import ROOT, Installation

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


@pytest.mark.parametrize(("arguments", "unbuffered"), [(["--version"], ""), (["token", "ana"], ""), (["token", "ana"], "1")])
def test_a_result_that_a_full_disk_does_not_accept_is_one_line_and_status_1(
    bellwire: Installation, arguments: list[str], unbuffered: str
) -> None:
    bellwire.succeed("create-admin", "--new", "--username", "ana", "--email", "ana@example.org")
    command = [sys.executable, ROOT / "run.py", *arguments]
    with open("/dev/full", "w") as full:
        environment = bellwire.environment() | {"PYTHONUNBUFFERED": unbuffered}
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=environment, check=False)
    assert done.stderr == f"run.py {arguments[0]}: the result can't be printed: No space left on device\n"
    assert done.returncode == 1


def test_the_version_is_printed(bellwire: Installation) -> None:
    assert bellwire.succeed("--version") == f"Bellwire {VERSION}\n"


@pytest.mark.parametrize("name", ["gateway", "migrate"])
def test_a_store_that_needs_newer_code_is_refused_with_both_versions(bellwire: Installation, name: str) -> None:
    bellwire.succeed("migrate")
    bellwire.write("UPDATE facts SET value='9999 9.8.7' WHERE name='oldest_code'")
    said = bellwire.refused(name, status=3)
    assert "Bellwire 9.8.7 or newer (schema 9999)" in said
    assert f"this is Bellwire {VERSION}" in said


def test_a_newer_migration_with_which_this_code_can_work_is_no_obstacle(bellwire: Installation) -> None:
    bellwire.succeed("migrate")
    bellwire.write("INSERT INTO schema_migration (name, applied) SELECT '9999_later', applied FROM schema_migration LIMIT 1")
    bellwire.succeed("create-admin", "--username", "ana", "--email", "ana@example.org")


def test_no_command_but_serve_and_migrate_creates_a_store_unasked(bellwire: Installation) -> None:
    for arguments in (("token", "ana"), ("backup", str(bellwire.folder / "b")), ("worker",)):
        assert "there is no database" in bellwire.refused(*arguments)
    said = bellwire.refused("create-admin", "--username", "ana", "--email", "ana@example.org")
    assert str(bellwire.data) in said
    assert "--new" in said
    assert not bellwire.data.exists()


@pytest.mark.parametrize(("answer", "created"), [("y", True), ("", False)])
def test_at_a_terminal_the_question_is_asked(bellwire: Installation, answer: str, created: bool) -> None:
    ours, its = pty.openpty()
    os.write(ours, f"{answer}\n".encode())
    command = [sys.executable, ROOT / "run.py", "create-admin", "--username", "ana", "--email", "ana@example.org"]
    done = subprocess.run(command, stdin=its, capture_output=True, text=True, env=bellwire.environment(), check=False)
    os.close(ours)
    os.close(its)
    assert (done.returncode, bellwire.database.exists()) == ((0, True) if created else (2, False)), done.stderr
    assert "there is no database" in done.stdout

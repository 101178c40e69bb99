"""The README is true: its example works, its table has the methods, and the package has what a registry shows."""

import inspect
import re
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import bellwire_client
from bellwire_client import AsyncClient, Client
from bellwire_client.admin import Admin
from bellwire_client.admin_calls import AdminCalls
from bellwire_client.calls import Calls
from tests.gateway.client import Client as Person
from tests.gateway.running import Gateway
from tests.waiting import until

README = Path(__file__).parents[1] / "README.md"
SOURCE = README.parent / "src"


@pytest.fixture
def example() -> str:
    """The source of the bot."""
    _, _, after = README.read_text().partition("## Ten lines to a bot\n\n")
    lines = after[: after.index("\n\nThe file")]
    return textwrap.dedent(lines)


@contextmanager
def running(program: str, folder: Path) -> Iterator[None]:
    """Run a program in a folder, and kill it at the end."""
    process = subprocess.Popen([sys.executable, "-c", program], env={"PYTHONPATH": str(SOURCE)}, cwd=folder)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def test_ten_lines_answer_people_also_what_came_while_they_were_off(
    gateway: Gateway, bot: Client, ana: Person, ben: Person, example: str, tmp_path: Path
) -> None:
    program = example.replace("https://chat.example.org", gateway.url).replace("TOKEN", repr(ana.token))
    assert program != example
    assert len(program.strip().splitlines()) == 10
    gateway.execute("UPDATE users SET bot=? WHERE id=?", True, ana.id)

    with running(program, tmp_path):
        gateway.waiting(1)
        at = ben.send("hello", to=ana)["conversation"]
        until(lambda: len(list(bot.history(at))) == 2)
        until(lambda: (tmp_path / "echo.cursor").exists())
    ben.send("are you there?", at=at)
    bot.send("by itself", conversation=at)  # a bot's message, which must not be answered
    ben.send("at last", at=at)
    with running(program, tmp_path):
        until(lambda: len(list(bot.history(at))) >= 7)

    answers = [message for message in bot.history(at) if message.client_id and message.client_id.startswith("echo-")]
    assert [answer.body for answer in reversed(answers)] == [f"You said: {said}" for said in ("hello", "are you there?", "at last")]
    assert {answer.sender for answer in answers} == {ana.id}


def test_the_table_of_calls_has_each_method_with_its_parameters() -> None:
    compare("## Calls", {name: getattr(Client, name) for name in vars(Calls) if not name.startswith("_")})
    admin_methods = {name: getattr(Admin, name) for name in vars(AdminCalls) if not name.startswith("_")}
    compare("| method of `admin`", {**admin_methods, "log": Admin.log})


def compare(heading: str, methods: dict[str, Any]) -> None:
    """Compare the methods of a table of the README."""
    section = README.read_text().partition(heading)[2].partition("\n## ")[0]
    written = dict(re.findall(r"`(\w+)\(([^`]*)\)`", section.partition("|---")[2]))
    assert written.keys() == methods.keys()
    for name, method in methods.items():
        parameters = [
            parameter.replace(annotation=inspect.Parameter.empty) for parameter in inspect.signature(method).parameters.values()
        ]
        shown = str(inspect.Signature(parameters[1:])).replace("'", '"')
        assert shown == f"({written[name]})", name


def test_help_shows_parameters_and_results() -> None:
    assert inspect.signature(Client.me).return_annotation == "Me"
    assert inspect.signature(AsyncClient.me).return_annotation == "Coroutine[Any, Any, Me]"
    assert inspect.signature(Client.users).return_annotation == "Iterator[User]"
    with Client("http://127.0.0.1") as client:
        assert str(inspect.signature(client.edit)) == "(message: 'int', body: 'str') -> 'Message'"
        assert client.edit.__doc__ == Client.edit.__doc__ == "Replace the text of the caller's own message."


def test_the_package_has_what_a_registry_shows() -> None:
    metadata = tomllib.loads((README.parent / "pyproject.toml").read_text())
    project = metadata["project"]

    assert {"authors", "urls", "classifiers", "keywords", "readme", "license", "description"} <= project.keys()
    assert {"Homepage", "Changelog"} <= project["urls"].keys()
    assert metadata["tool"]["hatch"]["version"]["path"] == "src/bellwire_client/__init__.py"
    assert f"## {bellwire_client.__version__} " in (README.parent / "CHANGELOG.md").read_text()


def test_the_error_for_websockets_names_what_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    extras = tomllib.loads((README.parent / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    monkeypatch.setattr("bellwire_client.following.find_spec", lambda _: None)
    with Client("http://127.0.0.1") as client, pytest.raises(bellwire_client.BellwireError) as refused:
        client.events(transport="ws")
    assert "`ws`" in str(refused.value)
    assert [package.partition(">")[0] for package in extras["ws"]] == [str(refused.value).rpartition(" ")[2]]

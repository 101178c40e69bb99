"""The README's example works."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from bellwire_client import Client
from tests.gateway.client import Client as Person
from tests.gateway.running import Gateway
from tests.waiting import until

README = Path(__file__).parents[1] / "README.md"
SOURCE = README.parent / "src"


@pytest.fixture
def example() -> str:
    """The source of the bot."""
    _, _, after = README.read_text().partition("## Ten lines to a bot\n\n")
    lines = after[: after.index("\n\nA token")]
    return textwrap.dedent(lines)


def test_ten_lines_answer_each_message(gateway: Gateway, bot: Client, ana: Person, ben: Person, example: str) -> None:
    program = example.replace("https://chat.example.org", gateway.url).replace("TOKEN", repr(ana.token))
    assert program != example
    process = subprocess.Popen([sys.executable, "-c", program], env={"PYTHONPATH": str(SOURCE)})
    try:
        gateway.waiting(1)
        at = ben.send("hello", to=ana)["conversation"]
        until(lambda: len(list(bot.history(at))) == 2)
    finally:
        process.kill()
        process.wait()
    answer, question = bot.history(at)
    assert (answer.sender, answer.body) == (ana.id, "You said: hello")
    assert answer.client_id == f"echo-{question.id}"

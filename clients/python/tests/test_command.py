"""The command `bellwire`, as a process."""

import json
import os
import pty
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from bellwire_client.command.line import main
from tests.gateway.client import Client as Person
from tests.gateway.running import ROOT, Gateway
from tests.stores import free_port
from tests.waiting import LIMIT_S

COMMAND = [sys.executable, "-m", "bellwire_client"]
PASSWORD = "a long and quiet one"


class Terminal:
    """A terminal with its own home directory, in which `bellwire` runs."""

    def __init__(self, home: Path) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("BELLWIRE_")}
        self.account = home / "bellwire" / "account.json"
        self.env = clean | {"XDG_CONFIG_HOME": str(home), "PYTHONPATH": str(ROOT / "clients/python/src"), "TZ": "UTC"}

    def run(self, *args: str, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
        """Run the command to its end."""
        return subprocess.run([*COMMAND, *args], env=self.env | env, input=stdin, capture_output=True, text=True, timeout=LIMIT_S)

    def prints(self, *args: str, stdin: str = "", **env: str) -> str:
        """Run the command, check that it succeeds, and return its output."""
        done = self.run(*args, stdin=stdin, **env)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def refused(self, status: int, *args: str, **env: str) -> str:
        """Run the command, check that it fails with this status and without a traceback, and return its message."""
        done = self.run(*args, **env)
        assert (done.returncode, done.stdout) == (status, ""), done.stderr
        assert "Traceback" not in done.stderr
        return done.stderr

    def start(self, *args: str) -> subprocess.Popen[str]:
        """Start the command with Ctrl-C enabled, as in a terminal; a shell disables it for background processes."""
        return subprocess.Popen(
            [*COMMAND, *args],
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    """A terminal in which nobody is logged in."""
    return Terminal(tmp_path)


@pytest.fixture
def logged_in(terminal: Terminal, gateway: Gateway, ana: Person) -> Terminal:
    """A terminal in which Ana is logged in."""
    terminal.account.parent.mkdir()
    terminal.account.write_text(json.dumps({"url": gateway.url, "token": ana.token}))
    return terminal


@pytest.fixture
def tail(logged_in: Terminal, gateway: Gateway) -> Iterator[subprocess.Popen[str]]:
    """`bellwire tail --json`, waiting for events."""
    process = logged_in.start("tail", "--json")
    gateway.waiting(1)
    yield process
    process.kill()
    process.communicate()


def lines(tail: subprocess.Popen[str], kind: str, count: int) -> list[dict[str, object]]:
    """Return the data of the next events of a type."""
    assert tail.stdout is not None
    found: list[dict[str, object]] = []
    while len(found) < count:
        event = json.loads(tail.stdout.readline())
        if event["type"] == kind:
            found.append(event["data"])
    return found


def typed(command: list[str], env: Mapping[str, str], *answers: tuple[bytes, bytes]) -> tuple[int, bytes]:
    """Run a command in a terminal and answer its prompts. Returns the exit status and the output."""
    pid, screen = pty.fork()
    if pid == 0:
        os.execve(command[0], command, env)
    shown = b""
    for prompt, answer in answers:
        while prompt not in shown:
            shown += os.read(screen, 1024)
        os.write(screen, answer + b"\n")
    try:
        while more := os.read(screen, 1024):
            shown += more
    except OSError:  # Linux raises this at the end
        pass
    os.close(screen)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown


def test_a_password_is_not_shown_and_only_the_owner_can_read_the_token(terminal: Terminal, gateway: Gateway) -> None:
    body = {"users": [{"username": "dora", "email": "dora@example.org", "password": PASSWORD}]}
    assert gateway.user("admin").post("/admin/users", body).status_code == 201

    status, shown = typed(
        [*COMMAND, "login", gateway.url], terminal.env, (b"address: ", b"dora"), (b"Password: ", PASSWORD.encode())
    )

    assert status == 0, shown
    assert b"Logged in as dora" in shown
    assert PASSWORD.encode() not in shown
    assert stat.S_IMODE(terminal.account.stat().st_mode) == 0o600
    assert terminal.prints("conversations") == ""


def test_a_token_of_the_environment_is_stored_without_a_prompt(
    terminal: Terminal, gateway: Gateway, ana: Person, ben: Person
) -> None:
    said = terminal.prints("login", gateway.url, BELLWIRE_TOKEN=str(ana.token))

    assert f"Logged in as {ana.name}." in said
    assert str(ana.token) not in said
    assert terminal.prints("send", f"@{ben.name}", "hello")


def test_a_refused_token_is_not_stored(terminal: Terminal, gateway: Gateway) -> None:
    assert "the token was not stored" in terminal.refused(3, "login", gateway.url, BELLWIRE_TOKEN="wrong")
    assert not terminal.account.exists()


def test_the_message_without_a_login_says_how_to_log_in(terminal: Terminal, gateway: Gateway) -> None:
    assert "bellwire login URL" in terminal.refused(3, "conversations")
    assert "bellwire login URL" in terminal.refused(3, "send", "1", "hello", BELLWIRE_URL=gateway.url, BELLWIRE_TOKEN="dead")


def test_a_server_that_is_not_there_has_a_status_of_its_own(terminal: Terminal) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    assert "does not answer" in terminal.refused(4, "login", url, BELLWIRE_TOKEN="any")


@pytest.mark.parametrize("args", [("send", "ana", "hello"), ("login", "localhost:8080"), ("dance",), ()])
def test_a_wrong_call_says_what_is_allowed(capsys: pytest.CaptureFixture[str], args: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as end:
        main(args)

    assert end.value.code == 2
    assert "usage: bellwire" in capsys.readouterr().err


def test_a_message_goes_to_a_name_an_id_or_a_conversation(logged_in: Terminal, ana: Person, ben: Person) -> None:
    first = logged_in.prints("send", f"@{ben.name}", "by name")
    at = int(first.rpartition("#")[2])
    logged_in.prints("send", str(ben.id), "-", stdin="by id\nand two lines\n")
    logged_in.prints("send", f"#{at}", "by place", "--priority", "urgent", "--client-id", "mine")
    logged_in.prints("send", f"#{at}", "by place", "--client-id", "mine")

    messages = ben.get(f"/conversations/{at}/messages").json()["items"]
    assert [(m["body"], m["priority"]) for m in messages] == [
        ("by place", "urgent"),
        ("by id\nand two lines", "normal"),
        ("by name", "normal"),
    ]


def test_files_are_sent_with_a_message_or_alone(logged_in: Terminal, ben: Person) -> None:
    at = logged_in.prints("send", f"@{ben.name}", "--file", __file__, "--file", __file__).rpartition("#")[2].strip()
    (message,) = ben.get(f"/conversations/{at}/messages").json()["items"]
    assert (message["body"], [file["name"] for file in message["files"]]) == ("", [Path(__file__).name] * 2)


def test_what_can_not_be_sent_says_why(logged_in: Terminal, ben: Person) -> None:
    assert "can be read" in logged_in.refused(2, "send", f"@{ben.name}", "--file", "/no/such/file")
    assert "no active user @nobody" in logged_in.refused(1, "send", "@nobody", "hello")
    assert "body: " in logged_in.refused(1, "send", f"@{ben.name}", "")


def test_conversations_are_listed_with_what_is_unread(logged_in: Terminal, ana: Person, ben: Person) -> None:
    at = ben.send("hello", to=ana)["conversation"]
    crew = ana.group(ben, title="Crew")

    listed = [line.split() for line in logged_in.prints("conversations").splitlines()]
    assert listed == [[f"#{crew}", "Crew"], [f"#{at}", "1", "unread", ben.name.capitalize()]]


def test_tail_goes_on_over_a_restart_and_ends_with_ctrl_c(
    tail: subprocess.Popen[str], gateway: Gateway, ana: Person, ben: Person
) -> None:
    first = ben.send("one", to=ana)
    seen = lines(tail, "message.created", 1)
    gateway.restart()
    second = ben.send("two", to=ana)
    seen += lines(tail, "message.created", 1)
    tail.send_signal(signal.SIGINT)

    assert seen == [first, second]
    assert tail.wait(LIMIT_S) == 0
    assert tail.stderr is not None
    assert tail.stderr.read() == ""


def test_tail_prints_what_is_kept_for_people_and_nothing_that_a_terminal_obeys(
    logged_in: Terminal, ana: Person, ben: Person
) -> None:
    at = ben.send("red \x1b[31m\nsecond line", to=ana)["conversation"]
    tail = logged_in.start("tail", "--since", "begin")
    assert tail.stdout is not None
    printed = [tail.stdout.readline().rstrip("\n") for _ in range(2)]
    tail.stdout.close()
    ben.send("nobody reads", at=at)

    assert printed[0].endswith(f" #{at} {ben.name.capitalize()}: red \ufffd[31m")
    assert printed[1] == "    second line"
    assert tail.wait(LIMIT_S) == 0, "a reader that ends is no error"
    assert tail.stderr is not None
    assert tail.stderr.read() == ""


def test_tail_says_when_a_cursor_has_expired(logged_in: Terminal, gateway: Gateway) -> None:
    tail = logged_in.start("tail", "--since", "another-1")
    assert tail.stderr is not None
    assert "had expired" in tail.stderr.readline()
    gateway.waiting(1)
    tail.send_signal(signal.SIGINT)

    assert tail.wait(LIMIT_S) == 0

"""The README's walk, on an empty folder and in more than one order: what it tells people to type does what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.gateway.running import Gateway
from tests.stores import Database
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
ADDRESS, SETUP_CODE, MAIL_CODE = "http://127.0.0.1:8080", "K7QFB-2MXDA", "CODE=123456"
PASSWORD = "a long and quiet one"
pytestmark = [pytest.mark.needs_binary("curl"), pytest.mark.needs_binary("node")]


@pytest.fixture(scope="module")
def database() -> Database:
    """The README's is SQLite."""
    return Database("sqlite", None)


def block(heading: str, after: str = "") -> str:
    """The first commands below a heading of the README, after a text."""
    section = README.partition(f"{heading}\n")[2].partition("\n#")[0].partition(after or "\n")[2]
    commands = re.search(r"(?:^    .*\n|^\n(?=    ))+", section, re.MULTILINE)
    assert commands, f"{heading} has no commands"
    return textwrap.dedent(commands[0])


class Walk:
    """A terminal in which somebody follows the README, beside the one of `make run`."""

    def __init__(self, gateway: Gateway, folder: Path, setup_code: str) -> None:
        self.gateway, self.folder, self.setup_code = gateway, folder, setup_code
        (folder / ".venv/bin").mkdir(parents=True)
        command = folder / ".venv/bin/bellwire"
        command.write_text(f'#!/bin/sh\nexec {sys.executable} -m bellwire_client "$@"\n')
        command.chmod(0o755)

    def shell(self, script: str, typed: str = "") -> str:
        """Run commands in bash without a terminal, which types the password when it is asked; return what they print."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("BELLWIRE_")}
        environment |= {"HOME": str(self.folder), "PYTHONPATH": str(ROOT / "clients/python/src")}
        ran = subprocess.run(
            ["bash", "-c", script.replace(ADDRESS, self.gateway.url)],
            cwd=self.folder,
            env=environment,
            input=typed,
            capture_output=True,
            text=True,
            start_new_session=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    def mailed_code(self) -> str:
        """Return a shell command that prints the newest mailed code, when the mail is there."""
        folder = self.gateway.data / "mail"
        return f"$(for try in $(seq 600); do grep -rhoE '^[0-9]{{6}}\\b' {folder} 2>/dev/null && break; sleep 0.1; done | tail -1)"

    def page(self) -> None:
        """Send the calls that the page makes while Ana and Ben follow steps 2 to 4."""
        post = self.gateway.anonymous().post
        ana = {"username": "ana", "email": "ana@example.org", "password": PASSWORD}
        instance = self.gateway.anonymous().get("/instance").json()
        if instance["setup"]:
            made = post("/setup", {**ana, "code": self.setup_code, "organisation": "Hill School"})
            assert made.status_code == 200, made.text
        token = post("/login", {"login": "ana", "password": PASSWORD}).json()["token"]
        by_ana = self.gateway.anonymous().with_token(token)
        invitation = by_ana.post("/admin/invitations", {}).json()["url"].rpartition("/")[2]
        signed_up = post(f"/invitations/{invitation}", {"username": "ben", "email": "ben@example.org", "password": PASSWORD})
        if signed_up.status_code == 201:
            code = self.shell(f"echo {self.mailed_code()}").strip()
            assert post("/signup/verify", {"email": "ben@example.org", "code": code}).status_code == 200
        (ben,) = by_ana.get("/users", q="ben").json()["items"]
        assert by_ana.post("/messages", {"to": ben["id"], "body": "hello on the page"}).status_code == 201

    def curl(self) -> None:
        """Run the part with curl."""
        script = block("### The same with curl")
        assert SETUP_CODE in script
        assert MAIL_CODE in script
        is_new = self.gateway.anonymous().get("/instance").json()["setup"]
        mailed = f"CODE={self.mailed_code()}" if is_new else MAIL_CODE
        printed = self.shell(script.replace(SETUP_CODE, self.setup_code).replace(MAIL_CODE, mailed))
        assert printed.count('"body":"hello Ben"') == 2, f"Ben's poll and Ana's answer: {printed}"
        assert printed.endswith("Our plan: we meet at nine."), printed

    def javascript(self) -> None:
        """Run the part for web pages, in Node.js."""
        script = block("### From a web page, Node.js or Deno")
        assert script.count("new Bellwire()") == script.count('"/static/client.js"') == 1
        program = script.replace('"/static/client.js"', f'"{ROOT}/gateway/static/client.js"')
        program = program.replace("new Bellwire()", f'new Bellwire({{ url: "{self.gateway.url}" }})')
        (self.folder / "walk.mjs").write_text(program)
        process = subprocess.Popen(["node", "walk.mjs"], cwd=self.folder, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        try:
            assert process.stdout.readline().startswith("state")
        finally:
            process.kill()
            process.wait()

    def python(self) -> None:
        """Run the part with the command `bellwire`."""
        install, login, *others, last = block("### From Python, or a shell").strip().split("\n")
        assert install == ".venv/bin/pip install ./clients/python"
        assert last == ".venv/bin/bellwire tail"
        assert "Logged in as ben" in self.shell("\n".join([login, *others]), typed=f"{PASSWORD}\n")

    def announce(self, admin_token: str) -> None:
        """Run the part about a product's own events, as its backend does."""
        program = block("## Add it to your product", after="**4. ")
        self.shell(f"{sys.executable} - <<'END'\nADMIN_TOKEN = '{admin_token}'\n{program}END\n")


ORDERS: list[list[Callable[[Walk], None]]] = [
    [Walk.page, Walk.curl, Walk.javascript, Walk.python],
    [Walk.curl, Walk.python, Walk.javascript, Walk.page],
]


@pytest.mark.parametrize("parts", ORDERS, ids=["as written", "the other order"])
def test_each_command_of_the_readme_works(
    make_gateway: Callable[..., Gateway], tmp_path: Path, parts: list[Callable[[Walk], None]]
) -> None:
    gateway = make_gateway("serve")
    code = until(lambda: re.search(r"#/setup and enter this code: (\S+)", "".join(gateway.printed)))
    walk = Walk(gateway, tmp_path, code[1])
    for part in parts:
        part(walk)

    token_of_ana = gateway.anonymous().post("/login", {"login": "ana", "password": PASSWORD}).json()["token"]
    walk.announce(token_of_ana)
    ana = gateway.anonymous().with_token(token_of_ana)
    token = ana.post("/admin/users/ext:42/tokens", {}).json()["token"]
    dora = gateway.anonymous().with_token(token)
    (notification,) = until(lambda: dora.get("/notifications").json()["items"])
    assert notification["title"] == "A bell left the warehouse"

    token = gateway.anonymous().post("/login", {"login": "ben", "password": PASSWORD}).json()["token"]
    ben = gateway.anonymous().with_token(token)
    (conversation,) = ben.get("/conversations").json()["items"]
    said = [message["body"] for message in ben.get(f"/conversations/{conversation['id']}/messages").json()["items"]]
    expected = {
        Walk.page: "hello on the page",
        Walk.curl: "hello Ben",
        Walk.javascript: "hello from a page",
        Walk.python: "It is done",
    }
    said.remove("See the plan")  # comes with the part with curl
    assert said[::-1] == [expected[part] for part in parts]

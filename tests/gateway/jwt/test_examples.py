"""The token endpoints of docs/embedding.md sign what the gateway verifies. Flask is a stand-in; PHP may be missing."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gateway.jwt.keys import from_file
from gateway.jwt.verifier import Rules, verify
from tests.gateway.jwt.issuer import NAME, pem, rsa_key
from tests.structure import ROOT

EXAMPLES = dict(
    re.findall(r"^```(\w+)\n(.*?)^```", (ROOT / "docs/embedding.md").read_text().partition("## Who may reach")[0], re.M | re.S)
)
FLASK = """
session = {"user_id": 7, "name": "Ana"}

class Flask:
    def __init__(self, name): pass
    def get(self, path): return lambda endpoint: endpoint
"""
MAX_LINES = 15  # blank ones included


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the private key."""
    (tmp_path / "private.pem").write_bytes(rsa_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (tmp_path / "flask.py").write_text(FLASK)
    return tmp_path


def signed_by(folder: Path, *command: str) -> None:
    """Run an example, and verify the token that it prints."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rules = Rules(NAME, "bellwire", ("RS256", "ES256", "EdDSA"), 30)
    found = verify(json.loads(done.stdout)["token"], from_file(pem(rsa_key())), rules, time.time())
    assert (found.subject, found.profile) == ("7", {"name": "Ana"})
    assert found.expires_ms - found.issued_ms == 600_000


def test_each_example_is_short() -> None:
    assert {language: len(code.splitlines()) <= MAX_LINES for language, code in EXAMPLES.items()} == {
        "python": True,
        "php": True,
        "js": True,
    }


def test_the_endpoint_of_flask(folder: Path) -> None:
    (folder / "example.py").write_text(f"{EXAMPLES['python']}\nimport json\nprint(json.dumps(chat_token()))")
    signed_by(folder, sys.executable, "example.py")


@pytest.mark.needs_binary("node")
def test_the_endpoint_of_node(folder: Path) -> None:
    (folder / "example.mjs").write_text(f"{EXAMPLES['js']}\nconsole.log(JSON.stringify(chatToken({{ id: 7, name: 'Ana' }})))")
    signed_by(folder, "node", "example.mjs")


@pytest.mark.skipif(shutil.which("php") is None, reason="php is not installed")
def test_the_endpoint_of_php(folder: Path) -> None:
    begin = "session_start();\n$_SESSION = ['user_id' => 7, 'name' => 'Ana'];"
    (folder / "example.php").write_text(EXAMPLES["php"].replace("session_start();", begin))
    signed_by(folder, "php", "example.php")

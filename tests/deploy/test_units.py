"""The systemd units and the compose file: the commands, settings and files that they name exist."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from commands.errors import UNREACHABLE
from commands.line import COMMANDS
from conf import Settings
from tests.journeys.cluster import ROOT

DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").iterdir())
TEXTS = [path for path in DEPLOY.rglob("*") if path.is_file()]


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_runs_an_existing_command_and_is_hardened(path: Path) -> None:
    text = path.read_text()
    (command,) = re.findall(r"^ExecStart=.*/run\.py ([a-z-]+)$", text, re.MULTILINE)
    assert command in COMMANDS
    for hardening in ("NoNewPrivileges=yes", "ProtectSystem=strict", "StateDirectory=bellwire", "User=bellwire"):
        assert re.search(f"^{hardening}$", text, re.MULTILINE), hardening


@pytest.mark.parametrize("path", [path for path in UNITS if "@" in path.name], ids=lambda path: path.name)
def test_a_unit_is_started_again_after_what_a_restart_can_mend(path: Path) -> None:
    restarts = dict(re.findall(r"^(Restart\w*)=(.*)$", path.read_text(), re.MULTILINE))
    assert restarts.pop("RestartSec")
    assert restarts == {"Restart": "on-abnormal", "RestartForceExitStatus": str(UNREACHABLE)}  # on-abnormal: signals, no statuses


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_systemd_accepts_a_unit(path: Path, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    unit = tmp_path / path.name.replace("@.", "@8081.")
    unit.write_text(path.read_text().replace("/opt/bellwire/.venv/bin/python", sys.executable))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, check=False)
    if "Failed to" in done.stderr and unit.name not in done.stderr:
        pytest.skip(f"systemd-analyze does not work here: {done.stderr}")
    assert (done.returncode, unit.name in done.stderr) == (0, False), done.stderr


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(DEPLOY)))
def test_settings_that_are_named_exist(path: Path) -> None:
    known = {f"BELLWIRE_{name.upper()}" for name in Settings.model_fields}
    ours = {"BELLWIRE_VERSION"}  # compose.yaml's tag of the image
    assert set(re.findall(r"\bBELLWIRE_[A-Z_]+\b", path.read_text())) <= known | ours


def test_images_have_a_version_and_secrets_come_from_outside() -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    images = re.findall(r"^ +image: (\S+)$", text, re.MULTILINE)
    images += re.findall(r"^FROM (\S+)", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    assert len(images) == 6
    assert all(re.search(r":(\$\{BELLWIRE_VERSION:-)?\d", image) for image in images), images
    for secret in ("POSTGRES_PASSWORD", "BELLWIRE_SECRET_KEY"):
        assert set(re.findall(rf"{secret}: (.*)", text)) == {f"${{{secret}:?put it into deploy/.env}}"}


def test_a_container_runs_an_existing_command() -> None:
    commands = re.findall(r"^ +command: \[([a-z-]+)\]", (DEPLOY / "compose.yaml").read_text(), re.MULTILINE)
    assert sorted(commands) == ["gateway", "migrate", "worker"]
    assert set(commands) <= set(COMMANDS)


def test_the_image_contains_every_package_that_the_commands_need() -> None:
    copied = set(re.findall(r"^COPY (\w+) \1$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE))
    needed = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"bench", "tests"}
    assert copied == needed
    kept = {line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")}
    assert kept == needed | {"run.py", "requirements.lock"}


def test_containers_have_the_gateways_configuration_at_other_addresses() -> None:
    compose, nginx = (DEPLOY / "compose.yaml").read_text(), DEPLOY / "nginx"
    addresses = re.findall(r"ipv4_address: (\S+)", compose)
    (trusted,) = re.findall(r"BELLWIRE_TRUSTED_PROXIES: (\S+)/32", compose)
    assert trusted == addresses[-1], "the last one is nginx's"
    text = (nginx / "gateways-compose.conf").read_text()
    for original, address in zip(("127.0.0.1:8081", "127.0.0.1:8082"), addresses[:-1], strict=True):
        assert f"server {address}:8080 " in text
        text = text.replace(f"{address}:8080", original)
    assert directives(text) == directives((nginx / "bellwire" / "gateways.conf").read_text())


def directives(text: str) -> list[str]:
    """Return the lines of a configuration without comments."""
    return [line for line in (line.partition("#")[0].strip() for line in text.splitlines()) if line]

"""The package of the client for Python: it is made, installed and used as by those who have no checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gateway.client import Client
from tests.gateway.running import ROOT, Gateway

pytestmark = pytest.mark.only("sqlite")  # the database does not matter here


def run(folder: Path, *command: str, **environment: str) -> str:
    """Run a command to its end and return what it prints. Without a registry the test is skipped, but not under CI=true."""
    done = subprocess.run(command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    if done.returncode and "pip" in command and os.environ.get("CI") != "true":
        pytest.skip(f"{command[:3]}: no package registry? {done.stderr[-300:]}")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_for_python_is_built_installed_and_used(gateway: Gateway, admin: Client, tmp_path: Path) -> None:
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
    run(tmp_path, *pip, "wheel", "--no-deps", "--wheel-dir", ".", str(ROOT / "clients/python"))
    (wheel,) = tmp_path.glob("bellwire_client-*.whl")
    run(tmp_path, *pip, "install", "--no-deps", "--no-index", "--target", "site", wheel.name)
    program = "import sys, bellwire_client as b; print(b.__file__, b.Client(*sys.argv[1:]).me().username)"
    found, name = run(tmp_path, sys.executable, "-P", "-c", program, gateway.url, str(admin.token), PYTHONPATH="site").split()
    assert Path(found).is_relative_to("site") or Path(found).is_relative_to(tmp_path / "site")
    assert name == admin.name

"""Packages that npm installs, once for all runs on this machine."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import pytest

INSTALL_S = 240


def installed(package: str) -> Path:
    """The folder of a package such as `typescript@5.9.3`. Without a registry the test is skipped; under CI=true it fails."""
    folder = Path(tempfile.gettempdir()) / f"bellwire-tests-{os.getuid()}-{package.replace('@', '-')}"
    if not (folder / "complete").exists():
        folder.mkdir(exist_ok=True)
        command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder), package]
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_S, check=False)
        if done.returncode != 0:
            (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(
                f"npm could not install {package}: {done.stderr[-300:]}"
            )
        (folder / "complete").touch()
    return folder

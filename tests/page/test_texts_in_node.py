"""What the page makes of texts, without a browser: `texts.test.mjs`, run by Node.js."""

import subprocess
from pathlib import Path

import pytest

pytestmark = [pytest.mark.only("sqlite"), pytest.mark.needs_binary("node")]  # no database at all


def test_links_and_markup_in_node() -> None:
    tests = Path(__file__).with_name("texts.test.mjs")
    run = subprocess.run(["node", "--test", str(tests)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr

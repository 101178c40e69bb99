"""Parts of the page without a browser, run by Node.js: its texts, its words, its state, and what views do after failures."""

import subprocess
from pathlib import Path

import pytest

pytestmark = [pytest.mark.only("sqlite"), pytest.mark.needs_binary("node")]  # no database at all


@pytest.mark.parametrize(
    "tests", ["texts.test.mjs", "words.test.mjs", "thread.test.mjs", "store.test.mjs", "views.test.mjs", "links.test.mjs"]
)
def test_in_node(tests: str) -> None:
    path = Path(__file__).with_name(tests)
    run = subprocess.run(["node", "--test", str(path)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr

"""The code of a commit is extracted for a comparison, and removed at the end."""

import pytest

from bench.servers.bellwire import ROOT, StartFailed
from bench.servers.earlier import earlier

pytestmark = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="there is no repository")


def test_a_commit_is_there_until_the_end() -> None:
    with earlier("HEAD") as root:
        assert (root / "run.py").is_file()
        assert (root / "bench/load/people.py").is_file()
        assert root != ROOT
    assert not root.exists()


def test_a_commit_that_is_missing_is_named() -> None:
    with pytest.raises(StartFailed, match="the commit 0000000 can't be extracted"), earlier("0" * 40):
        pass

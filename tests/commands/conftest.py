"""Installations for the tests of commands."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.commands.installation import Installation


@pytest.fixture
def make_installation(tmp_path: Path) -> Iterator[Callable[[str], Installation]]:
    """Makes installations by name, none of which has run before."""
    made: list[Installation] = []

    def make(name: str) -> Installation:
        (tmp_path / name).mkdir()
        made.append(Installation(tmp_path / name))
        return made[-1]

    yield make
    for process in [process for installation in made for process in installation.running]:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


@pytest.fixture
def bellwire(make_installation: Callable[[str], Installation]) -> Installation:
    """An installation that has never run."""
    return make_installation("bellwire")

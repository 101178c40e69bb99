"""The command lines that a command advises, as they can be pasted into the same terminal."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

RUN_PY = Path(__file__).resolve().parent.parent / "run.py"


def command_line(words: str) -> str:
    """Return the line that runs `run.py WORDS` with this Python, in backticks. Paths below the current folder are relative."""
    program = shlex.join([_shortened(Path(sys.executable)), _shortened(RUN_PY)])
    return f"`{program} {words}`"


def _shortened(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)

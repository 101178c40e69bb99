"""Restores again and again, each time killed one step later: at the nth file opened, linked, renamed or removed.

Arguments: a data folder, a backup, a folder for the copies. Makes one copy of the data folder for each kill, by number, and prints
how many kills it took until one restore went through.
"""

import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

from conf import Settings
from models.transfer.restore import restore

STEPS = {"open", "os.link", "os.remove", "os.rename", "sqlite3.connect"}
data, backup, copies = map(Path, sys.argv[1:])


def kill_at(last: int) -> None:
    left = last

    def step(event: str, _arguments: tuple[Any, ...]) -> None:
        nonlocal left
        if event in STEPS:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(step)


number = 0
while True:
    number += 1
    copy = copies / str(number)
    shutil.copytree(data, copy)
    settings = Settings(data_dir=copy)
    child = os.fork()
    if child == 0:
        kill_at(number)
        restore(settings, backup, force=True, say=lambda _: None)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    if status == 0:
        break
    assert os.WTERMSIG(status) == signal.SIGKILL, status
print(number - 1)

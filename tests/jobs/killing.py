"""Run work in another process and kill it at one of its commits."""

from __future__ import annotations

import os

from conf import Settings
from tests.python import run_python
from tests.stores import environment, named

SCRIPT = """
import os, signal, sys
from models.store.database import connect
from conf import load
from jobs import tasks
from jobs.consumers.announcements import AnnouncementConsumer
from jobs.consumers.bursts import notify_groups
from jobs.consumers.host_notices import HostNoticeConsumer
from jobs.consumers.members import MembersConsumer
from jobs.consumers.unseen import notify_unseen
from jobs.mail import digests
from models.store import database

work, commit, when = sys.argv[1:]
settings = load()
connect(settings)
tasks.bind(settings)
real, left = database.engine().commit, int(commit)

def counted(assigned_ids, newest_event):
    global left
    left -= 1
    if left == 0:
        if when == "after":
            real(assigned_ids, newest_event)
        os.kill(os.getpid(), signal.SIGKILL)
    return real(assigned_ids, newest_event)

database.engine().commit = counted
exec(work)
"""


def killed_at(store: Settings, work: str, commit: int, when: str) -> None:
    """Run the statement `work`, which may use `tasks`, `digests` and the imported consumers; kill it before or after a commit.

    `when` is "before" or "after"; `commit` counts from 1.
    """
    env = {**os.environ, **environment(named(store))}
    done = run_python(["-c", SCRIPT, work, str(commit), when], env=env)
    assert done.returncode == -9, done.stderr


def drains(consumer: str) -> str:
    """The statement that drains a consumer in slices of 40 events."""
    return f"tasks.drain_log(tasks.consumers[{consumer!r}], events_per_slice=40)"

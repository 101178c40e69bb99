"""Processes are killed again and again while people share files: no message has half a file, and store and table agree.

KILLS=1000 kills so often, as a search for rare faults.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from pathlib import Path
from subprocess import Popen

import httpx
import pytest

from conf import Settings
from jobs.upkeep.sweeper import Sweeper
from models.blobs.opening import open_store
from models.files import comparing
from models.files.comparing import RowFaults, Unfinished
from models.files.pictures import MAX_ATTEMPTS
from models.store.clock import now_ms
from models.store.database import execute, rows
from tests.journeys.cluster import Cluster, seed
from tests.journeys.sharing import Shared, Sharer
from tests.models.people import group
from tests.s3_server import S3Server
from tests.waiting import until, until_async

KILLS = int(os.environ.get("KILLS", "4"))
DAYS_MS = 2 * 24 * 3600 * 1000
WAITING_SQL = "SELECT count(*) FROM files WHERE state='pending' AND (message IS NOT NULL OR post IS NOT NULL)"
LAST_ATTEMPTS_SQL = "SELECT count(*) FROM files WHERE state='pending' AND attempts>=?"


class Scene:
    """A gateway and a worker, which are killed at random, and people who share files."""

    def __init__(self, cluster: Cluster, files_url: str) -> None:
        self.cluster = cluster
        self.chance = random.Random(seed())
        cluster.others = {"files_url": files_url, "files_per_day_mb": "1000000"}
        self.settings: Settings = cluster.settings.model_copy(update={"files_url": files_url})
        self.people = cluster.people("ana", "ben", "cy")
        self.conversation = group(*self.people)
        self.port = cluster.start_gateway()
        self.worker = cluster.start_worker()
        self.shared: list[Shared] = []

    def sharers(self, times: int = 1) -> list[Sharer]:
        """Some for each of the people."""
        return [
            Sharer(self.cluster, user, self.conversation, self.shared, random.Random(self.chance.random()))
            for user in self.people * times
        ]

    async def kill(self) -> None:
        """Kill the gateway, the worker, or its process for pictures, and start it again. A picture that is looked at for the last
        time is left alone: it would fail, as one that kills its process must."""
        choice = self.chance.random()
        if rows(LAST_ATTEMPTS_SQL, (MAX_ATTEMPTS - 1,)) != [(0,)]:
            choice = 1.0
        if choice < 0.2:
            kill_children(self.worker)
        elif choice < 0.55:
            self.worker.kill()
            self.worker.wait()
            self.worker = self.cluster.start_worker()
        else:
            self.cluster.kill_gateway(self.port)
            await asyncio.to_thread(self.cluster.start_gateway, self.port)

    async def share_and_kill(self, kills: int) -> None:
        """Share files at random, and kill in the middle of it."""
        is_over, sharers = False, self.sharers(times=2)
        async with contextlib.AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
            for sharer in sharers:
                stack.push_async_callback(sharer.close)
            running = [tasks.create_task(sharer.share_until(lambda: is_over)) for sharer in sharers]
            for _ in range(kills):
                target = len(self.shared) + self.chance.randint(1, 8)
                await until_async(lambda target=target: len(self.shared) >= target or any(task.done() for task in running))
                await asyncio.sleep(self.chance.random() / 50)  # anywhere in what happens now
                await self.kill()
            is_over = True

    async def check_all(self) -> None:
        """Check each file of each message and post, by its members and by nobody else."""
        sharer = self.sharers()[0]
        stranger = Sharer(self.cluster, self.cluster.people("stranger")[0], self.conversation, self.shared, self.chance)
        for shared in self.shared:
            answer = await sharer.call("GET", shared.path)
            files = answer.json().get("files", []) if answer.status_code == httpx.codes.OK else []
            assert [file["id"] for file in files] == ([] if shared.is_deleted else [*shared.files]), (shared.path, answer.text)
            for file in shared.files:
                await sharer.check(shared, file)
            for file in files:
                content = shared.files[file["id"]]
                assert (file["state"], file["thumbnail"]) == ("ready", content.size is not None)
                assert content.size in (None, (file["width"], file["height"]))
        (chosen,) = [*(shared for shared in self.shared if not shared.is_deleted and "messages" in shared.path)][:1]
        assert (await stranger.call("GET", f"/files/{next(iter(chosen.files))}")).status_code == httpx.codes.NOT_FOUND
        for each in (sharer, stranger):
            await each.close()


def kill_children(process: Popen[bytes]) -> None:
    """Kill the processes that a process has started, if there are any."""
    for task in Path(f"/proc/{process.pid}/task").iterdir():
        with contextlib.suppress(OSError):
            for child in (task / "children").read_text().split():
                os.kill(int(child), 9)


def sweep(settings: Settings) -> None:
    """Let two days pass for all that was left behind, remove it from the tables, and two more until its objects go."""
    execute("UPDATE files SET created_ms=created_ms-? WHERE message IS NULL AND post IS NULL", (DAYS_MS,))
    for _ in range(2):
        execute("UPDATE blobs SET since_ms=since_ms-? WHERE state<>'stored'", (DAYS_MS,))
        Sweeper(settings).sweep()


def check_store(settings: Settings) -> None:
    """Check that the store has what the table says, byte for byte, and nothing else."""
    found = comparing.compare(open_store(settings), checksums=True)
    assert (found.missing, found.unlike, found.orphans) == ([], [], [])
    assert comparing.row_faults() == RowFaults([], [], [], [])
    assert comparing.unfinished(now_ms()) == Unfinished(0, 0, 0)
    assert rows("SELECT count(*) FROM files WHERE message IS NULL AND post IS NULL") == [(0,)]


def run(cluster: Cluster, files_url: str, kills: int) -> None:
    scene = Scene(cluster, files_url)
    asyncio.run(scene.share_and_kill(kills))
    until(lambda: rows(WAITING_SQL) == [(0,)])
    asyncio.run(scene.check_all())
    until(lambda: rows("SELECT count(*) FROM blobs WHERE state='unused'") == [(0,)])  # by the worker
    scene.worker.kill()
    scene.worker.wait()
    sweep(scene.settings)
    check_store(scene.settings)


@pytest.mark.timeout(300 + 10 * KILLS)
def test_no_message_has_half_a_file_and_nothing_is_left_behind_in_a_folder(cluster: Cluster) -> None:
    run(cluster, "files", KILLS)


@pytest.mark.only("sqlite")
@pytest.mark.timeout(300 + 10 * KILLS)
def test_the_same_with_a_bucket(cluster: Cluster, s3: S3Server) -> None:
    run(cluster, s3.new_bucket(), KILLS // 2)

"""The disk of the files fills: uploads are refused, sends go on, and what is deleted makes space again."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from models.blobs.opening import open_store
from models.files import comparing
from models.files.incoming import MIN_FREE_BYTES
from tests.journeys.cluster import Cluster
from tests.models.people import group
from tests.waiting import LIMIT_S, until

DISK_BYTES = 4 * 1024 * 1024
DOCUMENT = b"%PDF-1.7\n" + bytes(1_000_000)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk with 4 MiB beyond what uploads leave free. Only root may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={MIN_FREE_BYTES + DISK_BYTES}", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no disk can be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.only("sqlite")
def test_a_full_disk_refuses_uploads_until_something_is_deleted(cluster: Cluster, small_disk: Path) -> None:
    cluster.others = {"files_url": str(small_disk / "files")}
    ana, ben = cluster.people("ana", "ben")
    conversation = group(ana, ben)
    port = cluster.start_gateway()
    cluster.start_worker()
    headers = {"Authorization": f"Bearer {cluster.token[ana]}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", headers=headers, timeout=LIMIT_S, trust_env=False) as http:

        def send(*files: int) -> int:
            body = {"conversation": conversation, "body": "hello"} | ({"files": files} if files else {})
            return int(http.post("/messages", json=body).raise_for_status().json()["id"])

        uploaded = []
        while (answer := http.post("/files", content=DOCUMENT)).is_success:
            uploaded.append(answer.json()["id"])
        assert (answer.status_code, answer.json()["type"]) == (httpx.codes.INSUFFICIENT_STORAGE, "/problems/insufficient-storage")
        assert "no space left" in answer.json()["detail"]
        message, _ = send(*uploaded), send()
        assert http.get(f"/files/{uploaded[-1]}").content == DOCUMENT
        found = comparing.compare(open_store(cluster.settings.model_copy(update={"files_url": str(small_disk / "files")})))
        assert (found.objects, found.missing, found.unlike, found.orphans) == (len(uploaded), [], [], [])

        http.delete(f"/messages/{message}").raise_for_status()
        until(lambda: http.post("/files", content=DOCUMENT).is_success)
        send()

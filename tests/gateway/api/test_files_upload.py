from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.gateway.client import Client, fields
from tests.gateway.running import Gateway

PDF = b"%PDF-1.7\n" + b"x" * 300_000


def upload(client: Client, content: Any, name: str = "", **headers: str) -> httpx.Response:
    return client.post("/files", params={"name": name}, content=content, headers=headers)


def objects(gateway: Gateway) -> list[Path]:
    return [path for path in (gateway.data / "files").rglob("*") if path.is_file()]


@pytest.mark.parametrize("chunked", [False, True])
def test_a_file_is_stored_and_answered(gateway: Gateway, ana: Client, chunked: bool) -> None:
    answer = upload(ana, iter([PDF[:100], PDF[100:]]) if chunked else PDF, "Größe 🎉.pdf")

    assert answer.status_code == 201, answer.text
    file = answer.json()
    assert file == {
        **{"id": file["id"], "name": "Größe 🎉.pdf", "type": "application/pdf", "bytes": len(PDF), "width": None, "height": None},
        **{"thumbnail": False, "state": "ready", "created_at": file["created_at"]},
    }
    ((key, state),) = gateway.rows(
        "SELECT key, blobs.state FROM blobs JOIN files ON content_id=blobs.id WHERE files.id=?", file["id"]
    )
    assert state == "stored"
    assert (gateway.data / "files" / key[:2] / key).read_bytes() == PDF
    assert gateway.rows("SELECT bytes FROM file_usage WHERE user_id=?", ana.id) == [(len(PDF),)]


def test_an_empty_file_is_refused(ana: Client) -> None:
    assert fields(upload(ana, b"")) == ["body"]
    assert fields(upload(ana, iter([]))) == ["body"]

"""Files in a bucket, over HTTP; and a bucket that accepts connections and never answers."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator

import pytest

from conf import Settings
from models.blobs.opening import open_store
from tests.gateway.client import Client, problem
from tests.gateway.running import Gateway
from tests.s3_server import KEYS, S3Server, failing_server, url_of

CONTENT = secrets.token_bytes(6_000_000)  # two parts
pytestmark = pytest.mark.only("sqlite")


@pytest.fixture
def silent(make_gateway: Callable[..., Gateway], monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    """A gateway whose bucket never answers."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    with failing_server(None) as endpoint:
        yield make_gateway(FILES_URL=url_of(endpoint))


def upload(client: Client, content: bytes) -> int:
    answer = client.post("/files", params={"name": "noise.bin"}, content=content)
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"])


def test_a_file_is_put_into_the_bucket_and_read_from_it(make_gateway: Callable[..., Gateway], s3: S3Server) -> None:
    url = s3.new_bucket()
    ana, ben, cleo = make_gateway(FILES_URL=url).users(3)
    file = upload(ana, CONTENT)
    sent = ana.send("", to=ben, files=[file])
    assert [each["bytes"] for each in sent["files"]] == [len(CONTENT)]
    assert ben.get(f"/files/{file}").content == CONTENT
    part = ben.get(f"/files/{file}", headers={"Range": "bytes=1000000-2100000"})
    assert (part.status_code, part.content) == (206, CONTENT[1_000_000:2_100_001])
    assert cleo.get(f"/files/{file}").status_code == 404
    assert [length for _, length in open_store(Settings(files_url=url)).sizes()] == [len(CONTENT)]


def test_a_bucket_that_hangs_costs_files_only(silent: Gateway) -> None:
    ana, ben = silent.users(2)
    uploading = [silent.later(ana.post, "/files", params={"name": "a"}, content=CONTENT) for _ in range(4)]
    assert [ana.send(f"meanwhile {n}", to=ben)["body"] for n in range(5)] == [f"meanwhile {n}" for n in range(5)]
    for each in uploading:
        problem(each.result(), 503, "unavailable")
    assert silent.rows("SELECT count(*) FROM files") == [(0,)]

"""A bucket that fails: its errors are named, soon, and without secrets."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from conf import Settings
from models.blobs import bucket
from models.blobs.bucket import Bucket
from models.blobs.objects import ObjectStore
from models.store.errors import StoreDownError
from tests.s3_server import KEYS, S3Server, failing_server, refusal, url_of
from tests.waiting import LIMIT_S

NAME = "ab" * 16
CALLS: dict[str, Callable[[ObjectStore], object]] = {
    "put": lambda objects: _upload(objects),
    "get": lambda objects: b"".join(objects.read(NAME, 0, 5)),
    "delete": lambda objects: objects.remove([NAME]),
    "list": lambda objects: list(objects.sizes()),
}


def _upload(objects: ObjectStore) -> None:
    writer = objects.writer(NAME)
    writer.write(b"bytes")
    try:
        writer.finish()
    except BaseException:
        assert not writer.abort()  # something may have arrived
        raise


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests are given up soon, and the keys are those of the tests."""
    for name, value in (("REQUEST_S", 0.3), ("RETRY_S", 0.2), ("MAX_RETRIES", 1)):
        monkeypatch.setattr(bucket, name, value)
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)


def opened(folder: Path, endpoint: str) -> Bucket:
    return Bucket(Settings(data_dir=folder, files_url=url_of(endpoint)))


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "error sending request"),
        (b"", "error sending request"),
        (refusal("500 Internal Server Error", "InternalError"), "InternalError"),
        (refusal("503 Slow Down", "SlowDown"), "SlowDown"),
        (refusal("403 Forbidden", "InvalidAccessKeyId"), "InvalidAccessKeyId"),
        (refusal("404 Not Found", "NoSuchBucket"), "NoSuchBucket"),
    ],
)
def test_a_bucket_that_fails_is_down(tmp_path: Path, call: str, answer: bytes | None, reason: str) -> None:
    down = pytest.raises(StoreDownError, match="bucket of files")
    with failing_server(answer) as endpoint, capture_logs() as logs, down as caught:
        CALLS[call](opened(tmp_path, endpoint))
    (line,) = logs
    assert line["event"] == "bucket_failed"
    assert reason in line["reason"]
    for secret in (*KEYS.values(), endpoint):
        assert secret not in f"{line}{caught.value}"


def test_a_bucket_that_refuses_connections_is_down(tmp_path: Path) -> None:
    for call in CALLS.values():
        with pytest.raises(StoreDownError, match="error sending request"):
            call(opened(tmp_path, "http://127.0.0.1:1"))


def test_without_keys_it_says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KEYS:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://169.254.169.254:1")
    with pytest.raises(StoreDownError, match="AWS_ACCESS_KEY_ID"):
        CALLS["list"](opened(tmp_path, "http://127.0.0.1:1"))


def test_an_object_that_is_cut_off_is_an_error(tmp_path: Path) -> None:
    head = (
        b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-4/5\r\nContent-Length: 5\r\n"
        b'Last-Modified: Mon, 30 Nov 2026 14:00:00 GMT\r\nETag: "x"\r\n\r\n'
    )
    with failing_server(head + b"ab") as endpoint, pytest.raises(StoreDownError):
        CALLS["get"](opened(tmp_path, endpoint))


def test_those_that_wait_behind_a_failed_upload_are_refused_at_once(tmp_path: Path) -> None:
    refused: list[str] = []

    def upload() -> None:
        try:
            CALLS["put"](objects)
        except StoreDownError as error:
            refused.append(str(error))

    with failing_server(None) as endpoint:
        objects = opened(tmp_path, endpoint)
        threads = [threading.Thread(target=upload) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LIMIT_S)
    assert len(refused) == 20
    assert sum("does not answer" in text for text in refused) == 20 - bucket.MAX_PUTS


def test_an_upload_waits_for_its_turn_only_so_long(tmp_path: Path, s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket, "PUT_WAIT_S", 0)
    monkeypatch.setattr(bucket, "MAX_PUTS", 0)
    with pytest.raises(StoreDownError, match="busy"):
        CALLS["put"](Bucket(Settings(data_dir=tmp_path, files_url=s3.new_bucket())))


def test_keys_may_be_in_files(tmp_path: Path, s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in KEYS.items():
        monkeypatch.delenv(name)
        (tmp_path / name).write_text(f"{value}\n")
        monkeypatch.setenv(f"{name}_FILE", str(tmp_path / name))
    monkeypatch.setattr(bucket, "REQUEST_S", LIMIT_S)
    CALLS["put"](Bucket(Settings(data_dir=tmp_path, files_url=s3.new_bucket())))

"""Objects in a bucket that speaks S3.

An upload is kept in a nameless file of the data folder's disk until it is complete, and then put into the bucket: a kill leaves
nothing on the disk. Each request is bounded in time, and tried again for a while; afterwards it is a StoreDownError, and
those that wait behind it are refused at once.
"""

from __future__ import annotations

import re
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

import obstore
import structlog
from obstore.exceptions import BaseError
from obstore.store import S3Store

from conf import Settings
from conf.masking import without_secrets
from conf.parsing import BucketAddress, bucket
from conf.settings import bucket_keys
from models.blobs.folder import local_errors
from models.blobs.objects import READ_BYTES
from models.store.errors import StoreDownError

CONNECT_S = 5
REQUEST_S = 15  # a part at 3 Mbit/s
RETRY_S = 10  # after the first attempt no new one begins
MAX_RETRIES = 4
PART_BYTES = 5 * 1024 * 1024  # the least that S3 allows
MAX_PUTS = 2  # at once: each has one or two parts in memory
PUT_WAIT_S = 60  # for those before it
REFUSED_S = 5  # after a failure, those that waited are refused
FETCH_BYTES = 1024 * 1024  # a request's: a slow reader keeps no connection open
KEYS_PER_REQUEST = 1000  # that S3 deletes at once
MAX_REASON_CHARS = 200
CODE = re.compile(r"<Code>(\w+)</Code>")
STATUS = re.compile(r"status code: (\d{3}[ \w]*)")
NO_KEYS = "169.254.169.254"  # where machines of AWS find keys when there are no others
NO_BUCKET = "NoSuchBucket"

if TYPE_CHECKING:
    from obstore.store import S3Config

logger = structlog.get_logger("models")


class Bucket:
    """The store in a bucket."""

    def __init__(self, settings: Settings) -> None:
        self._address = bucket(settings.files_url)
        self._folder = settings.data_dir
        self._client = _client(self._address)
        self._puts = threading.BoundedSemaphore(MAX_PUTS)
        self._down_until = 0.0

    def writer(self, key: str) -> BucketWriter:
        return BucketWriter(self, self._folder, key)

    def put(self, key: str, path: Path) -> None:
        with path.open("rb") as file:
            self.put_file(key, file)

    def put_file(self, key: str, file: IO[bytes]) -> None:
        """Put the content of a file, from its beginning; return when it is durable. Raises StoreDownError."""
        if not self._puts.acquire(timeout=PUT_WAIT_S):
            raise StoreDownError("the bucket of files is busy")
        try:
            if time.monotonic() < self._down_until:
                raise StoreDownError("the bucket of files does not answer")
            file.seek(0)
            with self._errors("put", finds=False):
                obstore.put(self._client, key, file, chunk_size=PART_BYTES, max_concurrency=1)
        finally:
            self._puts.release()

    def local_path(self, key: str) -> Path | None:
        return None

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        if length is None:
            length = self._size(key) - start
        end = start + length
        while start < end:
            with self._errors("get"):
                fetched = memoryview(obstore.get_range(self._client, key, start=start, end=min(start + FETCH_BYTES, end)))
            if not fetched:
                raise OSError(f"the object {key} ends at byte {start}")
            start += len(fetched)
            for at in range(0, len(fetched), READ_BYTES):
                yield bytes(fetched[at : at + READ_BYTES])

    def length(self, key: str) -> int | None:
        with suppress(FileNotFoundError):
            return self._size(key)
        return None

    def _size(self, key: str) -> int:
        with self._errors("head"):
            return obstore.head(self._client, key)["size"]

    def remove(self, keys: Sequence[str]) -> None:
        for at in range(0, len(keys), KEYS_PER_REQUEST):
            with self._errors("delete", finds=False):
                obstore.delete(self._client, list(keys[at : at + KEYS_PER_REQUEST]))

    def sizes(self) -> Iterator[tuple[str, int]]:
        with self._errors("list", finds=False):
            for page in obstore.list(self._client, chunk_size=KEYS_PER_REQUEST):
                yield from ((entry["path"], entry["size"]) for entry in page)

    @contextmanager
    def _errors(self, request: str, *, finds: bool = True) -> Iterator[None]:
        """Turn the library's errors into StoreDownError. FileNotFoundError stays one if the request looks for an object."""
        try:
            yield
        except (BaseError, OSError, ValueError) as error:
            reason = _reason(str(error))
            if finds and isinstance(error, FileNotFoundError) and reason != NO_BUCKET:
                raise FileNotFoundError("there is no such object") from None
            self._down_until = time.monotonic() + REFUSED_S
            if structlog.is_configured():  # a command without a log prints the error
                logger.warning("bucket_failed", bucket=self._address.bucket, request=request, reason=reason)
            raise StoreDownError(f"the bucket of files can't be used ({reason})") from None


class BucketWriter:
    """An upload on its way into a bucket."""

    def __init__(self, target: Bucket, folder: Path, key: str) -> None:
        self._target = target
        self._key = key
        self._is_put = False
        with local_errors():
            self._file = cast("IO[bytes]", tempfile.TemporaryFile(dir=folder))  # noqa: SIM115 - closed by finish or abort

    def write(self, data: bytes | bytearray | memoryview) -> None:
        with local_errors():
            self._file.write(data)

    def finish(self) -> None:
        with local_errors():
            self._file.flush()
        self._is_put = True  # also if the answer is lost
        self._target.put_file(self._key, self._file)
        self._file.close()

    def abort(self) -> bool:
        with suppress(OSError):
            self._file.close()
        return not self._is_put


def _client(address: BucketAddress) -> S3Store:
    """The library's client. What is not given here it finds in AWS's variables, such as the role of the machine."""
    keys = {name.lower(): value for name, value in bucket_keys().items()}
    place = {"endpoint": address.endpoint, "region": address.region}
    return S3Store(
        address.bucket,
        prefix=address.prefix or None,
        config=cast("S3Config", {**keys, **{name: value for name, value in place.items() if value}}),
        client_options={
            "connect_timeout": timedelta(seconds=CONNECT_S),
            "timeout": timedelta(seconds=REQUEST_S),
            "allow_http": (address.endpoint or "").startswith("http://"),
        },
        retry_config={
            "max_retries": MAX_RETRIES,
            "retry_timeout": timedelta(seconds=RETRY_S),
            "backoff": {"init_backoff": timedelta(seconds=0.1), "max_backoff": timedelta(seconds=2), "base": 2},
        },
    )


def _reason(text: str) -> str:
    """The reason of an error in a few words: its text is many lines, with the answer and the address."""
    if NO_KEYS in text:
        return "no keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    for pattern in (CODE, STATUS):
        if found := pattern.search(text):
            return found[1]
    return without_secrets(text.partition("\n")[0].rpartition(" - ")[2])[:MAX_REASON_CHARS]

"""The code of an earlier commit in a temporary folder: what a change is compared with, on the same machine in the same run."""

import io
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.servers.bellwire import ROOT, StartFailed

WIRE = "a061731a848d760ddfffc356f691651116c013c1"  # the last commit whose only wire is Tornado's


@contextmanager
def earlier(commit: str = WIRE) -> Iterator[Path]:
    """Extract a commit and return its folder; raise StartFailed where the repository's history is missing."""
    packed = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True)
    if packed.returncode:
        raise StartFailed(f"the commit {commit[:7]} can't be extracted: {packed.stderr.decode().strip()}")
    with tempfile.TemporaryDirectory(prefix="bellwire-earlier-") as folder:
        with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
            archive.extractall(folder, filter="data")
        yield Path(folder)

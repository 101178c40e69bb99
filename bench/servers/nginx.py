"""nginx that serves a folder by sendfile: the floor of downloads."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.servers.bellwire import wait_for
from bench.servers.processes import free_port, launch, listens, stop

CONFIGURATION = """
daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    server {{ listen 127.0.0.1:{port}; root {root}; }}
}}
"""


@contextmanager
def nginx(root: Path) -> Iterator[int]:
    """Serve a folder; yields the port. The folder must be readable for the user who runs nginx."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as output:
        configuration = CONFIGURATION.format(port=port, root=root)
        if os.geteuid() == 0:  # else its workers change to a user who may not read the folder
            configuration = "user root;" + configuration
        (Path(folder) / "nginx.conf").write_text(configuration)
        process: subprocess.Popen[bytes] = launch(["nginx", "-p", folder, "-c", "nginx.conf"], Path(folder), output)
        try:
            wait_for(lambda: listens(port), [process], output)
            yield port
        finally:
            stop(process)

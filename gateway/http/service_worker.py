"""The service worker of the page: its script with the list of the files that it keeps.

Each file is named with its hash (Subresource Integrity), so that a browser keeps only files of one version, also while gateways of
two versions serve it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping

import msgspec

from gateway.http.static_files import FILES, LANGUAGES, PAGE_VERSION, TYPES, Static, StaticFile, file_of, word

SCRIPT = "device/service-worker.js"
OTHERS = ("admin/", "docs/", "embed/", "examples/", "shared/icons/", SCRIPT)  # files that are not needed without a connection
KEPT_TYPES = (TYPES[".css"], TYPES[".js"], TYPES[".svg"])
WORDS = ("push.something-new", "push.read-elsewhere")
# A worker has the policy of its own script. It loads no further script, and fetches only from this server.
POLICY = "default-src 'none'; connect-src 'self'"


def service_worker(made_files: Mapping[str, StaticFile]) -> StaticFile:
    """The script. `made_files` are those of the page that are no files of gateway/static."""
    files = {f"/static/{name}": _integrity(file) for name, file in {**FILES, **made_files}.items() if _is_kept(name, file)}
    words = {language: {key: word(language, key) for key in WORDS} for language in LANGUAGES}
    listed = msgspec.json.encode(files)
    constants = {
        "VERSION": PAGE_VERSION,
        "CACHE": f"bellwire-{hashlib.sha256(listed).hexdigest()[:16]}",
        "FILES": files,
        "WORDS": words,
    }
    head = b"".join(b"const %s = %s;\n" % (name.encode(), msgspec.json.encode(value)) for name, value in constants.items())
    return file_of(TYPES[".js"], head + FILES[SCRIPT].plain.body)


def _is_kept(name: str, file: StaticFile) -> bool:
    return file.content_type in KEPT_TYPES and not name.startswith(OTHERS)


def _integrity(file: StaticFile) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(file.plain.body).digest()).decode()}"


class ServiceWorker(Static):
    """The service worker of the page, at the root: it may serve only what is below its own address."""

    async def get(self) -> None:  # type: ignore[override]
        """200 the script."""
        self.set_header("Content-Security-Policy", POLICY)
        self.answer_file(self.settings["service_worker"])

"""The files that browsers load: those of gateway/static, read and compressed once, and the pages among them.

A page loads nothing from other hosts, and its HTML contains no script or style; the content security policy below enforces both.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import html
import re
from collections.abc import Awaitable
from pathlib import Path
from typing import ClassVar, NamedTuple

from gateway.http.base import Handler
from gateway.http.errors import ProblemError
from gateway.http.modules import in_order, words_of
from gateway.http.tokens import COOKIE
from models.identity.token import Actor

FOLDER = Path(__file__).parents[1] / "static"
TYPES = {  # by suffix; other files are not served. Python's mimetypes would depend on the machine's table
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
# Comments of JavaScript: alone on their lines, or after the end of a part of a statement.
COMMENT = re.compile(rb"^[ \t]*(?:/\*\*(?:[^*]|\*(?!/))*\*/|//[^\n]*)$|(?<=[;,{}()\]]) //[^\n]*$", re.M)
COMPRESSED_TYPES = ("image/png",)
HEADERS = {
    "Cache-Control": "no-cache",  # browsers revalidate by ETag, so that a page and its scripts are of one version
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept-Encoding",
}
DOCUMENT_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; connect-src 'self'; font-src 'self'; "
    "manifest-src 'self'; worker-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
}
# Browsers apply the policies of the document that loads these, never their own: a first visit is 5.8 KB smaller without them.
WITHOUT_DOCUMENT_HEADERS = (TYPES[".css"], TYPES[".js"])


class EncodedFile(NamedTuple):
    """The bytes of a file in one content encoding, and their ETag (RFC 9110, section 8.8.3: each encoding has its own)."""

    body: bytes
    etag: str


class StaticFile(NamedTuple):
    """A file of gateway/static. `compressed` is None for a type that is compressed already."""

    content_type: str
    plain: EncodedFile
    compressed: EncodedFile | None


def _encoded(body: bytes) -> EncodedFile:
    return EncodedFile(body, f'"{hashlib.sha256(body).hexdigest()[:32]}"')


def file_of(content_type: str, body: bytes) -> StaticFile:
    """A file with its content encodings."""
    compressed = None if content_type in COMPRESSED_TYPES else _encoded(gzip.compress(body, 9, mtime=0))
    return StaticFile(content_type, _encoded(body), compressed)


def _read(path: Path) -> bytes:
    """Return a file as it is served: a module of the page without its comments, which are a sixth of a first load. Lines keep their
    numbers, for errors that browsers tell. No template literal has a line that begins so. Examples stay as they are."""
    body = path.read_bytes()
    return (
        body
        if path.suffix != ".js" or path.parent.name == "examples"
        else COMMENT.sub(lambda found: b"\n" * found[0].count(b"\n"), body)
    )


FILES = {
    path.relative_to(FOLDER).as_posix(): file_of(TYPES[path.suffix], _read(path))
    for path in sorted(FOLDER.rglob("*"))
    if path.suffix in TYPES
}


class FileHandler(Handler):
    """A route that answers with a file, the same for every caller."""

    access = "public"
    headers: ClassVar[dict[str, str]] = HEADERS | DOCUMENT_HEADERS

    def _limits(self, actor: Actor | None) -> tuple[str, ...]:
        """Files are counted by themselves: those that the service worker keeps leave the page its requests."""
        return ("files",)

    def answer_file(self, file: StaticFile) -> None:
        """200 the file, or 304 if the client's If-None-Match is its ETag."""
        accepts_gzip = file.compressed is not None and _accepts_gzip(self.request.headers.get("Accept-Encoding", ""))
        self._file = file.compressed if file.compressed is not None and accepts_gzip else file.plain
        headers = HEADERS if file.content_type in WITHOUT_DOCUMENT_HEADERS else self.headers
        for header, value in headers.items():
            self.set_header(header, value)
        if self.services.origins:
            self.set_header("Vary", f"{headers['Vary']}, Origin")  # other products load modules from their pages
        self.set_header("Content-Type", file.content_type)
        if accepts_gzip:
            self.set_header("Content-Encoding", "gzip")
        self.answer(self._file.body)

    def compute_etag(self) -> str | None:
        """Tornado's hook: it answers 304 if the client's If-None-Match is the same."""
        return self._file.etag


class Static(FileHandler):
    """A file, by its path in gateway/static. Only the files that were read or made at the start are served."""

    async def get(self, name: str) -> None:
        """200 the file."""
        file = FILES.get(name) or self.settings["made_files"].get(name)
        if file is None and name.startswith("embed"):
            file = (await self._embed_files()).get(name)
        if file is None:
            raise ProblemError("not-found")
        self.answer_file(file)

    def _embed_files(self) -> Awaitable[dict[str, StaticFile]]:
        """The files for other products, which are made on a thread when the first of them is requested: this takes 0.2 s."""
        if "embed_files" not in self.settings:
            self.settings["embed_files"] = asyncio.ensure_future(asyncio.to_thread(self.settings["make_embed_files"]))
        files: Awaitable[dict[str, StaticFile]] = self.settings["embed_files"]
        return files


class Example(Static):
    """An example for developers."""

    async def get(self, name: str) -> None:
        """200 the file."""
        await super().get(f"examples/{name}")


class Page(Static):
    """A page with an address of its own."""

    file: ClassVar[str]

    async def get(self) -> None:  # type: ignore[override]
        """200 the page."""
        await super().get(self.file)


class Docs(Page):
    """The page of the API's documentation, where calls can be tried."""

    file = "docs/index.html"


FIRST_MODULES = ("app.js", "account/sign-in.js", "shell.js")
LANGUAGES = sorted(name.removeprefix("words/").removesuffix(".js") for name in FILES if name.startswith("words/"))


def _first_words() -> dict[str, StaticFile]:
    """The words that the sign-in and the chats need, by their paths: a fifth of all. The page loads all with a module that is
    loaded later."""
    sources = {name: file.plain.body.decode() for name, file in FILES.items() if name.endswith(".js")} | {"shared/limits.js": ""}
    seen: set[str] = set()
    modules = [sources[module] for name in FIRST_MODULES for module in in_order(name, sources, seen)]
    all_words = {language: sources[f"words/{language}.js"] for language in LANGUAGES}
    return {
        f"first/words/{language}.js": file_of(TYPES[".js"], words_of(words, modules).encode())
        for language, words in all_words.items()
    }


FILES |= _first_words()
PAGE_VERSION = hashlib.sha256("".join(file.plain.etag for file in FILES.values()).encode()).hexdigest()[:16]
PLACE_IN_INDEX = re.compile(r"\{([a-z.-]+)\}")
SIGN_IN_PRELOADS = re.compile(r'<link rel="modulepreload" href="/static/(?:account/.*|shared/dialog|shared/form)\.js">\n')


def _index_in(language: str, *, with_session: bool) -> StaticFile:
    """The chat page, which loads the words of a language, and knows its version and all languages. Without a session it also loads
    the sign-in at once."""
    index = FILES["index.html"]
    values = {"language": language, "languages": " ".join(LANGUAGES), "version": PAGE_VERSION}
    body = PLACE_IN_INDEX.sub(
        lambda place: values.get(place[1]) or html.escape(word(language, place[1])), index.plain.body.decode()
    )
    return file_of(index.content_type, (SIGN_IN_PRELOADS.sub("", body) if with_session else body).encode())


def word(language: str, key: str) -> str:
    """The text of a key in the words of a language."""
    words = FILES[f"words/{language}.js"].plain.body.decode()
    found = re.search(rf'^  "?{re.escape(key)}"?: "(.*)",$', words, re.MULTILINE)
    assert found is not None, key
    return found[1]


INDEX_BY_LANGUAGE = {language: _index_in(language, with_session=False) for language in LANGUAGES}
INDEX_WITH_SESSION = {language: _index_in(language, with_session=True) for language in LANGUAGES}


class Index(FileHandler):
    """The chat page."""

    headers = (
        HEADERS
        | DOCUMENT_HEADERS
        | {"Vary": "Accept-Encoding, Accept-Language, Cookie", "Bellwire-Version": PAGE_VERSION}  # the service worker reads it
    )

    async def get(self) -> None:
        """200 the page, in the language that suits its reader best."""
        index = INDEX_BY_LANGUAGE if self.get_cookie(COOKIE) is None else INDEX_WITH_SESSION
        self.answer_file(index[self.preferred_language(index) or "en"])


def _accepts_gzip(accepted: str) -> bool:
    """Whether an Accept-Encoding header accepts gzip (RFC 9110, section 12.5.3; weight 0 means no)."""
    for part in accepted.lower().split(","):
        coding, _, weight = part.partition(";")
        if coding.strip() in ("gzip", "*"):
            return weight.strip().removeprefix("q=").strip("0.") != "" if weight else True
    return False

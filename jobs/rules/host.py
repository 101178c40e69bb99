"""The decisions about notifications of the host's, and their words. Pure functions of the host's type and call, and of facts."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

import msgspec

from jobs.rules.decisions import Content, Decision, decide
from jobs.rules.facts import Facts
from jobs.rules.precedence import Case
from jobs.rules.templates import BadTemplateError, Place, problems, render
from models.log.checkpoint import CheckpointMovedError
from models.notices.host_notices import CONVERSATION, Notice
from models.notices.host_types import Definition
from models.notices.notification import MAX_TITLE_CHARS
from models.notices.notifying import HOST_PREFIX

DEFAULT_LOCALE = "en"
MAX_BODY_CHARS = 2_000
MAX_URL_CHARS = 2_000
MAX_RENDERED = 200
URL_CHARS = "%/:=&?~#+!$,;'@()*[]"  # that are not escaped
EXPECTED_URL = f"must be an http or https address, or a path that begins with /, of at most {MAX_URL_CHARS} characters"
SAMPLES = {"n": 2, "others": 1}
GROUPING, SINGLE_GROUPING = "host:{}", "host:#{}"  # the beginning is what jobs/insight/origins.py knows them by


class HostNoticeError(ValueError):
    """A notification that can't be worded. The text names the template."""


class HostWords:
    """The words of one call, in any locale. The MAX_RENDERED used last are kept, so that most receivers share theirs."""

    def __init__(self, definition: Definition, values: Mapping[str, Any]) -> None:
        self._words = {tag.lower(): words for tag, words in definition.words.items()}
        self._values = values
        self._rendered = lru_cache(MAX_RENDERED)(self._render)

    def tag(self, locale: str) -> str:
        """Return the locale that has words for a user's: `de-AT`, else `de`, else English."""
        tag = locale.lower()
        while tag and tag not in self._words:
            tag = tag.rpartition("-")[0]
        return tag or DEFAULT_LOCALE

    def rendered(self, tag: str, n: int) -> RenderedWords:
        """Return the words for so many causes. Raises HostNoticeError."""
        return RenderedWords(n, *self._rendered(tag, n))

    def _render(self, tag: str, n: int) -> tuple[str, str]:
        words = self._words[tag]
        values = {**self._values, "n": n, "others": n - 1}
        part = "title_more" if n > 1 and words.title_more is not None else "title"
        title = " ".join(self._text(tag, part, getattr(words, part), values, MAX_TITLE_CHARS + 1).split())
        if not title:
            raise HostNoticeError(f"words.{tag}.{part}: is empty")
        if len(title) > MAX_TITLE_CHARS:
            title = title[: MAX_TITLE_CHARS - 1] + "…"
        return title, self._text(tag, "body", words.body or "", values, MAX_BODY_CHARS).strip()

    def _text(self, tag: str, part: str, source: str, values: Mapping[str, Any], max_chars: int) -> str:
        try:
            return render(source, values, max_chars)
        except BadTemplateError as error:
            raise HostNoticeError(f"words.{tag}.{part}: {error}") from error


class CountMovedError(CheckpointMovedError):
    """The number of causes is not the one that the words were rendered for.

    A template may take long, and while a transaction appends to the log, everybody's sending waits. So nothing is rendered in one:
    it is rolled back, and a later run renders anew. The number may become any (the user reads, other calls count), so rendering for
    the next few would not do.
    """


class RenderedWords(NamedTuple):
    """The words of one call for one number of causes."""

    causes: int
    title: str
    body: str

    def filled(self, count: int, values: Mapping[str, str]) -> tuple[str, str]:
        """Return title and body. The values are those of the call. Raises CountMovedError."""
        if count != self.causes:
            raise CountMovedError
        return self.title, self.body


def values_of(notice: Notice, actor_name: str | None) -> dict[str, Any]:
    """Return the values of a call's templates: those of the host, and `actor`, the name of the user who did it."""
    values: dict[str, Any] = msgspec.json.decode(notice.data)
    return values if actor_name is None else {"actor": actor_name, **values}


def content_of(notice: Notice, definition: Definition) -> Content:
    """Return the content of the notifications of one call, without words."""
    values: dict[str, Any] = msgspec.json.decode(notice.data)
    about = {"conversation": int(notice.receivers)} if notice.audience == CONVERSATION else {}
    return Content(
        by=notice.actor,
        cause=f"{HOST_PREFIX}{notice.event}",
        grouping=grouping_of(notice, definition, values),
        data=msgspec.json.encode({**about, **values}),
        values={},
        priority="urgent" if definition.urgent else "normal",
    )


def grouping_of(notice: Notice, definition: Definition, values: Mapping[str, Any]) -> str:
    """Return the grouping: the same for the same type and `group_by` values, one of its own for a type that is not grouped."""
    if not definition.is_grouped:
        return SINGLE_GROUPING.format(notice.event)
    key = [notice.type, *(values.get(name) for name in definition.group_by or ())]
    return GROUPING.format(hashlib.sha256(msgspec.json.encode(key, order="sorted")).hexdigest()[:40])


def url_of(notice: Notice, definition: Definition, values: Mapping[str, Any]) -> str | None:
    """Return the address that the notifications of one call lead to. Raises HostNoticeError."""
    if notice.url is not None or definition.url is None:
        return notice.url
    try:
        url = safe_url(render(definition.url, values, MAX_URL_CHARS + 1))
    except BadTemplateError as error:
        raise HostNoticeError(f"url: {error}") from error
    if url is None:
        raise HostNoticeError(f"url: {EXPECTED_URL}")
    return url


def safe_url(text: str) -> str | None:
    """Return an address with its unusual characters escaped; None if it is not one of EXPECTED_URL."""
    url = quote(text.strip(), safe=URL_CHARS)
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    is_whole = parts.scheme in ("http", "https") and bool(parts.hostname)
    is_path = url.startswith("/") and not url.startswith("//")
    return url if (is_whole or is_path) and len(url) <= MAX_URL_CHARS else None


def decide_host(content: Content, notice: Notice, user: int, readers: Collection[int], facts: Facts) -> Decision:
    """Decide for one receiver. `readers` are those who have read what it is about, of a call with `unless_read`."""
    blocked = notice.actor is not None and facts.is_blocked(user, notice.actor, notice.event)
    return decide(notice.type, content, Case(user, has_read=user in readers, blocked=blocked), facts)


def invalid_definition(definition: Definition) -> list[tuple[str, str]]:
    """Return (field, what is wrong and in which line) of the templates that can't be rendered."""
    return [*_useless(definition), *problems(_places(definition), SAMPLES)]


def _useless(definition: Definition) -> Iterator[tuple[str, str]]:
    """Yield (field, what is expected) of titles that are always empty, and of an address that is none with any values."""
    for field, source in _places(definition):
        if "title" in field and not source.strip():
            yield field, "must not be empty"
    if definition.url is not None and not _can_be_url(definition.url.strip()):
        yield "url", EXPECTED_URL


def _can_be_url(source: str) -> bool:
    beginning, is_template, _ = source.partition("{")
    if not is_template:
        return safe_url(source) is not None
    beginning = beginning.lower()
    return not beginning.startswith("//") and any(
        beginning.startswith(start) or start.startswith(beginning) for start in ("/", "http://", "https://")
    )


def _places(definition: Definition) -> Iterator[Place]:
    for tag, words in definition.words.items():
        for part in ("title", "title_more", "body"):
            if (source := getattr(words, part)) is not None:
                yield Place(f"words.{tag}.{part}", source)
    if definition.url is not None:
        yield Place("url", definition.url)

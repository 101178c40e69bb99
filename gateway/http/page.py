"""Small pages without scripts, for people who follow a link: in the language that their browser prefers."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup

from gateway.http.base import Handler
from gateway.http.errors import ProblemError
from jobs.mail import languages
from jobs.mail.languages import Language

PAGE = Markup("""<!doctype html>
<html lang="{language.tag}" dir="{language.direction}"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><title>{title}</title>
<h1>{title}</h1>
<div>{body}</div>
</html>
""")
PARAGRAPH, LINK = Markup("<p>{}</p>\n"), Markup('<a href="{0}">{0}</a>')
ERRORS = {404: "not_found", 422: "broken_link"}  # statuses with words of their own


class PageHandler(Handler):
    """A handler whose errors are pages for those who accept HTML, as browsers do that open a link, and problems for others."""

    access = "public"

    @property
    def language(self) -> Language:
        """The language of the page."""
        return languages.of(self.preferred_language(languages.tags()))

    def page(self, title: str, paragraphs: Iterable[str]) -> bytes:
        """Return a page, and set its headers. What is not Markup is escaped."""
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("Content-Security-Policy", "default-src 'none'; form-action 'self'; frame-ancestors 'none'")
        self.set_header("Referrer-Policy", "no-referrer")
        body = Markup("").join(map(PARAGRAPH.format, paragraphs))
        return PAGE.format(language=self.language, title=title, body=body).encode()

    def link(self, path: str) -> Markup:
        """Return a link to a page of this installation."""
        return LINK.format(f"{self.services.settings.url}/{path}")

    def error_body(self, problem: ProblemError) -> bytes:
        """Return a page with the words for people, or the problem."""
        if "text/html" not in self.request.headers.get("Accept", ""):
            return super().error_body(problem)
        key, language = ERRORS.get(problem.status, "failed"), self.language
        path = "#/settings" if key == "broken_link" else ""
        return self.page(language.text(f"page.{key}"), [language.html(f"page.{key}_next", url=self.link(path))])


class NotFound(PageHandler):
    """The handler of every path that has no route. Those of the API are problems for everybody: no person follows links there."""

    def prepare(self) -> None:
        """404, for any method."""
        raise ProblemError("not-found")

    def error_body(self, problem: ProblemError) -> bytes:
        """Return a page, or the problem."""
        return problem.body() if self.request.path.startswith("/api/") else super().error_body(problem)

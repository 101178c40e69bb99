"""The script that other products load into their pages, `embed.js`: the page's own modules in one file.

Modules that it loads later, such as the list of conversations, are below `embed/` as they are. What they import from modules that
are in the script already is the same there: a file below `embed/` passes it on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from posixpath import dirname, relpath

import msgspec

from gateway.http.modules import IMPORT, in_order, path_of, words_of
from gateway.http.static_files import FILES, LANGUAGES, TYPES, StaticFile, file_of

ENTRY, MADE, LIMITS = "embed/elements.js", "embed/made.js", "shared/limits.js"
STYLES, OWN_STYLES = ("shared/palette.css", "shared/style.css"), ("embed/elements.css",)
LIMITED = ("NewMessage", "MessageEdit", "Upload")  # bodies that a chat sends
EXPORT = re.compile(r"^export (?=(?:async function|function|class|const) (\w+))", re.M)
LATER_WORDS = (  # beginnings of words that a chat shows only with modules that are loaded later
    *("problem.xsrf", "problem.file-lost", "problem.insufficient-storage"),
    *("invalid.", "composer.confirm", "composer.priority.important", "composer.priority.urgent", "search.message."),
    *("message.delete-", "message.react-with", "message.read-by", "message.unread-by"),
)
CSS_COMMENT, INDENT = re.compile(r"/\*.*?\*/\n?", re.S), re.compile(r"^[ \t]+", re.M)
CSS_SPACE = re.compile(r" *([{;,]) *|(:) |;? *(\})")
STRING = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'')
STRING_OR_SIGN = re.compile(STRING.pattern + r"| ?(=>|[=!]==?|[<>]=?|&&|\|\||\?\?=?|[-+*%]=|[?:,;{}()=\[\]|&*%]) ?")
END_OF_PART = re.compile(r"(?<=[,;{(\[])\n")


def embed_files(limits: StaticFile) -> dict[str, StaticFile]:
    """The files by their paths below /static. `limits` is the module of that name."""
    sources = {name: file.plain.body.decode() for name, file in FILES.items() if name.endswith(".js")}
    sources |= {LIMITS: _limits(limits), MADE: _made()}
    order = list(in_order(ENTRY, sources, set()))
    files = {f"embed/{name}": file for name, file in FILES.items() if name.endswith(".js") and not name.startswith("embed/")}
    files |= {f"embed/{name}": _script(_passing_on(name, sources[name])) for name in order}
    files |= {f"embed/words-{language}.js": _words(language, [sources[name] for name in order]) for language in LANGUAGES}
    return files | {"embed.js": _script(_bundle(order, sources))}


def _script(text: str) -> StaticFile:
    return file_of(TYPES[".js"], text.encode())


def _limits(limits: StaticFile) -> str:
    before, _, values = limits.plain.body.decode().partition(" = ")
    chosen = {name: fields for name, fields in msgspec.json.decode(values.rstrip(";\n")).items() if name in LIMITED}
    return f"{before} = {msgspec.json.encode(chosen).decode()};\n"


def _made() -> str:
    """The module with the style sheets of a chat, and the languages that there are words in."""
    values = {"STYLES": _css(STYLES), "OWN_STYLES": _css(OWN_STYLES), "LANGUAGES": LANGUAGES}
    return "".join(f"export const {name} = {msgspec.json.encode(value).decode()};\n" for name, value in values.items())


def _css(names: Sequence[str]) -> str:
    """Style sheets without comments and spaces. Lines stay: `adapted` of the elements looks for some."""
    text = CSS_COMMENT.sub("", "".join(FILES[name].plain.body.decode() for name in names))
    return INDENT.sub("", CSS_SPACE.sub(lambda found: found[1] or found[2] or found[3], text))


def _bundle(order: list[str], sources: Mapping[str, str]) -> str:
    """One module with all of them: each is a function, which returns what it exports. The last one's exports are the script's."""
    parts = [f'$["{_key(name)}"] = (() => {{\n{_body(name, sources[name])}}})();\n' for name in order]
    exported = (
        f'export const {{ {", ".join(_exports(sources[order[-1]]))} }} = $["{_key(order[-1])}"];\nexport {{ $ as modules }};\n'
    )
    return "const $ = {};\n" + "".join(parts) + exported


def _body(name: str, source: str) -> str:
    def from_bundle(found: re.Match[str]) -> str:
        names = " ".join((found[1] or "").split()).replace(" as ", ": ")
        return f'const {{ {names} }} = $["{_key(path_of(name, found[2]))}"];\n' if names else ""

    body = INDENT.sub("", EXPORT.sub("", IMPORT.sub(from_bundle, source)))
    lines = map(_compact, re.sub(r"\n{2,}", "\n", f"{body}\nreturn {{ {', '.join(_exports(source))} }};\n").split("\n"))
    return END_OF_PART.sub("", "\n".join(lines))


def _compact(line: str) -> str:
    """A line without spaces around signs. One with a template, which ends on it, or maybe a regular expression stays as it is."""
    if "`" in line or "/" in STRING.sub("", line):
        return line
    return STRING_OR_SIGN.sub(lambda found: found[1] or found[0], line)


def _key(name: str) -> str:
    """The name of a module inside the script."""
    return name.removesuffix(".js")


def _exports(source: str) -> list[str]:
    return EXPORT.findall(source)


def _passing_on(name: str, source: str) -> str:
    """A module with the exports of one that is in the script."""
    up = relpath("embed.js", dirname(f"embed/{name}"))
    return f'import {{ modules }} from "{up}";\nexport const {{ {", ".join(_exports(source))} }} = modules["{_key(name)}"];\n'


def _words(language: str, sources: list[str]) -> StaticFile:
    """The words that the modules of the script name. The others are loaded with the modules that are loaded later."""
    return _script(words_of(FILES[f"words/{language}.js"].plain.body.decode(), sources, LATER_WORDS))

"""The modules of the page as texts: what they import, and the words that they name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from posixpath import dirname, join, normpath

IMPORT = re.compile(r'^import (?:\{([^}]*)\} from )?"([^"]+)";\n', re.M)
LITERAL = re.compile(r'"([\w.-]+)"|`([\w.-]+\.)\$\{')  # a key of words, or the beginning of keys
ENTRY_OF_WORDS = re.compile(r'^  "?([\w.-]+)"?:(?:.|\n(?=    |  \}))*\n', re.M)


def in_order(name: str, sources: Mapping[str, str], seen: set[str]) -> Iterator[str]:
    """Yield a module after those that it imports at its top, without those in `seen`, to which all are added."""
    if name in seen:
        return
    seen.add(name)
    for found in IMPORT.finditer(sources[name]):
        yield from in_order(path_of(name, found[2]), sources, seen)
    yield name


def path_of(importer: str, imported: str) -> str:
    """Return the path of a module as another one names it."""
    return normpath(join(dirname(importer), imported))


def words_of(words: str, sources: Iterable[str], later: tuple[str, ...] = ()) -> str:
    """Return a module with those of the words whose keys some modules name, without those whose keys begin with one of `later`."""
    literals = [found for source in sources for found in LITERAL.findall(source)]
    keys, beginnings = {"direction", *(key for key, _ in literals)}, tuple({found for _, found in literals} - {""})
    named = [found for found in ENTRY_OF_WORDS.finditer(words) if found[1] in keys or found[1].startswith(beginnings)]
    entries = [re.sub(r"^[ \t]+", "", found[0], flags=re.M) for found in named if not found[1].startswith(later)]
    return "export default {\n" + "".join(entries) + "};\n"

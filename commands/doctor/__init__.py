"""Check settings, data folder, disk, clock, store, schema, background work, files, queue, mail, host's keys and port; print a
line each.

ok: nothing to do. warn: it works, but needs attention. FAIL: it does not work; the exit status is 1. Nothing is changed.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from commands.doctor import files, place, reach, stored
from commands.doctor.finding import Finding, fail
from conf import Settings, SettingsError, load

Check = Callable[[Settings], Iterable[Finding]]
CHECKS: dict[str, Check] = {
    "settings": place.settings,
    "data folder": place.data_folder,
    "disk": place.disk,
    "clock": place.clock,
    "store": stored.store,
    "files": files.files,
    "queue": stored.queue,
    "mail": reach.mail,
    "host's tokens": reach.host_tokens,
    "port": reach.port,
}


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the check that takes long."""
    parser.add_argument("--checksums", action="store_true", help="read all files, and compare their bytes with their checksums")


def run(args: Namespace) -> int:
    """Print each finding at once. Return 1 when a check fails."""
    levels = set()
    for finding in _findings(CHECKS | {"files": partial(files.files, checksums=args.checksums)}):
        print(finding, flush=True)
        levels.add(finding.level)
    return 1 if "FAIL" in levels else 0


def _findings(checks: Mapping[str, Check]) -> Iterable[Finding]:
    try:
        settings = load()
    except SettingsError as error:
        for line in str(error).splitlines():
            yield fail("settings", line)
        return
    for name, check in checks.items():
        try:
            yield from check(settings)
        except Exception as error:  # a defect in one check must not hide the others
            yield fail(name, f"the check itself failed: {type(error).__name__}: {error}")

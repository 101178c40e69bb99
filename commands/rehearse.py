"""Apply the notification rules to the stored log, and count their decisions. Nothing is written or sent.

Uses the current preferences, and the presence at the time of each event. Useful before and after a change of jobs/rules/rules.py.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from commands import opening
from jobs.insight.rehearsal import rehearse
from jobs.rules.rules import RULES
from models.notices import host_types


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the rules to apply."""
    named = ", ".join(rule.name for rule in RULES)
    parser.add_argument(
        "rules", nargs="*", metavar="RULE", help=f"the rules to apply (default: all): {named}, and the host's notification types"
    )


def run(args: Namespace) -> int:
    """Print a table of rule, decision, e-mail and number of users."""
    named = {rule.name: rule for rule in RULES}
    with opening.store(opening.settings()):
        opening.require_current_schema()
        of_host = host_types.names()
        unknown = [name for name in args.rules if name not in (*named, *of_host)]
        if unknown:
            print(f"run.py rehearse: no rule {unknown[0]!r}: there are {', '.join([*named, *of_host])}", file=sys.stderr)
            return 2
        chosen = [named[name] for name in args.rules if name in named] if args.rules else RULES
        decided = rehearse(chosen, _show, [name for name in args.rules if name in of_host] if args.rules else None)
    width = max([10, *(len(rule) for rule, _, _ in decided)])
    print(f"{'rule':<{width}} {'in-app':<24} {'e-mail':<8} {'users':>10}")
    for (rule, in_app, email), count in sorted(decided.items()):
        print(f"{rule:<{width}} {in_app:<24} {email:<8} {count:>10,}")
    return 0


def _show(position: int, newest: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{position:,} of {newest:,} events", end="\n" if position >= newest else "", file=sys.stderr, flush=True)

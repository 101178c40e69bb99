"""Apply the notification rules to the stored log, and count their decisions. Nothing is written or sent.

Uses the current preferences, and the presence at the time of each event. Useful before and after a change of jobs/rules/rules.py.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from commands import opening
from jobs.insight.rehearsal import rehearse
from jobs.rules.rules import RULES


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the rules to apply."""
    parser.add_argument(
        "rules", nargs="*", metavar="RULE", help=f"the rules to apply (default: all): {', '.join(rule.name for rule in RULES)}"
    )


def run(args: Namespace) -> int:
    """Print a table of rule, decision, e-mail and number of users."""
    named = {rule.name: rule for rule in RULES}
    unknown = [name for name in args.rules if name not in named]
    if unknown:
        print(f"run.py rehearse: no rule {unknown[0]!r}: there are {', '.join(named)}", file=sys.stderr)
        return 2
    with opening.store(opening.settings()):
        opening.require_current_schema()
        decided = rehearse([named[name] for name in args.rules] or RULES, _show)
    print(f"{'rule':<10} {'in-app':<24} {'e-mail':<8} {'users':>10}")
    for (rule, in_app, email), count in sorted(decided.items()):
        print(f"{rule:<10} {in_app:<24} {email:<8} {count:>10,}")
    return 0


def _show(position: int, newest: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{position:,} of {newest:,} events", end="\n" if position >= newest else "", file=sys.stderr, flush=True)

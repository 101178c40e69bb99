"""`python -m tests.journeys.replay [--speed MESSAGES_PER_S|max] [--conversations N] [--away SHARE]`

Play recorded conversations through a fresh server and print a report. The exit status is 1 when a check failed.
"""

from __future__ import annotations

import argparse
import sys

from tests.journeys.replay.replay import replay


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.journeys.replay", description=__doc__)
    parser.add_argument("--speed", default="max", help="messages a second, or max (default)")
    parser.add_argument("--conversations", type=int, default=None, help="how many (default: all 7,168)")
    parser.add_argument("--away", type=float, default=0.05, help="share of the people who do not poll (default 0.05)")
    arguments = parser.parse_args()
    speed = None if arguments.speed == "max" else float(arguments.speed)
    report = replay(arguments.conversations, speed, arguments.away)
    print(report)
    return 0 if report.exact else 1


if __name__ == "__main__":
    sys.exit(main())

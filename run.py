#!/usr/bin/env python3
"""Bellwire's command line. `run.py --help` lists the commands; without one it serves."""

import sys

from commands.line import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

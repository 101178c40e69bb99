"""Benchmarks: what Bellwire costs, told as ratios to what the same machine does with nothing behind it.

`python -m bench` runs them all and prints one table; `python -m bench NAME ...` runs some;
`python bench/replay.py` plays recorded conversations through a server and checks that every copy arrived.
"""

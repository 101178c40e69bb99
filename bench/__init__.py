"""Benchmarks: the speed and the cost of Bellwire, beside a floor measured on the same machine in the same run.

`python -m bench` runs all benchmarks and writes one JSON file under `bench/results/`; `python -m bench NAME ...` runs some of them.
`python -m bench report` renders `bench/RESULTS.md` from these files.
"""

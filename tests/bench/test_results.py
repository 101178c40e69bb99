"""Result files are written once and read back as they were."""

import math
from pathlib import Path

import pytest

from bench import report, results
from bench.benchmark import Bound, Figure, Line, Round
from bench.results import BenchmarkResult, Machine, Run, Settings


def run(started: str, *names: str) -> Run:
    """Return a run of these benchmarks."""
    lines = {"p50": Line("a title", "ms", Bound(2, at_least=True))}
    result = BenchmarkResult(lines, [Round({"p50": Figure(1.5, 1.0)}, 0, "", ["a remark"], 3.0)])
    settings = Settings(rounds=1, quick=False, limits="on", durability="full")
    return Run(started, 4.0, Machine("a CPU", 2, 8.0, "Linux", 0.1, 0.2), {}, settings, dict.fromkeys(names, result))


def test_a_file_is_named_by_time_and_benchmarks_and_reads_as_what_was_written(tmp_path: Path) -> None:
    written = run("2026-01-02T03:04:05Z", "sends", "one")
    path = results.write(written, tmp_path)
    assert path.name == "2026-01-02T030405Z-sends-one.json"
    assert results.read(path) == written


def test_a_file_is_never_replaced(tmp_path: Path) -> None:
    results.write(run("2026-01-02T03:04:05Z", "one"), tmp_path)
    with pytest.raises(FileExistsError):
        results.write(run("2026-01-02T03:04:05Z", "one"), tmp_path)


def test_a_value_that_is_no_number_reads_as_none(tmp_path: Path) -> None:
    broken = run("2026-01-02T03:04:05Z", "one")
    broken.benchmarks["one"].rounds[0].figures["p50"] = Figure(math.nan, 1.0)
    assert results.read(results.write(broken, tmp_path)).benchmarks["one"].rounds[0].figures["p50"].measured is None


def test_the_newest_run_is_first(tmp_path: Path) -> None:
    for day in ("01", "03", "02"):
        results.write(run(f"2026-01-{day}T00:00:00Z", "one"), tmp_path)
    assert [each.started[8:10] for each in results.read_all(tmp_path)] == ["03", "02", "01"]


def test_the_page_is_what_the_result_files_render_to() -> None:
    assert report.PAGE.read_text() == report.page()

"""The table: ratios of medians, and bounds judged by the right value."""

from bench.figures import Benchmark, Bound, Line, Outcome, Scale, table_rows, text_beneath


async def _nothing(scale: Scale) -> Outcome:
    return Outcome({})


def rows(line: Line, *values: tuple[float, float | None]) -> list[str]:
    """Return the cells of a one-line table."""
    row = table_rows(Benchmark("name", {"key": line}, _nothing), [Outcome({"key": value}) for value in values])[0]
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_the_ratio_is_that_of_the_medians() -> None:
    line = Line("sends", "/s", Bound(0.5, least=True), Bound(0.8, least=True))
    cells = rows(line, (4000, 8000), (5000, 7000), (6000, 9000))
    assert cells[1:] == ["5,000 /s (4,000–6,000)", "8,000 /s (7,000–9,000)", "0.62", "≥ 0.5 ✓", "≥ 0.8 ✗"]


def test_a_line_without_a_floor_is_judged_by_what_was_measured() -> None:
    cells = rows(Line("state", "ms", Bound(30, "measured"), Bound(10, "measured")), (12.345, None))
    assert cells[1:] == ["12.3 ms", "–", "–", "≤ 30 ms ✓", "≤ 10 ms ✗"]


def test_nothing_measured_keeps_no_bound() -> None:
    assert rows(Line("state", "ms", Bound(30, "measured")), (float("nan"), None))[4] == "≤ 30 ms ✗"


def test_text_beneath_the_table_is_made_of_medians_also_of_what_is_no_line() -> None:
    benchmark = Benchmark("name", {}, _nothing, lambda medians: f"{medians['cost']:g}")
    assert text_beneath(benchmark, [Outcome({"cost": (value, None)}) for value in (3, 1, 2)]) == ["2"]
    assert text_beneath(Benchmark("name", {}, _nothing), [Outcome({})]) == []

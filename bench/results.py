"""Result files: one JSON file for each run, with every round's raw figures. Files are written once and never changed."""

from pathlib import Path

import msgspec

from bench.benchmark import Line, Round

FOLDER = Path(__file__).resolve().parent / "results"


class Machine(msgspec.Struct):
    """The machine of a run; disk times are medians in milliseconds."""

    cpu: str
    cores: int
    memory_gb: float
    kernel: str
    fdatasync_ms: float
    sqlite_commit_ms: float


class Settings(msgspec.Struct):
    """The settings of a run. Bellwire runs with its default settings; `limits` is its default of BELLWIRE_RATE_LIMITS."""

    rounds: int
    quick: bool
    limits: str
    durability: str


class BenchmarkResult(msgspec.Struct):
    """All rounds of one benchmark; `errors` has the text of each round that ended in an exception."""

    lines: dict[str, Line]
    rounds: list[Round]
    errors: list[str] = []

    @property
    def failed(self) -> int:
        """The failed requests of all rounds."""
        return sum(each.failed for each in self.rounds)


class Run(msgspec.Struct):
    """One run of `python -m bench`; `started` is RFC 3339 in UTC."""

    started: str
    seconds: float
    machine: Machine
    versions: dict[str, str]
    settings: Settings
    benchmarks: dict[str, BenchmarkResult]

    @property
    def succeeded(self) -> bool:
        """Whether no request and no round failed."""
        return not any(result.failed or result.errors for result in self.benchmarks.values())


def write(run: Run, folder: Path = FOLDER) -> Path:
    """Write a run's file, named by its start and its benchmarks; raise FileExistsError rather than replace one."""
    folder.mkdir(exist_ok=True)
    names = "-".join(run.benchmarks) if len(run.benchmarks) <= 4 else f"{len(run.benchmarks)}-benchmarks"
    path = folder / f"{run.started.replace(':', '')}-{names}.json"
    with path.open("xb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(run), indent=1) + b"\n")
    return path


def read(path: Path) -> Run:
    """Return the run of a file."""
    return msgspec.json.decode(path.read_bytes(), type=Run)


def read_all(folder: Path = FOLDER) -> list[Run]:
    """Return all runs, the newest first."""
    return sorted(map(read, folder.glob("*.json")), key=lambda run: run.started, reverse=True)

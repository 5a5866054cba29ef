"""Results of the suite on disk, one file a run, and what earlier runs say of this one.

A file is written anew after each part, so that a run that ends half-way leaves what it
has, marked as incomplete. Runs are compared with complete and partial ones of the same
form on a machine that looks the same; the folder keeps the newest `MAX_RUNS`.
"""

import datetime as dt
import os
import platform
import statistics
from pathlib import Path

import msgspec

from cli.bench.parts import number
from psp.errors import ConfigError

MAX_RUNS = 200
"""Files kept; the oldest is removed for a new one."""

_COMPARED = 5
"""Earlier runs whose median counts: one of them may have met a bad mood."""


class Measured(msgspec.Struct, frozen=True):
    """What one part gave.

    Attributes:
        figures: By name.
        seconds: How long it took.
        error: Why it ended early; None if it did not.
    """

    figures: dict[str, object]
    seconds: float
    error: str | None = None


class Machine(msgspec.Struct, frozen=True):
    """Where a run was made: figures of different machines are not compared."""

    processor: str
    cores: int
    system: str
    python: str


class Run(msgspec.Struct):
    """One run of the suite.

    Attributes:
        started: UTC, ISO 8601.
        machine: Where.
        load: Processes that wanted a core when it began, mean of a minute.
        is_quick: Whether the short form was run.
        is_complete: Whether all parts asked for gave all of their figures.
        parts: By name.
    """

    started: str
    machine: Machine
    load: float
    is_quick: bool
    is_complete: bool = False
    parts: dict[str, Measured] = {}

    def figure(self, part: str, key: str) -> float | None:
        """Return a figure, or None if it was not measured."""
        measured = self.parts.get(part)
        return None if measured is None else number(measured.figures, key)


def new_run(*, is_quick: bool) -> Run:
    """Begin a run here and now."""
    started = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    return Run(started, this_machine(), os.getloadavg()[0], is_quick)


def this_machine() -> Machine:
    """Return what tells this machine from others, as far as figures go."""
    return Machine(
        _processor(),
        os.cpu_count() or 1,
        f"{platform.system()} {platform.release()}",
        platform.python_version(),
    )


def path_of(folder: Path, run: Run) -> Path:
    """Return where a run is kept."""
    stamp = "".join(character for character in run.started[:19] if character.isalnum())
    return folder / f"bench-{stamp}.json"


def save(folder: Path, run: Run) -> Path:
    """Write a run, and remove what is too old; return its file.

    Raises:
        ConfigError: If the folder cannot be written to.
    """
    path = path_of(folder, run)
    data = msgspec.json.format(msgspec.json.encode(run), indent=1)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        unfinished.write_bytes(data)
        unfinished.replace(path)
        for old in sorted(folder.glob("bench-*.json"))[:-MAX_RUNS]:
            old.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot write to {folder}: {error.strerror}") from error
    return path


def load(folder: Path) -> list[Run]:
    """Return all runs in a folder, oldest first; what is not one is passed over.

    Raises:
        ConfigError: If the folder may not be looked into.
    """
    try:
        paths = sorted(folder.glob("bench-*.json"))
    except OSError as error:
        raise ConfigError(f"cannot look into {folder}: {error.strerror}") from error
    runs: list[Run] = []
    for path in paths:
        try:
            runs.append(msgspec.json.decode(path.read_bytes(), type=Run))
        except (OSError, msgspec.DecodeError):
            continue
    return runs


def comparable(run: Run, runs: list[Run]) -> list[Run]:
    """Return the runs before ``run`` of the same form on the same machine."""
    return [
        other
        for other in runs
        if other.started < run.started
        and other.machine == run.machine
        and other.is_quick == run.is_quick
    ]


def usual(runs: list[Run], part: str, key: str) -> float | None:
    """Return the median of a figure in the newest runs that have it."""
    values = [value for run in runs if (value := run.figure(part, key)) is not None]
    return statistics.median(values[-_COMPARED:]) if values else None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if "model name" in line)
    return next(names, platform.machine())

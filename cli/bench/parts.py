"""The parts of `psp bench all`, and the figures of each that are worth following.

Each part measures one thing in processes of its own and says so in plain figures; what
they mean stands with whoever measures.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

Say = Callable[[str], None]
Figures = dict[str, object]


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure that is followed from run to run.

    Attributes:
        key: Its name among the part's figures.
        title: What it says, for people.
        unit: Of the value; empty for ratios and counts.
        is_better_low: Whether less is better.
        goal: What it is to be at most (at least, where more is better); None for none.
    """

    key: str
    title: str
    unit: str = ""
    is_better_low: bool = True
    goal: float | None = None

    def meets(self, value: float) -> bool | None:
        """Return whether a value reaches the goal; None without one."""
        if self.goal is None:
            return None
        return value <= self.goal if self.is_better_low else value >= self.goal


@dataclass(frozen=True, slots=True)
class Part:
    """One benchmark of the suite.

    Attributes:
        name: As on the command line.
        title: For people.
        run: Measures, quickly if told so; fills the figures as they come.
        figures: Those that are followed.
    """

    name: str
    title: str
    run: Callable[[bool, Say, Figures], None]
    figures: tuple[Figure, ...]


def _relay(quick: bool, say: Say, figures: Figures) -> None:  # noqa: FBT001
    from cli.bench import relay  # noqa: PLC0415 - imports what processes need

    say("a relay between two neighbours, beside this machine's floor")
    amount = {"cells": 20_000, "circuits": 0} if quick else {}
    figures.update(relay.run(**amount))


def _workers(quick: bool, say: Say, figures: Figures) -> None:  # noqa: FBT001
    from cli.bench import workers  # noqa: PLC0415

    say("a node with one worker at work, and with two")
    amount = {"cells": 20_000, "rounds": 3} if quick else {}
    figures.update(workers.run(**amount))


def _path(quick: bool, say: Say, figures: Figures) -> None:  # noqa: FBT001
    from cli.bench import path  # noqa: PLC0415

    found: dict[str, float] = {}
    try:
        path.run(path.QUICK if quick else path.FULL, say=say, figures=found)
    finally:
        figures.update(found)


def _call(quick: bool, say: Say, figures: Figures) -> None:  # noqa: FBT001
    from cli.bench import call  # noqa: PLC0415

    found: call.Figures = {}
    try:
        call.run(call.QUICK if quick else call.FULL, say=say, figures=found)
    finally:
        figures.update(found)


def _presence(quick: bool, say: Say, figures: Figures) -> None:  # noqa: FBT001
    from cli.bench import presence  # noqa: PLC0415

    figures.update(presence.run(presence.QUICK if quick else presence.FULL, say=say))


def _directory(quick: bool, say: Say, figures: Figures) -> None:  # noqa: FBT001
    from cli.bench import directory  # noqa: PLC0415
    from discovery.devchain.anvil import find_anvil  # noqa: PLC0415

    nodes = 400 if quick else None
    figures.update(directory.run(nodes, anvil=find_anvil(), say=say))


_MEMORY = "bytes"

PARTS: tuple[Part, ...] = (
    Part(
        "relay",
        "What a relay costs",
        _relay,
        (
            Figure("batched_ratio", "cost of a cell over the floor, trains", goal=2.5),
            Figure(
                "unbatched_ratio", "cost of a cell over the floor, single", goal=2.5
            ),
            Figure("flat_cost", "cost with 10,000 circuits over 10", goal=1.3),
            Figure("us_per_cell", "CPU per cell", "µs"),
            Figure("bytes_per_idle_circuit", "idle circuit", _MEMORY, goal=6144.0),
        ),
    ),
    Part(
        "workers",
        "Workers of one relay",
        _workers,
        (
            Figure(
                "core_ratio",
                "two workers over one, per core that they have",
                is_better_low=False,
                goal=1.8,
            ),
            Figure(
                "clock_ratio", "two workers over one, by the clock", is_better_low=False
            ),
        ),
    ),
    Part(
        "path",
        "Three relays between two clients",
        _path,
        (
            Figure("up_mb_s", "throughput, one session", "MB/s", is_better_low=False),
            Figure("up_cpu_s_per_gb_relay_2", "middle relay's CPU per GB", "s"),
            Figure("build_ms_p50", "circuit build, p50", "ms"),
            Figure("build_ms_p95", "circuit build, p95", "ms"),
            Figure("voice_idle_p50_ms", "round trip of voice, idle, p50", "ms"),
            Figure("voice_idle_p99_ms", "round trip of voice, idle, p99", "ms"),
            Figure(
                "voice_same_session_p99_added_ms",
                "p99 added beside bulk on the same session",
                "ms",
                goal=10.0,
            ),
            Figure(
                "voice_other_session_p99_added_ms",
                "p99 added beside bulk on another session",
                "ms",
                goal=10.0,
            ),
            Figure("voice_same_session_loss", "voice lost, same session", goal=0.005),
            Figure("voice_other_session_loss", "voice lost, other session", goal=0.005),
            Figure("bytes_per_circuit_client", "circuit at a client", _MEMORY),
            Figure("bytes_per_session_client", "session at a client", _MEMORY),
            Figure("bytes_per_session_relay_3", "session at a rendezvous", _MEMORY),
        ),
    ),
    Part(
        "call",
        "Calls between two users",
        _call,
        (
            Figure("open_ms_p50", "from call to session, p50", "ms", goal=1400.0),
            Figure("first_video_ms_p50", "from call to video, p50", "ms", goal=2500.0),
            Figure("failures", "calls that failed", goal=0.0),
            Figure("video_freezes", "freezes of the long call", goal=0.0),
        ),
    ),
    Part(
        "presence",
        "Finding users",
        _presence,
        (
            Figure("lookup_ms_p50", "look-up, p50", "ms", goal=60.0),
            Figure("lookup_ms_p95", "look-up, p95", "ms", goal=200.0),
            Figure(
                "success_30pct_dead",
                "newest record, 30 % dead",
                is_better_low=False,
                goal=0.999,
            ),
            Figure(
                "success_20pct_malicious",
                "newest record, 20 % malicious",
                is_better_low=False,
                goal=0.999,
            ),
            Figure("store_mb_100k", "100,000 records", "MB", goal=200.0),
        ),
    ),
    Part(
        "directory",
        "Reading the directory from a chain",
        _directory,
        (
            Figure("elected_s", "elected list, proven", "s", goal=1.5),
            Figure("read_s", "all records read", "s"),
            Figure("verify_s", "all records verified", "s"),
        ),
    ),
)


def number(figures: Mapping[str, object], key: str) -> float | None:
    """Return a figure as a number, or None if there is none."""
    value = figures.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return None if value != value else float(value)  # noqa: PLR0124 - not a number

"""What the numbers of a measured path come to: percentiles, loss, cost per gigabyte.

Definitions, for every peer that is measured beside us:

* *p50* and *p99* are taken over the voice packets that came back.
* *added* is p99 less the p50 of the idle path in the same run (its *base*).
* *loss* is the share that did not come back.
* *late* are the packets that came back later than base + 50 ms, lost ones not among them.
* A gigabyte is 1e9 bytes of application payload that arrived.
"""

import math
from collections.abc import Sequence

LATE_MS = 50.0


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that so large a share does not exceed; NaN of nothing.

    Nearest rank: one of the values, never something between two.
    """
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def build_figures(times: Sequence[float | None]) -> dict[str, float]:
    """Return figures of circuit builds.

    Args:
        times: Seconds of each; None for those that failed.
    """
    built = [1e3 * time for time in times if time is not None]
    return {
        "build_ms_p50": percentile(built, 0.5),
        "build_ms_p95": percentile(built, 0.95),
        "build_failures": float(len(times) - len(built)),
        "build_circuits": float(len(times)),
    }


def voice_figures(
    name: str, trips: Sequence[float | None], base_ms: float | None
) -> dict[str, float]:
    """Return figures of voice packets, their keys beginning with ``voice_{name}_``.

    Args:
        name: What went on beside.
        trips: Seconds there and back of each; None for the lost.
        base_ms: The idle path's p50; None if this is the idle path.
    """
    back = [1e3 * trip for trip in trips if trip is not None]
    p50, p99 = percentile(back, 0.5), percentile(back, 0.99)
    base = p50 if base_ms is None else base_ms
    figures = {
        "p50_ms": p50,
        "p99_ms": p99,
        "p99_added_ms": p99 - base,
        "loss": ratio(len(trips) - len(back), len(trips)),
        "late": float(sum(trip > base + LATE_MS for trip in back)),
        "packets": float(len(trips)),
    }
    return {f"voice_{name}_{key}": value for key, value in figures.items()}


def ratio(part: float, whole: float) -> float:
    """Return a share; NaN of nothing."""
    return part / whole if whole else math.nan

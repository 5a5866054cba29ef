"""What is compared: one figure per peer, its best, and PSP's ratio to it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.bench.peers.figures import median
from tests.bench.peers.measuring import Measured

PEERS = ("psp", "tor", "ipv8_python", "ipv8_rust")


@dataclass(frozen=True, slots=True)
class Headline:
    """One line of the comparison.

    Attributes:
        name: Its key in the JSON.
        text: For people.
        of: The figure of one setting.
        less_is_better: Which end is the best.
    """

    name: str
    text: str
    of: Callable[[Measured], float | None]
    less_is_better: bool = True


def _relay_cpu(measured: Measured) -> float | None:
    """Return the figure of several circuits; of one where a peer has no other."""
    several = measured.get("bulk_many", "relay_cpu_s_per_gb")
    one = measured.get("bulk_one", "relay_cpu_s_per_gb")
    return one if several is None else several


def _throughput(measured: Measured) -> float | None:
    names = ("bulk_many", "bulk_one")
    known = [speed for name in names if (speed := measured.get(name, "mb_s"))]
    return max(known, default=None)


HEADLINES = (
    Headline("relay_cpu_s_per_gb", "relay CPU-s per GB", _relay_cpu),
    Headline(
        "relay_cpu_s_per_gb_one_stream",
        "… one stream only",
        lambda measured: measured.get("bulk_one", "relay_cpu_s_per_gb"),
    ),
    Headline(
        "voice_p99_added_ms",
        "voice p99 added, same circuit, ms",
        lambda measured: measured.voice_added_ms("same"),
    ),
    Headline(
        "voice_p99_added_other_circuit_ms",
        "… by another circuit, ms",
        lambda measured: measured.voice_added_ms("other"),
    ),
    Headline(
        "voice_loss",
        "voice lost, same circuit, share",
        lambda measured: measured.voice_loss("same"),
    ),
    Headline(
        "voice_round_trip_p50_ms",
        "voice idle p50, ms",
        lambda measured: measured.get("voice_idle", "p50_ms"),
    ),
    Headline(
        "circuit_build_p50_ms",
        "circuit build p50, ms",
        lambda measured: measured.get("build", "p50_ms"),
    ),
    Headline(
        "circuit_build_failures",
        "circuits failed",
        lambda measured: measured.get("build", "failures"),
    ),
    Headline("throughput_mb_s", "throughput, MB/s", _throughput, less_is_better=False),
)


def compare(results: Mapping[str, Sequence[Measured]]) -> dict[str, Any]:
    """Return headlines, ratios and which setting stands for whom, as JSON.

    A peer's figure is the best of its settings that count; PSP has one setting, measured
    more than once, and its median counts. What was not measured is None.
    """
    figures: dict[str, Any] = {}
    ratios: dict[str, dict[str, float | None]] = {}
    chosen: dict[str, dict[str, str]] = {}
    for headline in HEADLINES:
        row = {peer: _figure(headline, peer, results.get(peer, ())) for peer in PEERS}
        figures[headline.name] = {peer: value for peer, (value, _) in row.items()}
        chosen[headline.name] = {
            peer: setting for peer, (_, setting) in row.items() if setting
        }
        psp = row["psp"][0]
        ratios[headline.name] = {
            peer: _ratio(psp, row[peer][0]) for peer in PEERS if peer != "psp"
        }
    return {**figures, "ratios": ratios, "best_settings": chosen}


def _figure(
    headline: Headline, peer: str, measured: Sequence[Measured]
) -> tuple[float | None, str]:
    known = [
        (value, one.setting)
        for one in measured
        if one.counts and (value := headline.of(one)) is not None
    ]
    if not known:
        return None, ""
    if peer == "psp":
        return median([value for value, _ in known]), known[0][1]
    return min(known) if headline.less_is_better else max(known)


def _ratio(ours: float | None, theirs: float | None) -> float | None:
    return None if ours is None or not theirs else ours / theirs

"""The same work for every peer, and what it comes to."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.bench.peers.amounts import Amount
from tests.bench.peers.figures import STREAMS, Bulk, Running, median

Say = Callable[[str], None]
Figures = dict[str, float | int | None]


@dataclass(frozen=True, slots=True)
class Measured:
    """One peer in one setting; filled as figures come.

    Attributes:
        setting: What it is called.
        counts: Whether it may stand for its peer: Tor without congestion control may not.
        details: Figures by what was measured.
    """

    setting: str
    counts: bool = True
    details: dict[str, Figures] = field(default_factory=dict)

    def get(self, measurement: str, figure: str) -> float | None:
        """Return one figure, if it was measured."""
        return self.details.get(measurement, {}).get(figure)

    def voice_added_ms(self, beside: str) -> float | None:
        """Return p99 beside a stream over the idle median, of packets that came back."""
        base = self.get("voice_idle", "p50_ms")
        loaded = self.get(f"voice_{beside}", "p99_ms")
        return None if base is None or loaded is None else loaded - base

    def voice_loss(self, beside: str) -> float | None:
        """Return the share of packets that did not come back."""
        lost = self.get(f"voice_{beside}", "lost")
        sent = self.get(f"voice_{beside}", "sent")
        return None if lost is None or not sent else lost / sent

    def as_json(self) -> dict[str, Any]:
        """All figures, with what is derived from them."""
        return {
            "counts": self.counts,
            **self.details,
            "voice_p99_added_ms": {
                beside: self.voice_added_ms(beside) for beside in ("same", "other")
            },
        }


def measure(running: Running, amount: Amount, into: Measured, say: Say) -> None:
    """Measure a network that is up; figures stand in ``into`` as they come."""
    say(f"{into.setting}: {amount.builds} circuits")
    into.details["build"] = running.build(amount.builds).figures()
    for name, streams in (("bulk_one", 1), ("bulk_many", STREAMS)):
        say(f"{into.setting}: {streams} streams on {streams} circuits")
        rounds = [
            running.bulk(streams, amount.bulk_seconds)
            for _ in range(amount.bulk_rounds)
        ]
        into.details[name] = _bulk(rounds, streams)
    for beside in (None, "same", "other"):
        say(f"{into.setting}: voice beside {beside or 'nothing'}")
        voice = running.voice(amount.voice_seconds, beside)
        into.details[f"voice_{beside or 'idle'}"] = voice.figures()


def _bulk(rounds: list[Bulk], streams: int) -> Figures:
    return {
        "streams": streams,
        "mb_s": median([one.mb_s for one in rounds]),
        "relay_cpu_s_per_gb": median([one.cpu_s_per_gb for one in rounds]),
    }

"""What is measured of every peer alike, and how lists of times become figures."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from psp.errors import PspError

MB = 1e6
GB = 1e9
HOPS = 3
STREAMS = 8
"""Circuits of the many-circuit figure, one stream each."""

VOICE_EVERY = 0.02
VOICE_BYTES = 160
"""A voice flow: 50 packets of 160 bytes a second, echoed at the far end."""

VOICE_GIVE_UP = 3.0
"""Seconds after the last packet that an echo is waited for: above any delay that Tor
has shown; what comes later is counted as lost."""


@dataclass(frozen=True, slots=True)
class Builds:
    """Circuits of three hops, built one after another.

    Attributes:
        seconds: Of each that was built.
        failures: How many were not.
    """

    seconds: tuple[float, ...]
    failures: int

    def figures(self) -> dict[str, float | int | None]:
        """As they are printed."""
        return {
            "p50_ms": quantile(self.seconds, 0.5, 1e3),
            "p95_ms": quantile(self.seconds, 0.95, 1e3),
            "failures": self.failures,
            "of": self.failures + len(self.seconds),
        }


@dataclass(frozen=True, slots=True)
class Bulk:
    """A while of streaming at full speed.

    Attributes:
        payload: Bytes that the receiving application read.
        seconds: Meanwhile.
        relay_cpu: CPU seconds, user and system, of the middle relay meanwhile.
    """

    payload: int
    seconds: float
    relay_cpu: float

    @property
    def mb_s(self) -> float:
        """Throughput, in 10⁶ bytes a second."""
        return self.payload / self.seconds / MB

    @property
    def cpu_s_per_gb(self) -> float | None:
        """Of the middle relay, per 10⁹ bytes of payload; None when nothing came."""
        return self.relay_cpu / self.payload * GB if self.payload else None


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice flow and its echo.

    Attributes:
        sent: Packets.
        round_trips: Seconds, of each packet whose echo came.
        bulk_mb_s: What a stream beside it got; None if there was none.
    """

    sent: int
    round_trips: tuple[float, ...]
    bulk_mb_s: float | None = None

    def figures(self) -> dict[str, float | int | None]:
        """As they are printed."""
        return {
            "p50_ms": quantile(self.round_trips, 0.5, 1e3),
            "p99_ms": quantile(self.round_trips, 0.99, 1e3),
            "sent": self.sent,
            "lost": self.sent - len(self.round_trips),
            "bulk_mb_s": self.bulk_mb_s,
        }


class Running(Protocol):
    """A network of one peer that is up: three relays in a row, and a client."""

    def build(self, count: int) -> Builds:
        """Build circuits one by one, and close them."""
        ...

    def bulk(self, streams: int, seconds: float) -> Bulk:
        """Stream to the client over as many circuits as streams."""
        ...

    def voice(self, seconds: float, beside: str | None) -> Voice:
        """Talk; ``beside`` a stream on the "same" circuit, on an "other", or alone."""
        ...


class PeerError(PspError):
    """A peer did not start or did not do its work: it has no figures, but a reason."""


def quantile(values: Sequence[float], share: float, scale: float = 1.0) -> float | None:
    """Return the smallest value that ``share`` of all do not exceed, times ``scale``."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * scale


def median(values: Sequence[float | None]) -> float | None:
    """Return the median of what was measured."""
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None

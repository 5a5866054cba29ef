"""How much handshake work strangers may cause."""

import ipaddress

from psp.units import Monotonic

IPV6_SITE_BITS = 64
"""A single customer has at least a /64, so its addresses share one limit (R-LNK-5)."""


def source_key(host: str) -> str | int:
    """Return what a source is counted as: its IPv4 address, or its IPv6 /64."""
    if ":" not in host:
        return host
    try:
        address = ipaddress.IPv6Address(host)
    except ValueError:
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return int(address) >> IPV6_SITE_BITS


class RateLimit:
    """One token bucket per source, `burst` deep, filled at `rate` per second.

    Bounded: the source that was allowed something longest ago is forgotten for a new
    one, which can only be kind to it.
    """

    __slots__ = ("_buckets", "_burst", "_max_sources", "_rate")

    def __init__(self, *, rate: float, burst: int, max_sources: int) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._max_sources = max_sources
        self._buckets: dict[str | int, tuple[float, Monotonic]] = {}

    def __len__(self) -> int:
        return len(self._buckets)

    def allow(self, host: str, now: Monotonic) -> bool:
        """Take one token of the source's, if there is one."""
        key = source_key(host)
        tokens, since = self._buckets.pop(key, (self._burst, now))
        tokens = min(self._burst, tokens + (now - since) * self._rate)
        is_allowed = tokens >= 1
        self._buckets[key] = (tokens - 1 if is_allowed else tokens, now)
        if len(self._buckets) > self._max_sources:
            del self._buckets[next(iter(self._buckets))]
        return is_allowed


class LoadGauge:
    """Tells whether handshakes take more of a second than they should.

    A machine has no clock to measure its own work with, so it counts handshakes.
    """

    __slots__ = ("_per_second", "_since", "_tokens")

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._tokens = per_second
        self._since: Monotonic | None = None

    def is_loaded(self, now: Monotonic) -> bool:
        """Tell whether a second's worth of handshakes was spent."""
        self._refill(now)
        return self._tokens < 1

    def spend(self, now: Monotonic) -> None:
        """Note one handshake."""
        self._refill(now)
        self._tokens = max(0.0, self._tokens - 1)

    def _refill(self, now: Monotonic) -> None:
        if self._since is not None:
            earned = (now - self._since) * self._per_second
            self._tokens = min(self._per_second, self._tokens + earned)
        self._since = now

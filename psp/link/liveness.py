"""Whether the other end of a link is there.

Whoever sends and hears nothing for `LinkConfig.probe_after` asks for a sign of life, a
PATH_CHALLENGE, each second; after `LinkConfig.silent_after` the link is silent. Anything
authentic is a sign of life. The answers also measure the round trip.
"""

from psp.link.config import LinkConfig
from psp.units import Monotonic

CONFIRM_BACKOFF = 1.5
DOUBTFUL_PROBES = 3
"""Lost at 1 % once in a million times."""

SOONEST_ANSWER = 0.9
"""In round trips; below 1 because the measure of them lags behind."""

RTT_GAIN = 0.125
"""Weight of a new sample (RFC 6298 section 2)."""


class Liveness:
    """Signs of life of one peer.

    Attributes:
        last_received: When something authentic came last.
        last_sent: When we sent last.
        waiting_since: When we first sent something that was not followed by a sign of
            life; None when there is no such thing.
        rtt: Smoothed round trip in seconds; None before the first sample.
    """

    __slots__ = (
        "_config",
        "_last_demand",
        "_last_probe",
        "_nonce",
        "_probes",
        "last_received",
        "last_sent",
        "rtt",
        "waiting_since",
    )

    def __init__(self, config: LinkConfig, now: Monotonic) -> None:
        self._config = config
        self._nonce = b""
        self._last_probe = now
        self._last_demand: Monotonic | None = None
        self._probes = 0
        self.last_received = now
        self.last_sent = now
        self.waiting_since: Monotonic | None = None
        self.rtt: float | None = None

    @property
    def is_doubtful(self) -> bool:
        """Whether several questions in a row were not answered."""
        return self._probes >= DOUBTFUL_PROBES

    def heard(self, now: Monotonic) -> None:
        """Note a sign of life.

        What comes sooner than an answer can was under way when we sent, and says
        nothing about what became of that.
        """
        self.last_received = now
        self._probes = 0
        demand = self._last_demand
        soonest = SOONEST_ANSWER * (self.rtt or 0.0)
        is_answered = demand is None or now - demand >= soonest
        self.waiting_since = None if is_answered else demand

    def sent(self, now: Monotonic, *, is_demanding: bool) -> None:
        """Note that we sent; ``is_demanding`` things deserve an answer."""
        self.last_sent = now
        if is_demanding:
            self._last_demand = now
            if self.waiting_since is None:
                self.waiting_since = now

    def is_silent(self, now: Monotonic) -> bool:
        """Tell whether a sign of life is overdue."""
        since = self.waiting_since
        return since is not None and now >= since + self._config.silent_after

    def due(self, *, is_confirmed: bool) -> Monotonic:
        """Return when to ask for a sign of life.

        Args:
            is_confirmed: Whether the peer has used our newest keys; until it has, we
                ask sooner.
        """
        config = self._config
        if not is_confirmed:
            wait = config.kem_retry * CONFIRM_BACKOFF ** min(self._probes, 8)
            return Monotonic(self._last_probe + wait)
        if self.waiting_since is None:
            return Monotonic(self.last_received + config.idle_probe)
        return Monotonic(max(self.waiting_since, self._last_probe) + config.probe_after)

    def probe(self, nonce: bytes, now: Monotonic) -> None:
        """Note that a challenge with ``nonce`` goes out."""
        self._nonce = nonce
        self._last_probe = now
        self._probes += 1

    def answered(self, nonce: bytes, now: Monotonic) -> bool:
        """Take in a PATH_RESPONSE; tell whether it is that of the newest probe."""
        if not self._nonce or nonce != self._nonce:
            return False
        self._nonce = b""
        self.sample(now - self._last_probe)
        return True

    def sample(self, rtt: float) -> None:
        """Add one measurement of the round trip, in seconds."""
        if self.rtt is None:
            self.rtt = rtt
        else:
            self.rtt += RTT_GAIN * (rtt - self.rtt)

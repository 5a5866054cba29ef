"""What a relay has promised to circuits, so that it refuses rather than stutters.

A circuit may ask for bandwidth when it is created. Whoever asks for nothing is promised
nothing, and is never refused here. A grant is fixed for the life of the circuit and comes
back when it ends, however it ends. While the relay is behind, nothing more is granted.
"""

from collections.abc import Iterable

from psp.bandwidth import NO_BANDWIDTH, UNIT_KBIT_PER_S, Bandwidth
from relay.circuit_table import RelayCircuit
from relay.config import MIN_MEDIA_KBIT_PER_S
from relay.congestion import Congestion

MAX_SHARE = 4
"""No circuit gets more than one part in this many: one alone must not take it all. A
voice flow always fits, as long as there is room."""

MAX_GRANT_KBIT_PER_S = 20_000
"""More than any call takes; also where no limit is set."""


class BandwidthBudget:
    """The sum of all grants of one relay, and its limit.

    Attributes:
        granted: To all circuits together, in kbit/s each way.
    """

    def __init__(self, limit: int, congestion: Congestion) -> None:
        """Start with nothing granted.

        Args:
            limit: Of all grants together, in kbit/s; 0 for none.
            congestion: Whether the relay is behind.
        """
        self.granted = 0
        self._limit = limit
        self._congestion = congestion
        congestion.keeps_promises = limit > 0

    def offer(self, asked: Bandwidth) -> int | None:
        """Return what a new circuit can be granted, in kbit/s; None is less than it needs.

        A multiple of 8 from the least to the wanted rate. Nothing is held by asking.
        """
        if asked == NO_BANDWIDTH:
            return 0
        room = 0 if self._congestion.is_active else self._room()
        offer = min(asked.wanted_kbit_per_s, room - room % UNIT_KBIT_PER_S)
        return None if offer < asked.min_kbit_per_s else offer

    def hold(self, circuit: RelayCircuit) -> None:
        """Count the grant of a circuit that was opened; once."""
        self.granted += circuit.granted

    def release(self, circuit: RelayCircuit) -> None:
        """Take back the grant of a circuit that ended; once."""
        self.granted -= circuit.granted

    def agrees_with(self, circuits: Iterable[RelayCircuit]) -> bool:
        """Whether the sum is that of the circuits there are, and within the limit."""
        total = sum(circuit.granted for circuit in circuits)
        return self.granted == total and (not self._limit or total <= self._limit)

    def _room(self) -> int:
        if not self._limit:
            return MAX_GRANT_KBIT_PER_S
        share = max(self._limit // MAX_SHARE, MIN_MEDIA_KBIT_PER_S)
        return min(share, MAX_GRANT_KBIT_PER_S, self._limit - self.granted)

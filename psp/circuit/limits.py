"""How much one origin may ask of one hop before the circuit closes."""

from psp.circuit.tags import BadTagWatch
from psp.errors import RemoteProtocolError
from psp.units import Monotonic
from psp.wire.onion import MAX_EARLY

MAX_EXTENDS = 8
"""EXTEND requests that a hop takes in the life of a circuit: each costs another relay a
handshake. Three are enough for any circuit; the rest is room for rebuilding its end.
Tor's number of RELAY_EARLY cells, of which each carries one."""


class HopLimits:
    """What a hop has counted so far."""

    __slots__ = ("_bad_tags", "_bad_tags_seen", "_early", "_extends")

    def __init__(self) -> None:
        self._early = 0
        self._extends = 0
        self._bad_tags_seen = 0
        self._bad_tags: BadTagWatch | None = None

    def count_early(self) -> None:
        """Count an EARLY cell (R-CIR-4).

        Raises:
            RemoteProtocolError: If it is one too many.
        """
        self._early += 1
        if self._early > MAX_EARLY:
            raise RemoteProtocolError(f"{self._early} EARLY cells")

    def allows_extend(self) -> bool:
        """Count an EXTEND request; tell whether it may be met."""
        self._extends += 1
        return self._extends <= MAX_EXTENDS

    def is_bad_tag(self, bad_tags: int) -> bool:
        """Tell whether a cell was bad rather than late.

        ``bad_tags`` is what the layer has counted by now.
        """
        seen, self._bad_tags_seen = self._bad_tags_seen, bad_tags
        return bad_tags > seen

    def record_bad_tag(self, now: Monotonic) -> bool:
        """Count a bad tag; tell whether there were too many in short (R-TAG-4)."""
        if self._bad_tags is None:
            self._bad_tags = BadTagWatch()
        return self._bad_tags.record(now)

"""An address that a peer seems to have moved to, until it shows that it is there.

An onlooker may send a peer's packet again from an address of its choice, faster than
the original (R-LNK-9). So at most three times what came from a new address goes there
before its owner has answered a challenge (RFC 9000 section 8.1), and the old address
stays in use beyond that.
"""

from psp.sansio import Address
from psp.units import Monotonic
from psp.wire.packet import PACKET_SIZE

BUDGET = 3
"""Bytes to a new address per byte from it (RFC 9000 section 8.1)."""

CHALLENGE_INTERVAL = 0.25
CHALLENGES = 6
"""A challenge every 250 ms, six times: 1.5 s outlast any round trip of a call."""


class Candidate:
    """A new address of the peer, not yet validated.

    Attributes:
        address: The address.
        nonce: What must come back from there.
        due: When to challenge again, or to give it up.
    """

    __slots__ = ("_allowance", "_challenges", "address", "due", "nonce")

    def __init__(self, address: Address, nonce: bytes, now: Monotonic) -> None:
        self.address = address
        self.nonce = nonce
        self.due = now
        self._allowance = 0
        self._challenges = 0

    @property
    def is_spent(self) -> bool:
        """Whether every challenge was sent."""
        return self._challenges >= CHALLENGES

    def earn(self, packets: int) -> None:
        """Note packets that came from there."""
        self._allowance += BUDGET * packets * PACKET_SIZE

    def spend(self, packets: int) -> bool:
        """Tell whether ``packets`` may be sent there; if so, they count as sent."""
        size = packets * PACKET_SIZE
        if size > self._allowance:
            return False
        self._allowance -= size
        return True

    def challenge(self, now: Monotonic) -> bool:
        """Tell whether to send the challenge now; if so, it counts as sent."""
        self.due = Monotonic(now + CHALLENGE_INTERVAL)
        self._challenges += 1
        return self.spend(1)

"""What an origin takes from its hops, because it asked for it (R-TAG-5).

A relay that could say things nobody asked for would have a hidden channel to the client,
and room for memory that nobody bounds (Tor's proposal 349). Answers are checked by
`psp.circuit.exchange`; this is about the rest.
"""

from psp.circuit.commands import NOTICES, UNLOCKED_BY
from psp.errors import RemoteProtocolError
from psp.units import Monotonic, Seconds
from psp.wire.relay_message import RelayCommand

STALE_FOR = Seconds(5.0)
"""How long after a truncation cells of the hops that were cut off may still arrive."""


class Expectations:
    """What each hop may say unasked, by what was asked of it."""

    __slots__ = ("_stale_until", "_unlocked")

    def __init__(self) -> None:
        self._unlocked: list[set[RelayCommand]] = []
        self._stale_until: Monotonic | None = None

    def add_hop(self) -> None:
        """One more hop: it may report."""
        self._unlocked.append({RelayCommand.REPORT, RelayCommand.TRUNCATED})

    def cut(self, hop: int, now: Monotonic) -> None:
        """The hops behind ``hop`` are gone; what they sent may still arrive."""
        del self._unlocked[hop:]
        self._stale_until = Monotonic(now + STALE_FOR)

    def ask(self, hop: int, command: RelayCommand) -> None:
        """Note a request to ``hop``."""
        for unlocked, keys in UNLOCKED_BY.items():
            if command in keys:
                self._unlocked[hop - 1].add(unlocked)

    def excuses_stale(self, now: Monotonic) -> bool:
        """Tell whether a truncation was so recent that it explains a stray cell."""
        return self._stale_until is not None and now < self._stale_until

    def check_block(self, hop: int) -> None:
        """Check a BLOCK from ``hop``.

        Raises:
            RemoteProtocolError: If no rendezvous was asked for there, or others follow.
        """
        is_last = hop == len(self._unlocked)
        if not is_last or RelayCommand.BLOCK not in self._unlocked[hop - 1]:
            raise RemoteProtocolError(f"BLOCK from hop {hop}")

    def check_request(self, hop: int, command: RelayCommand) -> None:
        """Check a request that ``hop`` makes of us.

        Raises:
            RemoteProtocolError: If nothing we asked for leads to it.
        """
        if command not in self._unlocked[hop - 1]:
            raise RemoteProtocolError(f"{command.name} from hop {hop}")

    def check_notice(self, hop: int, command: RelayCommand) -> None:
        """Check a message on stream 0.

        Raises:
            RemoteProtocolError: If it is no notice, or not one for us to expect.
        """
        if command not in NOTICES:
            raise RemoteProtocolError(f"{command.name} on stream 0")
        self.check_request(hop, command)

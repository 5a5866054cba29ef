"""Look-ups that nobody waits for: those of a watcher, whose traffic counts.

They take no circuit that stands ready and keep none standing ready: three of four that are
built ahead end unused. The pace is that of all look-ups, so that the guard is not asked
for more by watching.
"""

from collections.abc import Collection

from psp.client.circuit import Circuit
from psp.client.circuits import CircuitBuilder
from psp.client.context import ClientContext
from psp.client.directory import Directory
from psp.client.lookups.lookup import Lookup
from psp.client.lookups.many import LookupQueue
from psp.client.lookups.spare_circuits import SpareCircuits
from psp.ids import NodeId
from psp.path.selection import Purpose


class UnhurriedCircuits(SpareCircuits):
    """Circuits for look-ups, built when they are used; never started."""

    def __init__(
        self,
        context: ClientContext,
        circuits: CircuitBuilder,
        directory: Directory,
        pace: SpareCircuits,
    ) -> None:
        """Keep to the pace of the client's other circuits for look-ups."""
        super().__init__(context, circuits, directory)
        self._pace = pace

    @property
    def is_pacing(self) -> bool:
        """Whether somebody waits for a turn."""
        return self._pace.is_pacing

    def pick(self, besides: Collection[NodeId]) -> NodeId | None:
        """Return a gateway to `open`, whether or not a circuit to it stands ready."""
        sources = self._directory.sources(1, besides)
        return sources[0] if sources else None

    async def open(self, gateway: NodeId) -> Circuit:
        """Return a new circuit to a gateway, which the caller closes.

        Raises:
            PspError: As `CircuitBuilder.open` does.
        """
        await self._pace.take_turn()
        return await self._circuits.open(Purpose.LOOKUP, last=gateway)


def unhurried_queue(
    context: ClientContext,
    circuits: CircuitBuilder,
    directory: Directory,
    pace: SpareCircuits,
    lookup: Lookup,
) -> LookupQueue:
    """Return a queue of look-ups that know and note what a client's others do."""
    cold = UnhurriedCircuits(context, circuits, directory, pace)
    unhurried = Lookup(context, cold, directory)
    unhurried.highest = lookup.highest
    unhurried.stats = lookup.stats
    return LookupQueue(unhurried)

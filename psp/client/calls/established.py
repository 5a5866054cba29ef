"""A call that stands: its session, and what keeps its legs."""

from dataclasses import dataclass

from psp.client.calls.leg_keeper import LegKeeper
from psp.client.calls.session import ClientSession
from psp.ids import NodeId


@dataclass(frozen=True, slots=True)
class EstablishedCall:
    """A session, and what keeps its legs."""

    session: ClientSession
    legs: LegKeeper
    presence_point: NodeId | None = None
    """Over which presence point the caller was heard; None at the callee."""

    @property
    def granted(self) -> dict[int, int]:
        """What every relay of ours grants, in kbit/s each way, by number of the leg."""
        return {leg: circuit.granted for leg, circuit in self.legs.legs.items()}

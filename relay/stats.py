"""Plain counters of a relay; `relay.metrics` exports them."""

from collections import Counter
from dataclasses import dataclass, field

from psp.circuit.stats import CreateStats, HopStats
from psp.wire.cell import Reason


@dataclass(slots=True)
class RelayStats:
    """What this relay did since it started. Counters only rise.

    Attributes:
        cells_forward: Passed on, away from their origin.
        cells_backward: Passed on, towards their origin.
        cells_spliced: Session blocks copied between two joined circuits.
        blocks_unjoined: Session blocks on a circuit without a partner.
        cells_unknown: For a circuit that this relay does not have.
        cells_malformed: Of a command or form that has no place on a relay's link.
        cells_policed: Of circuits above their fair share while this relay was behind.
        cells_marked: Sent towards origins with word that their circuit is above it.
        congested_seconds: How long this relay was behind.
        dropped_audio: Dropped by the egress limit; so are the next two.
        dropped_key_frame: See ``dropped_audio``.
        dropped_rest: See ``dropped_audio``.
        circuits_created: CREATE answered.
        circuits_extended: EXTEND completed.
        circuits_closed: By reason.
        creates_refused: By reason: no room, bad handshake, a used circuit id.
        creates_delayed: Not answered because the link asks too fast.
        extends_refused: By reason.
        cookies_established: Waiting cookies taken in.
        cookies_joined: Pairs of circuits joined.
        cookies_refused: ESTABLISH or JOIN refused.
        cookies_expired: Never joined.
        services_asked: Requests sent to other relays.
        services_failed: Of those, not answered in time or not sent.
        services_served: Requests of other relays answered.
        services_dropped: Requests of other relays dropped at a limit.
        hogs_killed: Circuits closed to stay below the memory ceiling.
        requests_refused: Requests of origins refused because too many wait.
        hops: What the relay's ends of circuits threw away.
        creates: What became of CREATE cells.
    """

    cells_forward: int = 0
    cells_backward: int = 0
    cells_spliced: int = 0
    cells_unknown: int = 0
    cells_malformed: int = 0
    blocks_unjoined: int = 0
    cells_policed: int = 0
    cells_marked: int = 0
    congested_seconds: float = 0.0
    dropped_audio: int = 0
    dropped_key_frame: int = 0
    dropped_rest: int = 0
    circuits_created: int = 0
    circuits_extended: int = 0
    circuits_closed: Counter[Reason] = field(default_factory=Counter)
    creates_refused: Counter[Reason] = field(default_factory=Counter)
    creates_delayed: int = 0
    extends_refused: Counter[Reason] = field(default_factory=Counter)
    cookies_established: int = 0
    cookies_joined: int = 0
    cookies_refused: int = 0
    cookies_expired: int = 0
    services_asked: int = 0
    services_failed: int = 0
    services_served: int = 0
    services_dropped: int = 0
    hogs_killed: int = 0
    requests_refused: int = 0
    hops: HopStats = field(default_factory=HopStats)
    creates: CreateStats = field(default_factory=CreateStats)

    def at_a_glance(self) -> dict[str, int]:
        """Return what an operator wants to see first."""
        return {
            "cells_forward": self.cells_forward,
            "cells_backward": self.cells_backward,
            "cells_spliced": self.cells_spliced,
            "cells_policed": self.cells_policed,
            "cells_marked": self.cells_marked,
            "congested_seconds": int(self.congested_seconds),
            "circuits_created": self.circuits_created,
            "circuits_closed": self.circuits_closed.total(),
            "cookies_joined": self.cookies_joined,
            "hogs_killed": self.hogs_killed,
        }

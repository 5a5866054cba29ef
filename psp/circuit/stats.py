"""Counters of circuits, shared by all circuits of a machine."""

from dataclasses import dataclass


@dataclass(slots=True)
class HopStats:
    """What the relay's ends of circuits threw away, by reason.

    Attributes:
        bad_tag: Forward cells that were forged or changed.
        replayed: Forward cells seen before, or too old.
        not_extended: Cells to pass on with nowhere to pass them.
        not_last: Blocks for a hop that is not the last.
        protocol: Circuits closed because the origin broke the protocol.
        too_many_bad_tags: Of these, for 32 bad tags in 10 s.
    """

    bad_tag: int = 0
    replayed: int = 0
    not_extended: int = 0
    not_last: int = 0
    protocol: int = 0
    too_many_bad_tags: int = 0


@dataclass(slots=True)
class CreateStats:
    """What became of CREATE cells at a relay, by reason.

    Attributes:
        malformed: Not a half of a handshake.
        repeated: Halves that were answered before, and were again.
        conflicting: Halves for a circuit id that another handshake is using.
        created: Handshakes handed to the relay.
    """

    malformed: int = 0
    repeated: int = 0
    conflicting: int = 0
    created: int = 0


@dataclass(slots=True)
class OriginStats:
    """What one origin's end of a circuit saw.

    Attributes:
        blocks_dropped: Blocks given to `send_blocks` when the circuit was not open.
        stale: Cells from behind a hop that had just been made the last.
        early_sent: Cells sent with the EARLY flag.
    """

    blocks_dropped: int = 0
    stale: int = 0
    early_sent: int = 0

"""What a look-up comes to."""

import enum
from dataclasses import dataclass, field

from psp.netdoc.presence_inner import Presence
from psp.units import UnixTime


class PresenceState(enum.StrEnum):
    """What a look-up learnt."""

    ONLINE = "online"
    OFFLINE = "offline"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class LookupResult:
    """What is known of a user's presence.

    Attributes:
        state: On line, off line, or not known.
        points: Where to introduce oneself, newest record first; empty unless on line.
        answers: How many gateways answered.
        mailboxes: The presence points that a signed absence names, newest first; they
            may keep a notice. Empty unless off line.
        status: What the user says of themselves, for those who can find them.
        capabilities: What the user says their app can do.
        status_sequence: Rises with every status; 0 without one.
        issued: Unix time of the newest record that counts; 0 without one.
        is_confirmed: Whether enough discovery nodes have signed that they hold nothing
            newer. Otherwise it is the newest that anybody gave.
    """

    state: PresenceState
    points: tuple[Presence, ...] = field(repr=False)
    answers: int
    mailboxes: tuple[Presence, ...] = field(default=(), repr=False)
    status: str = ""
    capabilities: frozenset[str] = frozenset()
    status_sequence: int = 0
    issued: UnixTime = UnixTime(0)
    is_confirmed: bool = False


@dataclass(slots=True)
class LookupStats:
    """Plain counters since the start.

    Attributes:
        made: Look-ups that came to a result.
        confirmed: Of these, those that enough discovery nodes vouch for.
        gateways_asked: Circuits used for them.
        gateways_blamed: Gateways that gave less than others, or junk.
        clock_off: Look-ups broken off because our clock is wrong.
    """

    made: int = 0
    confirmed: int = 0
    gateways_asked: int = 0
    gateways_blamed: int = 0
    clock_off: int = 0

"""What circuits are for, and why there may be no path for one."""

import enum

from psp.errors import PspError


class Purpose(enum.Enum):
    """What a circuit is for; a circuit serves one purpose only."""

    DIRECTORY = "directory"
    REGISTRATION = "registration"
    LOOKUP = "lookup"
    INTRODUCTION = "introduction"
    WATCH = "watch"
    WATCH_POINT = "watch_point"
    MAILBOX = "mailbox"
    RENDEZVOUS_CALLER = "rendezvous_caller"
    RENDEZVOUS_CALLEE = "rendezvous_callee"

    @property
    def uses_layer2(self) -> bool:
        """Whether others can make the client build such circuits.

        Whoever is watched chooses the presence point and when something changes.
        """
        return self in {
            Purpose.REGISTRATION,
            Purpose.RENDEZVOUS_CALLEE,
            Purpose.WATCH,
            Purpose.WATCH_POINT,
        }

    @property
    def length(self) -> int:
        """How many hops, unless the caller says otherwise."""
        return 4 if self in {Purpose.RENDEZVOUS_CALLEE, Purpose.WATCH} else 3

    @property
    def asks_services(self) -> bool:
        """Whether the last hop does what only its node's first worker does."""
        return self not in {Purpose.RENDEZVOUS_CALLER, Purpose.RENDEZVOUS_CALLEE}


class NoPath(enum.StrEnum):
    """Why there is no path."""

    TOO_LITTLE_KNOWN = "less than 60 % of paths are known"
    UNKNOWN_LAST = "the last hop is not in the registry"
    UNKNOWN_ENDPOINT = "the registry has another endpoint for the last hop"
    NO_LAST = "no relay may be the last hop"
    NO_GUARD = "no guard fits the last hop"
    NO_MIDDLE = "no relay fits between guard and last hop"


class NoPathError(PspError):
    """No path could be chosen.

    Attributes:
        reason: Why.
    """

    def __init__(self, reason: NoPath) -> None:
        super().__init__(reason.value)
        self.reason = reason

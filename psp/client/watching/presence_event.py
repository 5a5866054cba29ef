"""What a watch tells an app."""

import enum
from dataclasses import dataclass

from psp.client.lookups.lookup import PresenceState
from psp.netdoc.contact_card import ContactCard


class WatchReason(enum.StrEnum):
    """Why a watch tells something."""

    FIRST = "first"
    """How the contact is when the watch begins to know."""

    LOOKED_UP = "looked_up"
    """A look-up found it so."""

    GONE = "gone"
    """No presence point has the contact's circuit any more, or hears anything over it;
    nobody said goodbye."""

    CLOCK = "clock"
    """Our own clock is too far off to tell anything; the watch goes on trying."""

    REMOVED = "removed"
    """The contact was removed; nothing more is told of it."""

    REVOKED = "revoked"
    """The registry says that the identity is lost or stolen; nothing more is told."""

    @property
    def is_last(self) -> bool:
        """Whether no event of this contact follows."""
        return self in {WatchReason.REMOVED, WatchReason.REVOKED}


@dataclass(frozen=True, slots=True)
class View:
    """How a contact is, as far as is known."""

    state: PresenceState
    status: str = ""
    capabilities: frozenset[str] = frozenset()
    reason: WatchReason = WatchReason.LOOKED_UP


GONE = View(PresenceState.UNKNOWN, reason=WatchReason.GONE)


@dataclass(frozen=True, slots=True)
class PresenceEvent:
    """How a contact is now.

    Attributes:
        card: Of the contact.
        name: What the watch was told to call it, or None.
        state: On line, off line, or not known.
        status: The status text, for contacts' eyes; empty unless on line.
        capabilities: What the contact's app can do.
        at: When this became known here, seconds since 1970.
        reason: Why it is told.
    """

    card: ContactCard
    name: str | None
    state: PresenceState
    status: str
    capabilities: frozenset[str]
    at: float
    reason: WatchReason

    def is_like(self, other: "PresenceEvent") -> bool:
        """Tell whether an app that knows the other one learns nothing from this one."""
        return (self.state, self.status, self.capabilities, self.reason.is_last) == (
            other.state,
            other.status,
            other.capabilities,
            other.reason.is_last,
        )

"""What a watcher remembers of one presence point of a contact. Pure."""

from dataclasses import dataclass

from psp.client.watching.watch_config import WatcherConfig
from psp.ids import NodeId
from psp.units import Monotonic


@dataclass(slots=True)
class WatchedPlace:
    """One point of the contact.

    Attributes:
        slot: Of the record.
        tells: Changes that it may tell now, and when that was so.
        sequence: Of the newest record that names it.
        is_mailbox: Whether that record is an absence.
        gone_at: The point said that it is gone when this was the sequence; None if not.
        is_silent: The point said that it hears nothing of the contact.
        renew_at: A handle lies there until then; None without.
        not_before: No handle is left before.
        doubts: Times in a row that what it told was not confirmed.
        silences: Times in a row that it did not answer, or had no room.
    """

    node_id: NodeId
    slot: int
    tells: tuple[float, Monotonic]
    sequence: int = 0
    is_mailbox: bool = False
    gone_at: int | None = None
    is_silent: bool = False
    renew_at: Monotonic | None = None
    not_before: Monotonic = Monotonic(0.0)
    doubts: int = 0
    silences: int = 0

    def may_tell(self, config: WatcherConfig, now: Monotonic) -> bool:
        """Count a change that the point told, or say that it is one too many."""
        tokens, then = self.tells
        tokens = min(config.tells, tokens + (now - then) / config.tell_every)
        self.tells = max(0.0, tokens - 1), now
        return tokens >= 1

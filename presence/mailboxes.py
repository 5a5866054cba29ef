"""Mailboxes: missed-call notices for users who have signed off.

Pure. One mailbox's way::

    OPEN --first COLLECT--> CLOSED --COLLECT with first = total--> (none)
      |                       |
      +---- the absence ends, or the same user opens too many ---> (none)

A notice is sealed to the user; what the point sees is how many there are. Nobody can
push a notice out: whoever comes when a mailbox is full is told so. The fuller it is, or
all of them together, the more work a notice takes, so that filling one up is dear.

Tables and what happens when they are full: `MailboxConfig`.
"""

from dataclasses import dataclass, field

from presence.config import MailboxConfig
from presence.limits import TokenBuckets
from presence.stats import PresenceStats
from psp.crypto.primitives import equal
from psp.crypto.work import is_proof
from psp.ids import UserId
from psp.netdoc.missed_call import notice_challenge
from psp.units import Monotonic
from psp.wire.mailboxes import (
    NOTICES_AT_ONCE,
    Collected,
    MissedRequest,
    Noted,
    NotedStatus,
)

_ALL = 0
"""Key of the one bucket that verifications are taken from."""


@dataclass(slots=True)
class _Mailbox:
    """One absence of one user.

    Attributes:
        identity: Who may collect.
        until: Unix seconds.
        sequence: Of the absence.
        notices: 416 bytes each.
        is_closed: Whether the user has begun to collect.
    """

    identity: UserId
    until: int
    sequence: int
    notices: list[bytes] = field(default_factory=list, repr=False)
    is_closed: bool = False


class Mailboxes:
    """All mailboxes of one presence point."""

    def __init__(self, config: MailboxConfig, stats: PresenceStats) -> None:
        """Start with none.

        Args:
            config: Limits.
            stats: Counted into.
        """
        self._config = config
        self._stats = stats
        self._boxes: dict[bytes, _Mailbox] = {}
        self._of_user: dict[UserId, list[bytes]] = {}
        self._held = 0
        rate = config.proofs_per_second
        self._proofs: TokenBuckets[int] = TokenBuckets(rate, rate, 1)

    def __len__(self) -> int:
        return len(self._boxes)

    @property
    def notices_held(self) -> int:
        """In all mailboxes together."""
        return self._held

    def owner(self, tag: bytes, unix_now: float) -> UserId | None:
        """Return whose mailbox a tag is; None if nobody's."""
        box = self._boxes.get(tag)
        return box.identity if box is not None and box.until > unix_now else None

    def is_open(self, tag: bytes, unix_now: float) -> bool:
        """Tell whether notices can be left under a tag."""
        box = self._boxes.get(tag)
        return box is not None and not box.is_closed and box.until > unix_now

    def open(
        self, tag: bytes, identity: UserId, *, until: int, sequence: int
    ) -> list[bytes]:
        """Open a mailbox, or let the user's own stay open longer.

        Somebody else's under the same tag has ended, says `owner`; it goes.

        Returns:
            Tags of the same user that had to go for it.
        """
        box = self._boxes.get(tag)
        if box is not None and box.identity != identity:
            self._end(tag)
        elif box is not None:
            box.until = max(box.until, until)
            box.sequence = max(box.sequence, sequence)
            return []
        if len(self._boxes) >= self._config.max_mailboxes:
            return []
        self._boxes[tag] = _Mailbox(identity, until, sequence)
        tags = self._of_user.setdefault(identity, [])
        tags.append(tag)
        gone = tags[: -self._config.mailboxes_per_user]
        for old in gone:
            self._end(old)
        return gone

    def leave(
        self, request: MissedRequest, *, now: Monotonic, unix_now: float
    ) -> Noted:
        """Keep a notice, or say why not.

        Args:
            request: What came over a circuit.
            now: For the rate of verifications.
            unix_now: For the life of the mailbox.
        """
        noted = self._leave(request, now, unix_now)
        self._stats.notices[noted.status.name.lower()] += 1
        return noted

    def _leave(self, request: MissedRequest, now: Monotonic, unix_now: float) -> Noted:
        box = self._boxes.get(request.tag)
        if box is None or box.is_closed or box.until <= unix_now:
            return Noted(NotedStatus.NO_SUCH_TAG)
        if request.notice in box.notices:
            return Noted(NotedStatus.KEPT)
        noted = self._judge_work(box, request, now)
        if noted.status is NotedStatus.KEPT:
            box.notices.append(request.notice)
            self._held += 1
        return noted

    def _judge_work(
        self, box: _Mailbox, request: MissedRequest, now: Monotonic
    ) -> Noted:
        is_full = len(box.notices) >= self._config.notices_per_mailbox
        if is_full or self._held >= self._config.max_notices:
            return Noted(NotedStatus.FULL)
        wanted = self._effort(box)
        if request.effort < wanted:
            return Noted(NotedStatus.WORK_NEEDED, wanted)
        if wanted and not self._proofs.admit(_ALL, now):
            return Noted(NotedStatus.FULL)
        challenge = notice_challenge(request.tag, request.notice)
        if wanted and not is_proof(challenge, request.work_nonce, request.effort):
            return Noted(NotedStatus.REFUSED)
        return Noted(NotedStatus.KEPT)

    def collect(
        self, tag: bytes, identity: UserId, first: int, unix_now: float
    ) -> Collected | None:
        """Give a user its notices from number ``first`` on, and close the mailbox.

        Whether it is the user who asks is the caller's to check.

        Args:
            tag: Of the mailbox.
            identity: Who asks.
            first: The notice to begin with; their number ends the mailbox.
            unix_now: For the life of the mailbox.

        Returns:
            None if this user has no such mailbox.
        """
        box = self._boxes.get(tag)
        if box is None or box.until <= unix_now or not equal(box.identity, identity):
            return None
        total = len(box.notices)
        if first > total:
            return None
        box.is_closed = True
        if first == total:
            self._end(tag)
        return Collected(total, tuple(box.notices[first : first + NOTICES_AT_ONCE]))

    def is_first_collection(self, tag: bytes) -> bool:
        """Tell whether nobody has collected under a tag yet."""
        box = self._boxes.get(tag)
        return box is not None and not box.is_closed

    def sequence(self, tag: bytes) -> int:
        """Return the sequence of the absence under a tag; 0 if there is none."""
        box = self._boxes.get(tag)
        return box.sequence if box is not None else 0

    def sweep(self, unix_now: float) -> list[bytes]:
        """Forget mailboxes whose absence has ended; return their tags."""
        ended = [tag for tag, box in self._boxes.items() if box.until <= unix_now]
        for tag in ended:
            self._end(tag)
        return ended

    def _effort(self, box: _Mailbox) -> int:
        """Return the bits of work that the next notice takes."""
        config = self._config
        shares = (
            len(box.notices) / config.notices_per_mailbox,
            self._held / config.max_notices,
        )
        above = max(shares) - config.free_share
        if above < 0:
            return 0
        span = config.last_effort - config.first_effort
        return config.first_effort + int(span * above / (1 - config.free_share))

    def _end(self, tag: bytes) -> None:
        box = self._boxes.pop(tag)
        self._held -= len(box.notices)
        tags = self._of_user[box.identity]
        tags.remove(tag)
        if not tags:
            del self._of_user[box.identity]

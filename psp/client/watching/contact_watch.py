"""What a watcher knows of one contact, and what it does next. Pure.

It is told the time and what came of its actions, and says which action is due::

    look up -> leave handles at two of the points -> ... -> told of a change -> look up
                                                 '-> no handle anywhere: look up now and then

Nobody is believed without need. A presence point can say that a circuit is gone, which
makes the contact *unknown* when no other point is left; everything else a look-up has to
confirm. A point that tells too often, or what look-ups do not confirm, gets no
handle for a while: what it costs us is bounded, whatever it says.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from psp.client.lookups.lookup import LookupResult, PresenceState
from psp.client.watching.presence_event import GONE, View, WatchReason
from psp.client.watching.watch_config import WatcherConfig
from psp.client.watching.watched_place import WatchedPlace
from psp.entropy import Entropy
from psp.ids import NodeId
from psp.netdoc.presence_inner import Presence
from psp.units import Monotonic
from psp.wire.watch import Change, Watched, WatchStatus

_NEVER = Monotonic(float("inf"))


@dataclass(frozen=True, slots=True)
class Look:
    """Look the contact up; tell `ContactWatch.looked`."""


@dataclass(frozen=True, slots=True)
class Leave:
    """Leave a handle at a point, for a tag; tell `ContactWatch.left`."""

    node_id: NodeId
    tag: bytes = field(repr=False)


Action = Look | Leave


class ContactWatch:
    """One contact of a watcher.

    Attributes:
        view: What is known; None before the first look-up has ended.
        is_cut_off: Whether nobody at all answered the last look-up.
    """

    def __init__(self, config: WatcherConfig, entropy: Entropy, now: Monotonic) -> None:
        """Begin with a look-up at once."""
        self.view: View | None = None
        self.is_cut_off = False
        self._found: View | None = None
        self._config = config
        self._entropy = entropy
        self._places: dict[bytes, WatchedPlace] = {}
        self._known = 0
        self._look_at = self._check_at = self._retry_at = now
        self._is_urgent = True
        self._is_answered = False
        self._looks_in_vain = 0
        self._expected = 0
        self._teller = b""
        self._confirmations = 0

    @property
    def handles(self) -> int:
        """Handles lying somewhere."""
        return sum(place.renew_at is not None for place in self._places.values())

    @property
    def tags(self) -> frozenset[bytes]:
        """Of the points that are known."""
        return frozenset(self._places)

    def next_action(self, now: Monotonic) -> Action | None:
        """Return what is to be done now; call it again when that is done."""
        if self._look_at <= now:
            return Look()
        for place in self._places.values():
            if place.renew_at is not None and place.renew_at <= now:
                place.renew_at = None
        tag = self._wanting(now)
        return None if tag is None else Leave(self._places[tag].node_id, tag)

    def next_timeout(self) -> Monotonic:
        """Return when to ask for the next action."""
        times = [self._look_at]
        room = self._room
        for place in self._places.values():
            if place.renew_at is not None:
                times.append(place.renew_at)
            elif room > 0 and place.gone_at is None:
                times.append(place.not_before)
        return min(times)

    # ---- what came of actions

    def looked(
        self, result: LookupResult | None, now: Monotonic, *, is_clock_off: bool = False
    ) -> None:
        """Take in a look-up.

        Args:
            result: None if it failed.
            now: The next one is planned from here.
            is_clock_off: It failed because of our own clock: nothing counts any more.
        """
        self._is_urgent = False
        self._is_answered = (
            result is not None and result.state is not PresenceState.UNKNOWN
        )
        if result is None or not result.answers:
            self.is_cut_off = True
        elif self.is_cut_off:
            self._come_back(now)
        self._looks_in_vain += 1
        if is_clock_off:
            self.view = View(PresenceState.UNKNOWN, reason=WatchReason.CLOCK)
        elif result is not None and self._is_answered:
            if self._take(result, now):
                self._looks_in_vain = 0
        elif self.view is None or not self.handles:
            # Points that would have told of a change are better than no answer.
            self._lose_sight()
        self._plan(now)
        if self._expected and not self._is_confirmed(now):
            pause = self._config.confirm * 2.0**self._confirmations
            self._look_at = _NEVER
            self._look_by(self._in((pause, 2 * pause), now))
        else:
            self._rest(now)

    def look_again(self, now: Monotonic) -> None:
        """Look up soon, as our own network works again."""
        self._looks_in_vain = 0
        self._look_by(self._in(self._config.after_gone, now))

    def _come_back(self, now: Monotonic) -> None:
        """Forget what we held against others while it was our network that failed."""
        self.is_cut_off = False
        for place in self._places.values():
            if place.silences:
                place.silences, place.not_before = 0, now

    def left(self, tag: bytes, watched: Watched | None, now: Monotonic) -> None:
        """Take in what a point answered to WATCH; None if it did not."""
        place = self._places.get(tag)
        if place is None:
            return
        place.renew_at = None
        status = None if watched is None else watched.status
        if watched is None or status is WatchStatus.BUSY:
            is_first = not place.silences
            place.silences += 1
            self._leave_alone(place, now)
            if status is None and is_first:
                self._look_by(self._in(self._config.after_gone, now))
            else:
                self._rest(now)
        elif status is WatchStatus.NO_SUCH_TAG:
            self._gone(place, now)
        else:
            share = self._between(self._config.renew)
            place.renew_at = Monotonic(now + share * self._config.lifetime)
            missed = watched.sequence
            if (status is WatchStatus.AWAY) != place.is_mailbox:
                missed = max(missed, self._known + 1)
            place.silences = 0
            if status is WatchStatus.SILENT:
                self._fall_silent(place, now)
            elif status is WatchStatus.HERE:
                self._be_heard(place)
            if missed > self._known:
                self._expect(tag, missed, now)
            else:
                self._rest(now)

    def changed(
        self, tag: bytes, change: Change | None, sequence: int, now: Monotonic
    ) -> None:
        """Take in what a point told; None for a message that does not open."""
        place = self._places.get(tag)
        if place is None:
            return
        place.renew_at = None
        if not place.may_tell(self._config, now):
            self._doubt(place, now)
            self._rest(now)
        elif change is None:
            self._look_by(self._in(self._config.soon, now))
        elif change is Change.GONE:
            self._gone(place, now)
        elif change is Change.SILENT:
            self._fall_silent(place, now)
        elif change is Change.HEARD:
            self._be_heard(place)
        elif change is Change.BACK:
            self._expect(tag, max(sequence, self._known) + 1, now)
        elif sequence > self._known:
            self._expect(tag, sequence, now)

    def handles_lost(self, tags: Iterable[bytes]) -> None:
        """Take in that nobody can tell us any more of some tags: leave new handles.

        The points will say what was missed meanwhile.
        """
        for tag in tags:
            if tag in self._places:
                self._places[tag].renew_at = None

    # ---- what we know

    @property
    def _is_known(self) -> bool:
        return self.view is not None and self.view.state is not PresenceState.UNKNOWN

    def _take(self, result: LookupResult, now: Monotonic) -> bool:
        """Adopt places and state; return whether anything is new."""
        is_online = result.state is PresenceState.ONLINE
        found = result.points if is_online else result.mailboxes
        tags = set(self._places)
        self._places = self._merge(found, now)
        self._known = max(
            self._known,
            result.status_sequence,
            *(place.sequence for place in self._places.values()),
        )
        before = self.view
        self._found = View(result.state)
        if is_online:
            self._found = View(result.state, result.status, result.capabilities)
        self.view = GONE if is_online and self._is_deserted else self._found
        return self.view != before or tags != set(self._places)

    def _merge(
        self, found: Iterable[Presence], now: Monotonic
    ) -> dict[bytes, WatchedPlace]:
        places: dict[bytes, WatchedPlace] = {}
        for presence in found:
            head, tag = presence.head, presence.place.tag
            place = places.get(tag) or self._places.get(tag)
            if place is None:
                tells = self._config.tells, now
                place = WatchedPlace(presence.place.node_id, head.slot, tells)
            if head.sequence > place.sequence:
                place.is_silent = False  # it was agreed over the circuit there
            if head.sequence >= place.sequence:
                place.sequence = head.sequence
                place.is_mailbox = presence.is_absence
            if place.gone_at is not None and head.sequence > place.gone_at:
                place.gone_at = None
            places[tag] = place
        return places

    def _lose_sight(self) -> None:
        """Say that nobody tells; a reason that was given before stands."""
        if self.view is None or self.view.state is not PresenceState.UNKNOWN:
            self.view = View(PresenceState.UNKNOWN)

    @property
    def _is_deserted(self) -> bool:
        """Whether every point said that the contact's circuit is gone or silent."""
        return all(
            place.is_silent or place.gone_at is not None
            for place in self._places.values()
        )

    def _gone(self, place: WatchedPlace, now: Monotonic) -> None:
        place.gone_at = place.sequence
        self._miss(place, now)

    def _fall_silent(self, place: WatchedPlace, now: Monotonic) -> None:
        if not place.is_silent:
            place.is_silent = True
            self._miss(place, now)

    def _miss(self, place: WatchedPlace, now: Monotonic) -> None:
        """See whether anybody is left who has heard of the contact; look up."""
        if self._is_deserted and not place.is_mailbox:
            self.view = GONE
            self._looks_in_vain = 0
        self._look_by(self._in(self._config.after_gone, now))

    def _be_heard(self, place: WatchedPlace) -> None:
        place.is_silent = False
        if self.view == GONE and not self._is_deserted and self._found is not None:
            self.view = self._found

    # ---- whom we believe

    def _expect(self, tag: bytes, sequence: int, now: Monotonic) -> None:
        """Look for a record of at least this sequence, as a point told."""
        self._expected, self._teller = sequence, tag
        self._confirmations = 0
        self._look_by(self._in(self._config.soon, now))

    def _is_confirmed(self, now: Monotonic) -> bool:
        """Tell whether nothing more is to be looked for."""
        teller = self._places.get(self._teller)
        self._confirmations += 1
        if self._known >= self._expected:
            if teller is not None:
                teller.doubts = 0
        elif self._confirmations < self._config.confirm_tries:
            return False
        elif teller is not None:
            self._doubt(teller, now)
        self._expected = 0
        return True

    def _doubt(self, place: WatchedPlace, now: Monotonic) -> None:
        place.doubts += 1
        self._leave_alone(place, now)

    def _leave_alone(self, place: WatchedPlace, now: Monotonic) -> None:
        """Leave no handle for a while, longer each time."""
        place.renew_at = None
        times = place.doubts + place.silences - 1
        pause = self._config.doubt * 2.0 ** min(times, 16)
        pause = min(pause, self._config.longest_doubt)
        place.not_before = self._in((pause, 1.5 * pause), now)

    # ---- what is next

    def _wanting(self, now: Monotonic) -> bytes | None:
        """Return the tag that wants a handle now, that of the lowest slot first."""
        waiting = [
            (place.slot, tag)
            for tag, place in self._places.items()
            if place.renew_at is None
            and place.gone_at is None
            and place.not_before <= now
        ]
        return min(waiting)[1] if waiting and self._room > 0 else None

    @property
    def _room(self) -> int:
        """For how many more handles; those at points that hear nothing do not count."""
        lying = sum(
            place.renew_at is not None and not place.is_silent
            for place in self._places.values()
        )
        return self._config.handles - lying

    def _plan(self, now: Monotonic) -> None:
        """Say when to look again after a look-up, with handles lying and without."""
        is_away = self.view is not None and self.view.state is PresenceState.OFFLINE
        check = self._config.check_absent if is_away else self._config.check
        self._check_at = self._in(check, now)
        least, most = self._config.retry
        if self.is_cut_off:
            least, most = self._config.retry_cut_off
        if self.view is not None and self.view.reason is WatchReason.GONE:
            least = self._config.after_gone[1]
        times = min(max(self._looks_in_vain - 1, 0), 16)
        pause = min(least * 2.0**times, most)
        self._retry_at = self._in((0.75 * pause, 1.25 * pause), now)

    def _rest(self, now: Monotonic) -> None:
        """Wait for the next look-up, unless one is due because something happened."""
        if self._is_urgent:
            return
        if self._is_known and self._is_answered and self.handles:
            self._look_at = self._check_at
        else:
            soon = self._in(self._config.after_gone, now)
            self._look_at = max(self._retry_at, soon)

    def _look_by(self, when: Monotonic) -> None:
        self._is_urgent = True
        self._look_at = min(self._look_at, when)

    def _in(self, span: tuple[float, float], now: Monotonic) -> Monotonic:
        return Monotonic(now + self._between(span))

    def _between(self, span: tuple[float, float]) -> float:
        return span[0] + (span[1] - span[0]) * self._entropy.uniform()

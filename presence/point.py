"""A presence point: agrees to be where a user is reached, and passes introductions on.

Pure decisions; `presence.service` does the asking and storing. One user's way::

    REGISTER -> consent -> PUBLISH -> the record lies in the DHT
    INTRODUCE(tag) -> INTRODUCTION over the registered circuit -> its answer

The point knows who registers (the registry needs it) and that callers come; it reads
neither the records it stores nor the introductions it passes on.

Tables and what happens when they are full: `PointConfig`. A tag lives as long as its
registration, and ends with its circuit; of a user who signs off it becomes a mailbox
(`presence.mailboxes`) until the absence ends.
"""

import enum
from collections.abc import Callable

from presence.config import PointConfig
from presence.limits import ReplayMemory, SlidingWindow
from presence.mailboxes import Mailboxes
from presence.point_tables import (
    CircuitEntry,
    LastRegistration,
    Line,
    TagEntry,
    TagState,
    UserTable,
)
from presence.stats import PresenceStats
from presence.turns import Turns
from psp.crypto.keys import SigningKey
from psp.crypto.primitives import equal, sha256
from psp.errors import DecodeError
from psp.ids import NodeId, UserId
from psp.netdoc.presence_inner import MAX_ENDPOINTS, ONLINE_LIFETIME, Place
from psp.netdoc.presence_keys import CLOCK_SKEW
from psp.netdoc.presence_record import HEAD_SIZE, STATUS_SLOT
from psp.netdoc.registration import (
    Registration,
    RegistrationRefusal,
    RegistrationRefusedError,
)
from psp.units import Monotonic, Seconds
from psp.wire.endpoint import Endpoint
from psp.wire.network import Network
from psp.wire.presence import IntroduceRequest, IntroductionStatus, Registered
from psp.wire.watch import Change

_MINUTE = Seconds(60)
_HEADS_AT_ONCE = 8
"""Heads agreed to over one circuit: where a user is and how, for those with the secret
and for everybody, near midnight each of them for two periods."""

_LINES_PER_TAG = 4
"""Sequences remembered for each tag; only those of the last four minutes count."""


TagListener = Callable[[bytes, Change, int], None]
"""Takes a tag, what happened to it, and the sequence of the record concerned."""


class PublicationRefusal(enum.StrEnum):
    """Why a record is not published, besides what is wrong with the record itself."""

    NOT_AGREED = "not_agreed"
    TOO_OFTEN = "too_often"


class PresencePoint:
    """What one relay decides as presence point.

    Attributes:
        on_tag_changed: Told of a tag, what happened to it, and the sequence of the
            record concerned.
    """

    def __init__(
        self,
        config: PointConfig,
        mailboxes: Mailboxes,
        turns: Turns,
        *,
        network: Network,
        identity: SigningKey,
        has_user: Callable[[UserId], bool],
        endpoints: Callable[[], tuple[Endpoint, ...]],
        stats: PresenceStats,
    ) -> None:
        """Start with empty tables.

        Args:
            config: Limits.
            mailboxes: Of users who have signed off.
            turns: Of circuits that bring introductions or notices.
            network: Which network.
            identity: Of this relay; signs consent.
            has_user: Tells whether the registry knows a user.
            endpoints: This relay's own, as the registry has them now.
            stats: Counted into.
        """
        self.on_tag_changed: TagListener = lambda _tag, _change, _sequence: None
        self._config = config
        self._mailboxes = mailboxes
        self._turns = turns
        self._network = network
        self._identity = identity
        self._has_user = has_user
        self._endpoints = endpoints
        self._stats = stats
        self._circuits: dict[int, CircuitEntry] = {}
        self._tags = UserTable[bytes, TagEntry](lambda _, held: held.identity)
        self._last = UserTable[Line, LastRegistration](lambda line, _: line[0])
        self._pending = 0
        self._replays = ReplayMemory(
            config.introduction_memory, config.remembered_introductions
        )

    @property
    def tags_served(self) -> int:
        """How many tags have a circuit."""
        return len(self._tags)

    def circuits(self) -> dict[bytes, int]:
        """Return by tag the key of the circuit that serves it."""
        return {tag: held.circuit for tag, held in self._tags.rows.items()}

    def tag_state(self, tag: bytes, unix_now: float) -> TagState:
        """Tell where the user of a tag is."""
        held = self._tags.rows.get(tag)
        if held is not None and held.expires > unix_now:
            return TagState.HERE
        is_away = self._mailboxes.is_open(tag, unix_now)
        return TagState.AWAY if is_away else TagState.NONE

    def register(
        self,
        circuit: int,
        channel: bytes,
        data: bytes,
        *,
        now: Monotonic,
        unix_now: float,
    ) -> Registered:
        """Answer a registration that came over a circuit.

        Args:
            circuit: The circuit's key.
            channel: Hash of its handshake.
            data: The 474 bytes.
            now: For rates.
            unix_now: For everything signed.

        Raises:
            RegistrationRefusedError: And nothing else.
        """
        try:
            registered = self._register(circuit, channel, data, now, unix_now)
        except RegistrationRefusedError as refused:
            self._stats.registrations_refused[refused.reason] += 1
            raise
        self._stats.registered += 1
        return registered

    def _register(
        self,
        circuit: int,
        channel: bytes,
        data: bytes,
        now: Monotonic,
        unix_now: float,
    ) -> Registered:
        registration = Registration.decode(data)
        self._check_cheap(registration, channel, unix_now)
        state = self._circuits.setdefault(circuit, self._new_circuit())
        if not state.registrations.admit(now):
            _refuse(RegistrationRefusal.TOO_OFTEN)
        self._check_room(registration, unix_now)
        registration.check_signatures(self._network)
        self._agree(state, registration)
        self._take_note(state, circuit, registration)
        return self._consent(registration)

    def _check_cheap(
        self, registration: Registration, channel: bytes, unix_now: float
    ) -> None:
        if registration.node_id != self._identity.public:
            _refuse(RegistrationRefusal.OTHER_NODE)
        if not equal(registration.channel, channel):
            _refuse(RegistrationRefusal.OTHER_CIRCUIT)
        if not self._has_user(registration.identity):
            _refuse(RegistrationRefusal.UNKNOWN_USER)
        registration.check_time(unix_now)
        last = self._last.rows.get(_line(registration))
        if last is None:
            return
        is_repeated = last.digest == sha256(registration.raw)
        if registration.head.sequence <= last.sequence and not is_repeated:
            _refuse(RegistrationRefusal.OLD)

    def _check_room(self, registration: Registration, unix_now: float) -> None:
        """See that the tag is free or the user's own, and that the tables have room."""
        held = self._tags.rows.get(registration.tag)
        if held is not None and held.expires > unix_now:
            if held.identity != registration.identity:
                _refuse(RegistrationRefusal.TAG)
            return
        owner = self._mailboxes.owner(registration.tag, unix_now)
        if owner not in {None, registration.identity}:
            _refuse(RegistrationRefusal.TAG)
        if self._is_full(registration.identity):
            self.sweep(unix_now)
        if self._is_full(registration.identity):
            _refuse(RegistrationRefusal.FULL)

    def _is_full(self, user: UserId) -> bool:
        limit, own = self._config.max_tags, self._config.tags_per_user
        tags, last = self._tags, self._last
        is_full = len(tags) >= limit or len(last) >= _LINES_PER_TAG * limit
        return is_full or tags.of(user) >= own or last.of(user) >= _LINES_PER_TAG * own

    def _agree(self, state: CircuitEntry, registration: Registration) -> None:
        head = registration.head
        until = head.issued + 2 * CLOCK_SKEW
        digest = sha256(registration.raw)
        line = _line(registration)
        self._last.put(line, LastRegistration(head.sequence, digest, until))
        state.agreed.pop(line, None)
        state.agreed[line] = head.encode()
        while len(state.agreed) > _HEADS_AT_ONCE:
            del state.agreed[next(iter(state.agreed))]

    def _take_note(
        self, state: CircuitEntry, circuit: int, registration: Registration
    ) -> None:
        """Do what a registration means for its tag, and tell who watches it."""
        head, tag = registration.head, registration.tag
        held = self._tags.rows.get(tag)
        change: Change | None = None
        if head.slot == STATUS_SLOT:
            # A renewal says by a contact key of zeros that there is nothing to look for.
            is_news = held is not None and any(registration.contact_key)
            change = Change.STATUS if is_news else None
        elif head.lifetime > ONLINE_LIFETIME:
            is_news = head.sequence > self._mailboxes.sequence(tag)
            change = Change.ABSENT if is_news else None
            self._sign_off(registration)
        else:
            if held is not None and held.circuit != circuit:
                change = Change.MOVED
            self._serve_tag(state, circuit, registration)
        if change is not None:
            self.on_tag_changed(tag, change, head.sequence)

    def _sign_off(self, registration: Registration) -> None:
        """Make a mailbox of a tag."""
        head, tag, identity = registration.head, registration.tag, registration.identity
        held = self._tags.pop(tag)
        if held is not None:
            del self._circuits[held.circuit].tags[tag]
        gone = self._mailboxes.open(
            tag, identity, until=head.expires, sequence=head.sequence
        )
        for old in gone:
            self.on_tag_changed(old, Change.GONE, head.sequence)

    def _serve_tag(
        self, state: CircuitEntry, circuit: int, registration: Registration
    ) -> None:
        """Send introductions for the tag this way, taking it from an older circuit."""
        tag, identity, head = registration.tag, registration.identity, registration.head
        held = self._tags.rows.get(tag)
        if held is not None:
            del self._circuits[held.circuit].tags[tag]
        if held is not None and held.identity == identity:
            window = held.introductions
        else:
            window = SlidingWindow(self._config.introductions_per_minute, _MINUTE)
        entry = TagEntry(identity, circuit, head.expires, head.sequence, window)
        self._tags.put(tag, entry)
        state.tags[tag] = None
        while len(state.tags) > self._config.tags_per_circuit:
            oldest = next(iter(state.tags))
            del state.tags[oldest]
            self._end_tag(oldest)

    def _end_tag(self, tag: bytes) -> None:
        ended = self._tags.pop(tag)
        if ended is not None:
            self.on_tag_changed(tag, Change.GONE, ended.sequence)

    def _consent(self, registration: Registration) -> Registered:
        # Whoever asks for longer than a point vouches for its endpoints wants to be
        # known as absent: consent without endpoints says just that.
        is_online = registration.head.lifetime <= ONLINE_LIFETIME
        endpoints = self._endpoints()[:MAX_ENDPOINTS] if is_online else ()
        keys = (registration.contact_key, registration.tag)
        place = Place(NodeId(self._identity.public), *keys, endpoints)
        text = place.consent_text(self._network, registration.head.encode())
        return Registered(self._identity.sign(text), endpoints)

    def check_publication(
        self, circuit: int, record: bytes, *, now: Monotonic
    ) -> PublicationRefusal | None:
        """Tell whether a record is what was agreed over this circuit; None if so.

        Whether the record itself is good is up to the DHT, which parses it.
        """
        state = self._circuits.get(circuit)
        if state is None or record[:HEAD_SIZE] not in state.agreed.values():
            return PublicationRefusal.NOT_AGREED
        if not state.publications.admit(now):
            return PublicationRefusal.TOO_OFTEN
        return None

    def route_introduction(
        self, circuit: int, data: bytes, *, now: Monotonic, unix_now: float
    ) -> int | IntroductionStatus:
        """Return the key of the circuit to pass an introduction over, or the answer.

        After a key the owner must call `introduction_ended` once.

        Args:
            circuit: The caller's circuit; one introduction each, whatever becomes of
                it, and another one after a demand of work (`presence.turns`).
            data: The 1,520 bytes.
            now: For rates and replays.
            unix_now: For the life of the registration.
        """
        try:
            request = IntroduceRequest.decode(data)
        except DecodeError:
            return IntroductionStatus.REFUSED
        if self._turns.is_spent(circuit) or circuit in self._circuits:
            return IntroductionStatus.REFUSED
        if self._turns.is_full(circuit) or self._replays.is_full(now):
            return IntroductionStatus.BUSY
        self._turns.take(circuit)
        tag = self._tags.rows.get(request.tag)
        if tag is None or tag.expires <= unix_now:
            is_away = self._mailboxes.is_open(request.tag, unix_now)
            status = IntroductionStatus
            return status.ABSENT if is_away else status.NO_SUCH_TAG
        return self._admit_introduction(tag, sha256(request.sealed), now)

    def _admit_introduction(
        self, tag: TagEntry, digest: bytes, now: Monotonic
    ) -> int | IntroductionStatus:
        if digest in self._replays:
            return IntroductionStatus.REFUSED
        if self._pending >= self._config.pending_introductions:
            return IntroductionStatus.BUSY
        if not tag.introductions.admit(now):
            return IntroductionStatus.BUSY
        self._replays.remember(digest, now)
        self._pending += 1
        return tag.circuit

    def introduction_ended(self) -> None:
        """Count that an introduction is no longer under way."""
        self._pending -= 1

    def circuit_closed(self, circuit: int) -> None:
        """Forget everything about a circuit; any key is fine."""
        state = self._circuits.pop(circuit, None)
        if state is not None:
            for tag in state.tags:
                self._end_tag(tag)

    def sweep(self, unix_now: float) -> None:
        """Forget what has ended by itself; the owner calls this every minute or so."""
        for key, last in list(self._last.rows.items()):
            if last.until < unix_now:
                self._last.pop(key)
        for name, held in list(self._tags.rows.items()):
            if held.expires <= unix_now:
                del self._circuits[held.circuit].tags[name]
                self._end_tag(name)
        for name in self._mailboxes.sweep(unix_now):
            self.on_tag_changed(name, Change.GONE, 0)

    def _new_circuit(self) -> CircuitEntry:
        return CircuitEntry(
            SlidingWindow(self._config.registrations_per_minute, _MINUTE),
            SlidingWindow(self._config.publications_per_minute, _MINUTE),
        )


def _line(registration: Registration) -> Line:
    """Return within what the sequence of a registration must rise."""
    head = registration.head
    return registration.identity, head.blinded, head.slot


def _refuse(reason: RegistrationRefusal) -> None:
    raise RegistrationRefusedError(reason)

"""A registry and users in memory, for tests of presence and of whoever uses it."""

from collections.abc import Iterable, Mapping

from psp.crypto.blinding import PUBLIC_SECRET, Credential
from psp.crypto.keys import SigningKey
from psp.crypto.primitives import sha256, x25519_generate, x25519_public
from psp.directory.registry import NodeRecord, Source, WithoutNames
from psp.entropy import Entropy
from psp.ids import NodeId, UserId
from psp.netdoc.presence_inner import (
    ONLINE_LIFETIME,
    Place,
    Presence,
    read_records,
    seal,
)
from psp.netdoc.presence_keys import CLOCK_SKEW, DayKey, PresenceKey
from psp.netdoc.presence_record import (
    OuterRecord,
    RecordHead,
    locations_at,
    parse,
    periods_of,
)
from psp.netdoc.registration import sign_registration
from psp.runtime.ports import RefusedError
from psp.testing.memory_ports import MemoryCircuit
from psp.units import UnixTime
from psp.wire.endpoint import Endpoint
from psp.wire.lookup import (
    ANY_SLOT,
    LOOKUP_NONCE_SIZE,
    Found,
    FoundState,
    LookupRequest,
)
from psp.wire.network import Network
from psp.wire.presence import Published, Registered
from psp.wire.relay_message import RelayCommand

TEST_NETWORK = Network(31_337, bytes(19) + b"\x02")

NOON = 20_000 * 86_400 + 43_200
"""Unix seconds, far from the change of period."""


def random_value(period: int) -> bytes:
    """Return the 32 bytes of a period that every `MemoryRegistry` knows."""
    return sha256(b"psp-testing-presence", period.to_bytes(8))


def checked(
    raw: bytes,
    where: bytes | None = None,
    now: float = NOON,
    certified: bytes = b"",
) -> OuterRecord:
    """Parse a record of the test's network, as stores do before they keep it.

    Args:
        raw: The record.
        where: The location that it must belong to; None for any.
        now: Unix seconds.
        certified: What was certified before.

    Raises:
        RecordRefusedError: If it is none.
    """
    return parse(
        raw,
        network=TEST_NETWORK,
        random_value=random_value,
        unix_now=now,
        expected_location=where,
        certified=certified,
    )


class MemoryRegistry(WithoutNames):
    """A `psp.directory.registry.Registry` that a test changes by hand.

    Attributes:
        users: Who is registered.
        revoked_users: Who was.
        elected: The discovery nodes; call `changed` after touching any of these.
        retiring: Those of the list before.
        trusted: The partners' nodes.
        since: When the list came into force; 0 without an election.
    """

    def __init__(self, nodes: Iterable[NodeId], elected: Iterable[NodeId]) -> None:
        self.users: set[UserId] = set()
        self.revoked_users: set[UserId] = set()
        self.elected = set(elected)
        self.retiring: set[NodeId] = set()
        self.trusted: set[NodeId] = set()
        self.since = UnixTime(0)
        self._nodes = {
            node: NodeRecord(node, bytes(32), (_endpoint(i),), bytes(20))
            for i, node in enumerate(nodes)
        }
        self._sequence = 1

    network = TEST_NETWORK
    source = Source.TRUSTED
    issued = UnixTime(0)
    expires = UnixTime(1 << 40)

    @property
    def sequence(self) -> int:
        """Rises with every call of `changed`."""
        return self._sequence

    def changed(self) -> None:
        """Let readers notice a change."""
        self._sequence += 1

    def leave(self, node_id: NodeId) -> None:
        """Let a node be registered no longer."""
        self._nodes = {k: v for k, v in self._nodes.items() if k != node_id}
        self.elected.discard(node_id)
        self.retiring.discard(node_id)
        self.changed()

    def elect(self, elected: Iterable[NodeId], since: UnixTime) -> None:
        """Put a new list in force; those who are not on it retire."""
        newly = set(elected)
        self.retiring = self.elected - newly
        self.elected = newly
        self.since = since
        self.changed()

    def nodes(self) -> Mapping[NodeId, NodeRecord]:
        """Return every node."""
        return self._nodes

    def node(self, node_id: NodeId) -> NodeRecord | None:
        """Return a node's record, if it is registered."""
        return self._nodes.get(node_id)

    def has_user(self, user_id: UserId) -> bool:
        """Tell whether a user is registered."""
        return user_id in self.users

    def is_revoked_user(self, user_id: UserId) -> bool:
        """Tell whether a user is revoked."""
        return user_id in self.revoked_users

    def discovery_nodes(self) -> tuple[NodeId, ...]:
        """Return the elected nodes, sorted."""
        return tuple(sorted(self.elected))

    def retiring_nodes(self) -> tuple[NodeId, ...]:
        """Return the nodes of the list before, sorted."""
        return tuple(sorted(self.retiring))

    @property
    def elected_at(self) -> UnixTime:
        """When the list came into force."""
        return self.since

    def trusted_nodes(self) -> tuple[NodeId, ...]:
        """Return the partners' nodes, sorted."""
        return tuple(sorted(self.trusted))

    def random_value(self, period: int) -> bytes | None:
        """Return the random bytes of any period."""
        return random_value(period)


class PresenceUser:
    """A user with all keys, who registers and looks others up.

    Attributes:
        identity: The registered key.
        secret: The discovery secret.
        credential: What contacts find this user with.
        contact_private: X25519 private key for introductions.
        sequence: Of the last registration.
    """

    def __init__(
        self,
        entropy: Entropy,
        *,
        is_public: bool = False,
        network: Network = TEST_NETWORK,
    ) -> None:
        self.identity = SigningKey.generate(entropy)
        self.user_id = UserId(self.identity.public)
        self.secret = PUBLIC_SECRET if is_public else entropy.token(32)
        self.credential = Credential.derive(self.user_id, self.secret)
        self.contact_private = x25519_generate(entropy)
        self.sequence = 0
        self._network = network
        self._entropy = entropy

    def day_key(self, period: int) -> DayKey:
        """Make the key of one period."""
        return DayKey.make(
            self.identity, self.credential, self._network, period, self._entropy
        )

    def presence_key(self, unix_now: float) -> PresenceKey:
        """Make a key for registrations of the next day."""
        not_before = UnixTime(int(unix_now))
        return PresenceKey.make(self.identity, self._network, not_before, self._entropy)

    def place(self, node_id: NodeId, endpoints: tuple[Endpoint, ...] = ()) -> Place:
        """Return a place at a presence point, under a new tag."""
        contact = x25519_public(self.contact_private)
        return Place(node_id, contact, self._entropy.token(16), endpoints)

    def head(
        self,
        day: DayKey,
        unix_now: float,
        *,
        slot: int = 0,
        lifetime: int = ONLINE_LIFETIME,
    ) -> RecordHead:
        """Return the head of a new record, with the next sequence number."""
        milliseconds = int(unix_now * 1_000)
        is_ahead = self.sequence > milliseconds + CLOCK_SKEW * 1_000
        self.sequence = (
            milliseconds if is_ahead else max(self.sequence + 1, milliseconds)
        )
        issued = UnixTime(int(unix_now))
        return RecordHead.under(day, slot, self.sequence, issued, lifetime)

    def record(
        self, head: RecordHead, place: Place, consent: bytes, day: DayKey
    ) -> bytes:
        """Return the sealed record."""
        return seal(
            head.encode(),
            place,
            consent,
            day=day,
            credential=self.credential,
            network=self._network,
            entropy=self._entropy,
        )

    def agreed_record(
        self,
        relay: SigningKey,
        unix_now: float,
        *,
        slot: int = 0,
        lifetime: int = ONLINE_LIFETIME,
        period: int | None = None,
    ) -> bytes:
        """Return a good record without any service: ``relay`` agrees at once."""
        number = periods_of(unix_now, 0)[-1] if period is None else period
        day = self.day_key(number)
        head = self.head(day, unix_now, slot=slot, lifetime=lifetime)
        endpoints = (_endpoint(0),) if lifetime <= ONLINE_LIFETIME else ()
        place = self.place(NodeId(relay.public), endpoints)
        consent = relay.sign(place.consent_text(self._network, head.encode()))
        return self.record(head, place, consent, day)

    async def appear(
        self,
        circuit: MemoryCircuit,
        node_id: NodeId,
        unix_now: float,
        *,
        slot: int = 0,
        lifetime: int = ONLINE_LIFETIME,
        place: Place | None = None,
    ) -> int:
        """Register over a circuit and publish; return the fewest nodes that store it.

        Near midnight there is one record for each period.

        Raises:
            RefusedError: If the relay refuses.
        """
        stored = []
        where = place or self.place(node_id)
        for period in periods_of(int(unix_now), lifetime):
            day = self.day_key(period)
            head = self.head(day, unix_now, slot=slot, lifetime=lifetime)
            registration = sign_registration(
                self.user_id,
                self.presence_key(unix_now),
                network=self._network,
                channel=circuit.peer.handshake_hash,
                head=head,
                place=where,
            )
            answer = await circuit.request(RelayCommand.REGISTER, registration)
            registered = Registered.decode(answer)
            agreed = Place(node_id, where.contact_key, where.tag, registered.endpoints)
            record = self.record(head, agreed, registered.cosignature, day)
            answer = await circuit.request(RelayCommand.PUBLISH, record)
            stored.append(Published.decode(answer).stored)
        return min(stored)


async def look_up(
    circuits: Iterable[MemoryCircuit],
    credential: Credential,
    registry: MemoryRegistry,
    unix_now: float,
    *,
    slot: int = ANY_SLOT,
) -> tuple[list[Presence], list[FoundState]]:
    """Ask several gateways for a user; return what counts, and every answer's state."""
    raws, states = [], []
    for location in locations_at(credential, unix_now, registry.random_value).values():
        for number, circuit in enumerate(circuits):
            # A test needs no nonce that others cannot guess.
            nonce = bytes([number]) * LOOKUP_NONCE_SIZE
            request = LookupRequest(location, slot, nonce).encode()
            try:
                answer = await circuit.request(RelayCommand.LOOKUP, request)
            except RefusedError:
                states.append(FoundState.COULD_NOT_ASK)
                continue
            found = Found.decode(answer)
            states.append(found.state)
            raws.append(found.record)
    presences = read_records(
        raws,
        credential=credential,
        network=registry.network,
        random_value=registry.random_value,
        unix_now=unix_now,
        is_relay=lambda node: registry.node(node) is not None,
    )
    return presences, states


def _endpoint(index: int) -> Endpoint:
    return Endpoint(f"10.{index // 250}.{index % 250}.1", 443)

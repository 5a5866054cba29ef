"""One registration: a circuit to a presence point and the records it announces.

::

    Alice --REGISTER--> C   signed, bound to C, to this circuit and to the network
    Alice <-REGISTERED- C   C's co-signature and endpoints
    Alice --PUBLISH---> C   the record; C stores it in the DHT

A record lives 30 minutes and is renewed every 10 over the same circuit, under both
periods near midnight (R-PRE-1, R-PRE-3), and for public users under both credentials.
All of them have one sequence: whoever holds several cards of a user takes none of them
for an old one. A status is registered for likewise, in a slot of its own.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from psp.client.announcing.visibility import Visibility
from psp.client.circuit import Circuit
from psp.client.context import ClientContext
from psp.client.errors import KeysEndedError
from psp.client.identities.identity import Identity
from psp.crypto import primitives
from psp.crypto.blinding import Credential
from psp.crypto.keys import verify
from psp.errors import RemoteProtocolError
from psp.netdoc.node_record import NodeRecord
from psp.netdoc.presence_inner import Place, seal
from psp.netdoc.presence_keys import DayKey
from psp.netdoc.presence_record import (
    STATUS_LIFETIME,
    STATUS_SLOT,
    RecordHead,
    period_at,
    periods_of,
)
from psp.netdoc.presence_status import Status, seal_status
from psp.netdoc.registration import sign_registration
from psp.units import UnixTime
from psp.wire.presence import Published, Registered
from psp.wire.relay_message import RelayCommand

RECORD_LIFETIME = 1800
"""Seconds (SPEC.md section 6: half an hour)."""
ABSENCE_LIFETIME = 86_400
"""Seconds: a record that lives longer than half an hour says that the user is away."""


@dataclass(slots=True)
class PresenceRegistration:
    """One presence point that announces this user over one circuit.

    Attributes:
        slot: 0 … 2, which of the user's points it is.
        circuit: Ends at the point; lives as long as the registration.
        tag: 16 bytes by which introductions name the user there.
        contact_private: X25519 key that introductions are sealed to.
        stored: On how many discovery nodes the newest record lies.
        awaited: Periods that the newest record belongs to, but was not published
            under, as their random value was not known.
    """

    slot: int
    circuit: Circuit
    tag: bytes = field(repr=False)
    contact_private: bytes = field(repr=False)
    stored: int = 0
    awaited: frozenset[int] = frozenset()

    @property
    def point(self) -> NodeRecord:
        """The presence point's record."""
        return self.circuit.path[-1]


def new_registration(
    context: ClientContext, slot: int, circuit: Circuit
) -> PresenceRegistration:
    """Return a registration with fresh keys; `announce` makes it known."""
    return PresenceRegistration(
        slot,
        circuit,
        context.entropy.token(16),
        primitives.x25519_generate(context.entropy),
    )


async def announce(
    context: ClientContext,
    identity: Identity,
    registration: PresenceRegistration,
    sequence: int,
    lifetime: int = RECORD_LIFETIME,
    *,
    visibility: Visibility = Visibility.CONTACTS,
) -> int:
    """Register and publish, or renew; return how many discovery nodes store it.

    Args:
        context: What the client shares.
        identity: Who registers.
        registration: Where, over which circuit.
        sequence: Higher than any before.
        lifetime: Seconds; `ABSENCE_LIFETIME` for a signed absence.
        visibility: Who may find the record.

    Raises:
        RequestError: If the presence point refuses or is silent.
        CircuitError: If the circuit ends.
        RemoteProtocolError: If its answer does not verify.
        KeysEndedError: If the keys on this host are over.
        ConfigError: If they are for another network or visibility.
    """
    network, entropy = context.registry.network, context.entropy

    def sealed(face: _Face, head: RecordHead, place: Place, consent: bytes) -> bytes:
        return seal(
            head.encode(),
            place,
            consent,
            day=face.day,
            credential=face.credential,
            network=network,
            entropy=entropy,
        )

    form = _Form(registration.slot, sequence, _now(context), lifetime)
    publisher = _Publisher(context, identity, registration, form, sealed)
    faces, awaited = publisher.faces(visibility)
    registration.stored, missing = await publisher.publish(faces)
    registration.awaited = awaited | missing
    return registration.stored


async def announce_status(
    context: ClientContext,
    identity: Identity,
    registration: PresenceRegistration,
    sequence: int,
    status: Status,
    *,
    visibility: Visibility = Visibility.CONTACTS,
    is_renewal: bool = False,
) -> int:
    """Publish a status over a registration; return how many discovery nodes store it.

    The other arguments and errors are those of `announce`.

    Args:
        context: What the client shares.
        identity: Whose status it is.
        registration: Over which circuit.
        sequence: Higher than any before.
        status: What to publish.
        visibility: Who may find it.
        is_renewal: It says what the last one said: watchers need not be told.
    """
    network, entropy = context.registry.network, context.entropy

    def sealed(face: _Face, head: RecordHead, _: Place, __: bytes) -> bytes:
        return seal_status(
            head.encode(),
            status,
            day=face.day,
            credential=face.credential,
            network=network,
            entropy=entropy,
        )

    form = _Form(
        STATUS_SLOT, sequence, _now(context), STATUS_LIFETIME, tells=not is_renewal
    )
    publisher = _Publisher(context, identity, registration, form, sealed)
    faces, _ = publisher.faces(visibility)
    stored, _ = await publisher.publish(faces)
    return stored


@dataclass(frozen=True, slots=True)
class _Face:
    """One of the records that say the same: of one period, for those with one secret.

    Attributes:
        day: Signs it.
        credential: Finds and opens it.
    """

    day: DayKey
    credential: Credential = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Form:
    """What all faces have in common; the first fields are those of `RecordHead`.

    Attributes:
        tells: Watchers are to be told; a status that is merely renewed is registered
            with zeros for a contact key.
    """

    slot: int
    sequence: int
    issued: UnixTime
    lifetime: int
    tells: bool = True


_Sealer = Callable[[_Face, RecordHead, Place, bytes], bytes]


@dataclass(frozen=True, slots=True)
class _Publisher:
    """Publishes what a user says, under every period and credential it belongs to."""

    context: ClientContext
    identity: Identity
    registration: PresenceRegistration
    form: _Form
    sealed: _Sealer

    def faces(self, visibility: Visibility) -> tuple[list[_Face], frozenset[int]]:
        """Return what to publish, and the periods that nobody can look up yet."""
        registry, identity = self.context.registry, self.identity
        credentials = [(identity.credential, False)]
        if visibility is Visibility.PUBLIC and not identity.is_public:
            credentials.append((Credential.derive(identity.user_id), True))
        faces: list[_Face] = []
        awaited: set[int] = set()
        ended: KeysEndedError | None = None
        for period in periods_of(self.form.issued, self.form.lifetime):
            if registry.random_value(period) is None:
                awaited.add(period)
                continue
            for credential, as_public in credentials:
                try:
                    day = identity.day_key(
                        registry.network,
                        period,
                        self.context.entropy,
                        as_public=as_public,
                    )
                except KeysEndedError as error:  # made ahead; others may be left
                    ended = error
                else:
                    faces.append(_Face(day, credential))
        if ended is not None and not faces:
            raise ended
        return faces, frozenset(awaited)

    async def publish(self, faces: list[_Face]) -> tuple[int, frozenset[int]]:
        """Publish all faces at once.

        Returns:
            The fewest discovery nodes that store one that is looked for now, and the
            other periods of which none is stored: nodes may learn of a day later.
        """
        outcomes = await asyncio.gather(
            *map(self._publish, faces), return_exceptions=True
        )
        stored: dict[int, int] = {}
        for face, outcome in zip(faces, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                raise outcome
            period = face.day.period
            stored[period] = min(outcome, stored.get(period, outcome))
        missing = frozenset(
            period for period, on_nodes in stored.items() if not on_nodes
        )
        today = period_at(self.form.issued)
        least = min(stored.values(), default=0)
        return stored.get(today, least), missing - {today}

    def _contact_key(self) -> bytes:
        if not self.form.tells:
            return bytes(primitives.KEY_SIZE)
        return primitives.x25519_public(self.registration.contact_private)

    async def _publish(self, face: _Face) -> int:
        form, circuit = self.form, self.registration.circuit
        network = self.context.registry.network
        head = RecordHead.under(
            face.day, form.slot, form.sequence, form.issued, form.lifetime
        )
        place = Place(
            self.registration.point.node_id,
            self._contact_key(),
            self.registration.tag,
            endpoints=(),  # the point's own, as it says in its answer
        )
        text = sign_registration(
            self.identity.user_id,
            self.identity.signer(self.context.unix_time()),
            network=network,
            channel=circuit.handshake_hash,
            head=head,
            place=place,
        )
        answer = Registered.decode(await circuit.request(RelayCommand.REGISTER, text))
        agreed = replace(place, endpoints=answer.endpoints)
        consent_text = agreed.consent_text(network, head.encode())
        if not verify(place.node_id, consent_text, answer.cosignature):
            raise RemoteProtocolError("the presence point's co-signature is wrong")
        record = self.sealed(face, head, agreed, answer.cosignature)
        published = await circuit.request(RelayCommand.PUBLISH, record)
        return Published.decode(published).stored


def _now(context: ClientContext) -> UnixTime:
    return UnixTime(int(context.unix_time()))

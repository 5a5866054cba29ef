"""One registration: a circuit to a presence point and the records it announces.

::

    Alice --REGISTER--> C   signed, bound to C, to this circuit and to the network
    Alice <-REGISTERED- C   C's co-signature and endpoints
    Alice --PUBLISH---> C   the record; C stores it in the DHT

A record lives 30 minutes and is renewed every 10 over the same circuit, under both
periods near midnight (R-PRE-1, R-PRE-3).
"""

from dataclasses import dataclass, field, replace

from psp.client.circuit import Circuit
from psp.client.context import ClientContext
from psp.client.identity import ClientIdentity
from psp.crypto import primitives
from psp.crypto.keys import verify
from psp.errors import RemoteProtocolError
from psp.netdoc.node_record import NodeRecord
from psp.netdoc.presence_inner import Place, seal
from psp.netdoc.presence_keys import DayKey
from psp.netdoc.presence_record import RecordHead, periods_of
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
    """

    slot: int
    circuit: Circuit
    tag: bytes = field(repr=False)
    contact_private: bytes = field(repr=False)
    stored: int = 0

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
    identity: ClientIdentity,
    registration: PresenceRegistration,
    sequence: int,
    lifetime: int = RECORD_LIFETIME,
) -> int:
    """Register and publish, or renew; return how many discovery nodes store it.

    Args:
        context: What the client shares.
        identity: Who registers.
        registration: Where, over which circuit.
        sequence: Higher than any before.
        lifetime: Seconds; `ABSENCE_LIFETIME` for a signed absence.

    Raises:
        RequestError: If the presence point refuses or is silent.
        CircuitError: If the circuit ends.
        RemoteProtocolError: If its answer does not verify.
    """
    issued = UnixTime(int(context.unix_time()))
    stored = 0
    for period in periods_of(issued, lifetime):
        if context.registry.random_value(period) is None:
            continue  # a period nobody can look up yet
        day = identity.day_key(context.registry.network, period, context.entropy)
        head = RecordHead.under(day, registration.slot, sequence, issued, lifetime)
        on_nodes = await _announce_period(context, identity, registration, day, head)
        stored = max(stored, on_nodes)
    registration.stored = stored
    return stored


async def _announce_period(
    context: ClientContext,
    identity: ClientIdentity,
    registration: PresenceRegistration,
    day: DayKey,
    head: RecordHead,
) -> int:
    network, circuit = context.registry.network, registration.circuit
    place = Place(
        registration.point.node_id,
        primitives.x25519_public(registration.contact_private),
        registration.tag,
        endpoints=(),  # the point's own, as it says in its answer
    )
    text = sign_registration(
        identity.user_id,
        identity.key,
        network=network,
        channel=circuit.handshake_hash,
        head=head,
        place=place,
    )
    answer = Registered.decode(await circuit.request(RelayCommand.REGISTER, text))
    consented = replace(place, endpoints=answer.endpoints)
    consent_text = consented.consent_text(network, head.encode())
    if not verify(place.node_id, consent_text, answer.cosignature):
        raise RemoteProtocolError("the presence point's co-signature does not verify")
    record = seal(
        head.encode(),
        consented,
        answer.cosignature,
        day=day,
        credential=identity.credential,
        network=network,
        entropy=context.entropy,
    )
    published = await circuit.request(RelayCommand.PUBLISH, record)
    return Published.decode(published).stored

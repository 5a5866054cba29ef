"""A client's calls over circuits in memory, for the tests of both sides."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from psp.client.announcing.registration import PresenceRegistration, new_registration
from psp.client.calls.calls import Calls
from psp.client.calls.introduction_gate import GateConfig
from psp.client.circuit import Circuit, RequestError
from psp.client.identities.identity import ClientIdentity
from psp.client.lookups.lookup import LookupResult, PresenceState
from psp.crypto.keys import SigningKey
from psp.crypto.primitives import x25519_public
from psp.crypto.session import SessionInitiator
from psp.crypto.work import search
from psp.ids import COOKIE_SIZE, Cookie, NodeId, UserId
from psp.netdoc.introduction import (
    Introduction,
    seal_introduction,
)
from psp.netdoc.presence_inner import Place, Presence
from psp.netdoc.presence_record import RecordHead
from psp.netdoc.ticket import (
    NO_TICKET,
    make_ticket,
    ticket_id,
)
from psp.path.selection import Purpose
from psp.testing.client_circuits import (
    MemoryBuilder,
    MemoryClientCircuit,
    client_context,
)
from psp.testing.entropy import SeededEntropy
from psp.testing.hub import SimHub
from psp.testing.presence import MemoryRegistry
from psp.testing.simloop import run_simulation
from psp.units import UnixTime
from psp.wire.cell import Reason
from psp.wire.presence import (
    IntroduceRequest,
    IntroductionAnswer,
    IntroductionStatus,
)
from psp.wire.relay_message import RelayCommand

if TYPE_CHECKING:
    from psp.client.network import ClientNetwork

NODES = [
    NodeId(SigningKey.generate(SeededEntropy(f"node {number}")).public)
    for number in range(6)
]
POINT, RENDEZVOUS = NODES[4], NODES[5]
ALICE = ClientIdentity.generate(SeededEntropy("alice"), "Alice")


@dataclass(frozen=True)
class Holder:
    """A contact that has a ticket key of ours."""

    name: str
    key: bytes
    identity: UserId | None = None


class Silent:
    """A network that carries no blocks."""

    def send_blocks(self, circuit: object, blocks: list[bytes]) -> None:
        pass


class Rig:
    """One client's calls, over circuits that `answers` answers."""

    def __init__(
        self,
        hub: SimHub,
        identity: ClientIdentity | None = ALICE,
        gate: GateConfig | None = None,
    ) -> None:
        self.hub = hub
        self.registry = MemoryRegistry(NODES, NODES[:3])
        self.status: dict[NodeId, IntroductionStatus | None] = {}
        self.delays: dict[NodeId, float] = {}
        self.introduced: list[NodeId] = []
        self.requests: list[IntroduceRequest] = []
        self.wanted: dict[NodeId, int] = {}
        self.builder = MemoryBuilder(self.registry, self._answer)
        self.context = client_context(hub, self.registry)
        network = cast("ClientNetwork", Silent())
        self.contacts: dict[bytes, Holder] = {}
        self.calls = Calls(
            self.context,
            network,
            self.builder.as_builder(),
            identity,
            contact_of=self.contacts.get,
            gate=gate,
        )
        self.entropy = SeededEntropy("rig")

    async def _answer(
        self, circuit: MemoryClientCircuit, command: RelayCommand, data: bytes
    ) -> bytes:
        await asyncio.sleep(0.1)
        if command is not RelayCommand.INTRODUCE:
            return b""
        point = circuit.path[-1].node_id
        self.introduced.append(point)
        self.requests.append(IntroduceRequest.decode(data))
        await asyncio.sleep(self.delays.get(point, 0.0))
        status = self.status.get(point, IntroductionStatus.DELIVERED)
        if status is None:
            raise RequestError(command, Reason.TIMEOUT)
        effort = self.wanted.pop(point, 0)
        if effort:
            status = IntroductionStatus.WORK_NEEDED
            return IntroductionAnswer(status, effort).encode()
        return IntroductionAnswer(status).encode()

    def registration(self) -> PresenceRegistration:
        circuit = MemoryClientCircuit(
            Purpose.REGISTRATION, self.registry.nodes()[POINT], self._answer
        )
        return new_registration(self.context, 0, cast("Circuit", circuit))

    def introduction(
        self,
        registration: PresenceRegistration,
        *,
        expires_in: float = 60.0,
        cookie: bytes | None = None,
        point: NodeId = POINT,
        is_intact: bool = True,
        ticket_key: bytes = b"",
        effort: int = 0,
        work_nonce: bytes | None = None,
        change: Callable[[Introduction], Introduction] = lambda plain: plain,
    ) -> bytes:
        contact_key = x25519_public(registration.contact_private)
        where = Cookie(cookie or self.entropy.token(COOKIE_SIZE))
        initiator = SessionInitiator(
            network=self.registry.network.encode(),
            cookie=where,
            callee=ALICE.user_id,
            contact_key=contact_key,
            caller=None,
            entropy=self.entropy,
        )
        plain = Introduction(
            expiry=UnixTime(int(self.hub.unix_time() + expires_in)),
            rendezvous=RENDEZVOUS,
            endpoint=self.registry.nodes()[RENDEZVOUS].endpoints[0],
            cookie=where,
            ticket=NO_TICKET,
            noise_message=initiator.message_1 if is_intact else bytes(1232),
        )
        if ticket_key:
            scope = plain.scope(self.registry.network, ALICE.user_id, point)
            plain = replace(plain, ticket=make_ticket(ticket_key, scope, self.entropy))
        if effort:
            challenge = plain.work_challenge(contact_key)
            nonce = work_nonce or search(challenge, effort, 0, 1 << 20)
            plain = replace(plain, effort=effort, work_nonce=nonce or bytes(16))
        plain = change(plain)
        sealed = seal_introduction(
            plain, contact_key, network=self.registry.network, presence_point=point
        )
        return IntroduceRequest(registration.tag, sealed).encode()

    def invite(self, name: str) -> bytes:
        key = self.entropy.token(32)
        self.contacts[ticket_id(key)] = Holder(name, key)
        return key

    async def take(
        self, registration: PresenceRegistration, data: bytes
    ) -> IntroductionStatus:
        answer = await self.calls.take_introduction(registration, data)
        return answer.status

    async def ring(self, registration: PresenceRegistration, **settings: Any):
        return await self.take(
            registration, self.introduction(registration, **settings)
        )

    def presence(self, point: NodeId) -> Presence:
        head = RecordHead(0, 1, bytes(32), bytes(32), bytes(64), 1, UnixTime(0), 1800)
        key = x25519_public(self.entropy.token(32))
        return Presence(head, Place(point, key, bytes(16), ()))

    def found(self, *points: NodeId) -> LookupResult:
        presences = tuple(map(self.presence, points))
        state = PresenceState.ONLINE if points else PresenceState.OFFLINE
        return LookupResult(state, presences, 2)


def simulate(main, identity: ClientIdentity | None = ALICE, gate=None):
    async def run(hub: SimHub):
        rig = Rig(hub, identity, gate)
        try:
            return await main(rig)
        finally:
            await rig.calls.close()

    return run_simulation(run)


def simulate_with(rig_of, main):
    """Run a test with a rig of its own, which must leave no circuit open."""

    async def run(hub: SimHub):
        rig = rig_of(hub)
        result = await main(rig)
        assert not any(circuit.is_open for circuit in rig.builder.opened)
        return result

    return run_simulation(run)


DELIVERED, REFUSED = IntroductionStatus.DELIVERED, IntroductionStatus.REFUSED
BUSY, WORK_NEEDED = IntroductionStatus.BUSY, IntroductionStatus.WORK_NEEDED

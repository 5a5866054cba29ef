"""A caller who rings a thousand times, through a presence point, at a callee's client."""

import asyncio
from dataclasses import dataclass, replace
from typing import cast

from presence.config import PresenceConfig
from psp.client.announcing.registration import PresenceRegistration
from psp.client.calls.calls import Calls
from psp.client.circuit import Circuit
from psp.client.identities.identity import ClientIdentity
from psp.crypto.primitives import x25519_public
from psp.ids import COOKIE_SIZE, Cookie
from psp.netdoc.introduction import Introduction, seal_introduction
from psp.netdoc.ticket import NO_TICKET, make_ticket, ticket_id
from psp.path.selection import Purpose
from psp.testing.client_circuits import (
    MemoryBuilder,
    MemoryClientCircuit,
    client_context,
    nobody_answers,
)
from psp.testing.simloop import run_simulation
from psp.units import UnixTime
from psp.wire.presence import (
    IntroduceRequest,
    IntroductionAnswer,
    IntroductionStatus,
)
from psp.wire.relay_message import RelayCommand

RINGS = 1_000
PER_SECOND = 25
"""From one flooder: each ring costs a circuit, of which a guard lets it build 3 a second."""


@dataclass(frozen=True)
class Holder:
    name: str
    key: bytes


class Scene:
    """Alice at one presence point; who calls is only as real as an introduction."""

    def __init__(self, hub, world):
        self.world = world
        self.alice = world.user()
        self.relay = world.plain[0]
        self.builder = MemoryBuilder(world.registry, nobody_answers)
        self.key = world.entropy.token(32)
        holders = {ticket_id(self.key): Holder("bob", self.key)}
        identity = ClientIdentity(self.alice.identity, bytes(32))
        self.calls = Calls(
            replace(client_context(hub, world.registry), unix_time=world.clock),
            cast("object", None),
            self.builder.as_builder(),
            identity,
            contact_of=holders.get,
        )
        node = world.registry.nodes()[self.relay.node_id]
        circuit = MemoryClientCircuit(Purpose.REGISTRATION, node, nobody_answers)
        self.tag = None
        self.registration = PresenceRegistration(
            0, cast("Circuit", circuit), bytes(16), self.alice.contact_private
        )

    async def appear(self):
        async def answering(command, data):
            assert command is RelayCommand.INTRODUCTION
            answer = await self.calls.take_introduction(self.registration, data)
            return answer.encode()

        circuit = self.relay.circuits.open(answering)
        await self.alice.appear(circuit, self.relay.node_id, self.world.clock())
        (self.tag,) = self.relay.service.point._tags.rows

    async def ring(self, *, ticket=False):
        entropy, node = self.world.entropy, self.relay.node_id
        cookie = Cookie(entropy.token(COOKIE_SIZE))
        record = self.world.registry.nodes()[node]
        plain = Introduction(
            UnixTime(int(self.world.clock()) + 60),
            node,
            record.endpoints[0],
            cookie,
            NO_TICKET,
            bytes(1_232),
        )
        if ticket:
            scope = plain.scope(self.world.registry.network, self.alice.user_id, node)
            plain = replace(plain, ticket=make_ticket(self.key, scope, entropy))
        sealed = seal_introduction(
            plain,
            x25519_public(self.alice.contact_private),
            network=self.world.registry.network,
            presence_point=node,
        )
        circuit = self.relay.circuits.open()
        data = IntroduceRequest(self.tag, sealed).encode()
        answer = await circuit.request(RelayCommand.INTRODUCE, data)
        circuit.close()
        return IntroductionAnswer.decode(answer).status


def test_a_caller_who_rings_a_thousand_times_keeps_no_contact_out(new_world):
    async def main(hub):
        world = new_world(3, 1)
        scene = Scene(hub, world)
        await scene.appear()
        statuses, contact = [], []
        for number in range(RINGS):
            statuses.append(await scene.ring())
            if number % 200 == 100:
                contact.append(await scene.ring(ticket=True))
            await asyncio.sleep(1 / PER_SECOND)
        ringing = len(scene.calls.ringing)
        opened = scene.builder.opened
        await scene.calls.close()
        await world.close()
        return statuses, contact, ringing, opened

    statuses, contact, ringing, opened = run_simulation(main)

    delivered = IntroductionStatus.DELIVERED
    assert contact == [delivered] * 5
    assert statuses.count(delivered) == 5
    assert statuses.count(IntroductionStatus.WORK_NEEDED) == RINGS - 5
    assert ringing == 10
    assert opened == []


def test_a_flood_beyond_a_points_own_limit_is_busy_there(new_world):
    config = PresenceConfig()

    async def main(hub):
        world = new_world(3, 1)
        scene = Scene(hub, world)
        await scene.appear()
        limit = config.point.introductions_per_minute
        statuses = [await scene.ring() for _ in range(limit + 10)]
        await asyncio.sleep(60)
        later = await scene.ring(ticket=True)
        await scene.calls.close()
        await world.close()
        return statuses[-10:], later

    last, later = run_simulation(main)

    assert last == [IntroductionStatus.BUSY] * 10
    assert later is IntroductionStatus.DELIVERED

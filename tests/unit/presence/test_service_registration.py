"""What a presence service refuses to register and to publish."""

import pytest

from presence.config import PointConfig, PresenceConfig
from psp.runtime.ports import RefusedError
from psp.wire.cell import Reason
from psp.wire.relay_message import RelayCommand
from tests.unit.presence.rig import appear, in_simulation


def test_registration_and_record_are_refused_over_another_circuit(new_world):
    async def main():
        world = new_world()
        alice, point = world.user(), world.plain[0]
        good, bad = point.circuits.open(), point.circuits.open()
        stolen = []

        class Tap:
            peer = good.peer

            async def request(self, command, data):
                stolen.append((command, data))
                return await good.request(command, data)

        await alice.appear(Tap(), point.node_id, world.clock())

        for command, data in stolen:
            with pytest.raises(RefusedError) as caught:
                await bad.request(command, data)
            assert caught.value.reason is Reason.REFUSED
        for command, data in stolen[:1]:
            elsewhere = world.plain[1].circuits.open()
            with pytest.raises(RefusedError):
                await elsewhere.request(command, data)
        await world.close()

    in_simulation(main)


def test_agreed_head_over_a_forged_record_is_not_published(new_world):
    async def main():
        world = new_world()
        alice, point = world.user(), world.plain[0]
        circuit = point.circuits.open()

        class Forge:
            peer = circuit.peer

            async def request(self, command, data):
                if command is RelayCommand.PUBLISH:
                    data = data[:-1] + bytes([data[-1] ^ 1])
                return await circuit.request(command, data)

        with pytest.raises(RefusedError):
            await alice.appear(Forge(), point.node_id, world.clock())

        assert point.service.stats.publications_refused == {"signature": 1}
        assert sum(len(relay.service.records) for relay in world.relays) == 0
        await world.close()

    in_simulation(main)


def test_limits_of_registration_are_told_as_limits(new_world):
    async def main():
        limits = PointConfig(registrations_per_minute=1)
        world = new_world(3, 1, config=PresenceConfig(point=limits))
        alice, point = world.user(), world.plain[0]
        circuit, _ = await appear(world, alice, point)

        with pytest.raises(RefusedError) as caught:
            await alice.appear(circuit, point.node_id, world.clock())

        assert caught.value.reason is Reason.RESOURCE_LIMIT
        await world.close()

    in_simulation(main)


def test_revoked_user_cannot_renew(new_world):
    async def main():
        world = new_world()
        alice, point = world.user(), world.plain[0]
        circuit, _ = await appear(world, alice, point)
        world.registry.users.clear()

        with pytest.raises(RefusedError):
            await alice.appear(circuit, point.node_id, world.clock())
        await world.close()

    in_simulation(main)

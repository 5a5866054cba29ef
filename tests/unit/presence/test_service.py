from psp.testing.presence import look_up
from psp.testing.simloop import run_simulation
from psp.units import Seconds
from psp.wire.presence import FoundState


def in_simulation(main, **settings):
    async def run(hub):
        return await main()

    return run_simulation(run, within=Seconds(20_000.0), **settings)


def test_user_who_appears_is_found_through_any_relay(new_world):
    async def main():
        world = new_world()
        alice = world.user()
        point = world.plain[0]

        stored = await alice.appear(point.circuits.open(), point.node_id, world.clock())

        assert stored == 8
        gateways = [world.plain[1].circuits.open(), world.members[0].circuits.open()]
        found, states = await look_up(
            gateways, alice.credential, world.registry, world.clock()
        )
        assert states == [FoundState.RECORD] * 2
        assert found[0].place.node_id == point.node_id
        assert found[0].place.endpoints == world.registry.node(point.node_id).endpoints
        await world.close()

    in_simulation(main)

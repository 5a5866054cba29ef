"""Running a test of presence services in virtual time, and what its users do."""

from psp.testing.presence import look_up
from psp.testing.simloop import run_simulation
from psp.units import Seconds

NONCE = b"n" * 16


def in_simulation(main, **settings):
    async def run(hub):
        return await main()

    return run_simulation(run, within=Seconds(200_000.0), **settings)


async def appear(world, user, relay, **settings):
    circuit = relay.circuits.open(settings.pop("answering", None))
    stored = await user.appear(circuit, relay.node_id, world.clock(), **settings)
    return circuit, stored


async def find(world, user, *gateways, credential=None, **settings):
    circuits = [gateway.circuits.open() for gateway in gateways]
    return await look_up(
        circuits,
        credential or user.credential,
        world.registry,
        world.clock(),
        **settings,
    )

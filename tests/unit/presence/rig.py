"""Running a test of presence services in virtual time."""

from psp.testing.simloop import run_simulation
from psp.units import Seconds


def in_simulation(main, **settings):
    async def run(hub):
        return await main()

    return run_simulation(run, within=Seconds(200_000.0), **settings)

"""Circuits built ahead (psp/client/lookups/spare_circuits.py)."""

import asyncio

import pytest

from psp.client.lookups.spare_circuits import SpareCircuits, SpareConfig
from psp.errors import PspError
from psp.path.selection import Purpose
from psp.testing.client_circuits import client_context
from tests.unit.psp.client.lookups.gateways import Gateways, at_noon


def spares_of(hub, gateways, **config):
    return SpareCircuits(
        client_context(hub, gateways.registry),
        gateways.builder.as_builder(),
        gateways.as_directory(),
        SpareConfig(**config),
    )


def open_circuits(gateways):
    return gateways.builder.open_for(Purpose.LOOKUP)


def simulated(test):
    async def main(hub):
        await test(hub)

    def run():
        at_noon(main)

    run.__name__ = test.__name__
    run.__doc__ = test.__doc__
    return run


@simulated
async def test_four_stand_ready_to_different_nodes_and_serve_once(hub):
    gateways = Gateways()
    spares = spares_of(hub, gateways)
    assert len(spares) == 0
    spares.start()
    await spares.wait_until_ready()

    picked = []
    for _ in range(4):
        picked.append(spares.pick(picked))
    assert picked == gateways.ids[:4]
    start = hub.unix_time()
    circuits = [await spares.open(gateway) for gateway in picked]
    assert hub.unix_time() == start
    assert [circuit.path[-1].node_id for circuit in circuits] == picked
    assert len(spares) == 0

    await spares.wait_until_ready()
    assert len(open_circuits(gateways)) == 8
    await spares.close()
    assert len(open_circuits(gateways)) == 4


@simulated
async def test_two_who_pick_at_once_get_different_circuits(hub):
    gateways = Gateways()
    spares = spares_of(hub, gateways)
    spares.start()
    await spares.wait_until_ready()

    one, other = spares.pick([]), spares.pick([])

    assert one != other
    assert await spares.open(one) is not await spares.open(other)
    await spares.close()


@simulated
async def test_what_was_promised_and_not_taken_ends_by_its_age(hub):
    gateways = Gateways()
    spares = spares_of(hub, gateways, count=1, longest=100.0, idle_after=10_000.0)
    spares.start()
    await spares.wait_until_ready()
    promised = spares.pick([])

    await asyncio.sleep(200)
    await spares.wait_until_ready()

    assert spares.pick([]) == promised
    assert len(open_circuits(gateways)) == 1
    await spares.close()


@simulated
async def test_without_any_ready_a_circuit_is_built_on_demand(hub):
    gateways = Gateways()
    spares = spares_of(hub, gateways)

    gateway = spares.pick([])
    circuit = await spares.open(gateway)

    assert circuit.path[-1].node_id == gateway == gateways.ids[0]
    assert spares.pick(gateways.ids) is None
    await spares.close()


@simulated
async def test_old_and_dead_circuits_and_those_to_strangers_are_replaced(hub):
    gateways = Gateways()
    spares = spares_of(hub, gateways, count=3, longest=100.0, idle_after=10_000.0)
    spares.start()
    await spares.wait_until_ready()
    first = open_circuits(gateways)
    first[0].close()
    gateways.registry.leave(gateways.ids.pop(1))

    assert len(spares) == 1
    assert spares.pick([]) == gateways.ids[1]
    await asyncio.sleep(130)
    assert not any(circuit.is_open for circuit in first)
    await spares.wait_until_ready(3)
    await spares.close()


@simulated
async def test_nothing_is_built_when_nobody_looks_up_for_long(hub):
    gateways = Gateways()
    spares = spares_of(hub, gateways, longest=100.0, idle_after=150.0)
    spares.start()
    await asyncio.sleep(10_000)

    built = len(gateways.builder.opened)
    assert 4 <= built <= 12
    assert len(spares) == 0
    spares.pick([])
    await spares.open(gateways.ids[0])
    await spares.wait_until_ready()
    await spares.close()


@simulated
async def test_dead_nodes_are_noted_and_others_taken(hub):
    gateways = Gateways()
    gateways.builder.dead.update(gateways.ids[:2])
    spares = spares_of(hub, gateways)
    spares.start()
    await asyncio.sleep(3)

    assert gateways.blamed == set(gateways.ids[:2])
    assert len(spares) == 2
    with pytest.raises(PspError):
        await spares.open(gateways.ids[0])
    await spares.close()


@simulated
async def test_circuits_are_begun_at_the_pace_of_the_guard(hub):
    gateways = Gateways(60)
    spares = spares_of(hub, gateways, per_second=2.5, burst=20)
    start = hub.unix_time()

    await asyncio.gather(*map(spares.open, gateways.ids))

    # Twenty at once, then 2.5 a second; a build takes 0.2 s.
    assert hub.unix_time() - start == pytest.approx(40 / 2.5 + 0.2, abs=0.1)

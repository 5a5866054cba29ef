"""Metrics: every counter once, with reasons from enums only."""

import asyncio

from prometheus_client import CollectorRegistry, generate_latest

from presence.metrics import register_metrics
from psp.testing.simloop import run_simulation
from psp.units import UnixTime


def test_counters_and_gauges_are_shown(new_world):
    async def main(hub):
        world = new_world(3, 1)
        alice, point = world.user(), world.plain[0]
        circuit = point.circuits.open()
        await alice.appear(circuit, point.node_id, world.clock())
        registry = CollectorRegistry()
        register_metrics(point.service, registry)
        member = CollectorRegistry()
        register_metrics(world.members[0].service, member)
        text = generate_latest(registry).decode()
        await world.close()
        return text, generate_latest(member).decode()

    point, member = run_simulation(main)
    assert "psp_presence_registered_total 1.0" in point
    assert "psp_presence_tags_served 1.0" in point
    assert 'psp_presence_stores_total{reason="stored"} 1.0' in member
    assert "psp_presence_records_held 1.0" in member
    assert "psp_presence_is_elected 0.0" in point
    assert "psp_presence_is_elected 1.0" in member
    assert "psp_presence_is_retiring 0.0" in member
    assert "psp_presence_to_hand_over 0.0" in member
    assert "psp_presence_watch_handles_held 0.0" in point
    assert "psp_presence_watch_cookies_taken_total 0.0" in point


def test_an_election_is_seen_in_them(new_world):
    async def main(hub):
        world = new_world(3, 4)
        alice, point = world.user(), world.plain[3]
        circuit = point.circuits.open()
        await alice.appear(circuit, point.node_id, world.clock())
        old, new = world.members, world.plain[:3]
        world.links.dead.add(new[0].node_id)
        world.registry.elect([relay.node_id for relay in new], UnixTime(10**9))
        await asyncio.sleep(20)
        texts = []
        for relay in (old[0], new[1]):
            registry = CollectorRegistry()
            register_metrics(relay.service, registry)
            texts.append(generate_latest(registry).decode())
        await world.close()
        return texts

    retiring, elected = run_simulation(main)
    assert "psp_presence_is_retiring 1.0" in retiring
    assert "psp_presence_to_hand_over 1.0" in retiring
    assert 'handovers_total{reason="superseded"}' not in retiring
    assert 'records_handed_over_total{reason="stored"}' in retiring
    assert 'handover_failed_total{reason="silent"}' in retiring
    assert 'records_taken_over_total{reason="stored"}' in elected

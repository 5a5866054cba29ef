"""Metrics: every counter once, with reasons from enums only."""

from prometheus_client import CollectorRegistry, generate_latest

from presence.metrics import register_metrics
from psp.testing.simloop import run_simulation


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

"""What Prometheus sees of the discovery service."""

from prometheus_client import CollectorRegistry, generate_latest

from discovery.config import DiscoveryConfig
from discovery.metrics import register_metrics
from discovery.service import DiscoveryService
from psp.testing.directory import START, SignedNetwork
from psp.testing.entropy import SeededEntropy

RIG = SignedNetwork.build(SeededEntropy(70), nodes=6)


class NoPort:
    def serve(self, *_):
        pass

    def on_circuit_closed(self, _):
        pass

    async def ask(self, *_):
        return None

    async def request(self, *_):
        return None


def test_counters_and_gauges_are_shown():
    service = DiscoveryService(
        DiscoveryConfig(),
        identity=RIG.nodes[0].identity,
        registry=RIG.registry(),
        circuits=NoPort(),
        links=NoPort(),
        entropy=SeededEntropy(1),
        unix_time=lambda: START,
    )
    service.stats.offered["stored"] += 3
    registry = CollectorRegistry()

    register_metrics(service, registry)
    text = generate_latest(registry).decode()

    assert 'psp_discovery_offered_total{reason="stored"} 3.0' in text
    assert "psp_discovery_descriptors_held 0.0" in text
    assert "psp_discovery_is_collecting 1.0" in text

"""What Prometheus sees of the hand-overs."""

import structlog
from prometheus_client import CollectorRegistry, generate_latest

from discovery.handover.config import HandOverConfig
from discovery.handover.metrics import register_metrics
from discovery.handover.service import HandOverService
from psp.testing.directory import SignedNetwork
from psp.testing.entropy import SeededEntropy
from psp.testing.memory_ports import MemoryLinks

RIG = SignedNetwork.build(SeededEntropy(71), nodes=4)


async def nothing(start, previous):
    return None


def test_counters_and_gauges_are_shown(tmp_path):
    node = RIG.nodes[0]
    service = HandOverService(
        HandOverConfig(),
        identity=node.identity,
        registry=RIG.registry(),
        view=lambda: None,
        view_at=nothing,
        links=MemoryLinks().port(node.node_id),
        entropy=SeededEntropy(1),
        state_dir=tmp_path,
        log=structlog.wrap_logger(structlog.ReturnLogger(), processors=[]),
    )
    service.desk.take(b"junk")
    registry = CollectorRegistry()

    register_metrics(service, registry)
    text = generate_latest(registry).decode()

    assert 'psp_hand_over_signatures_total{reason="refused"} 1.0' in text
    assert "psp_hand_over_opened_total 0.0" in text
    assert "psp_hand_over_complete_held 0.0" in text

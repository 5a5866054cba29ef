"""What Prometheus sees of the epoch driver."""

from prometheus_client import CollectorRegistry, generate_latest

from discovery.epochs.config import EpochConfig
from discovery.epochs.metrics import register_metrics
from discovery.epochs.service import EpochService
from psp.runtime.logs import logger
from psp.testing.entropy import SeededEntropy
from tests.unit.discovery.epochs.registry_chain import RELAYS, RegistryChain


def test_counters_and_gauges_are_shown():
    service = EpochService(
        EpochConfig(),
        endpoints=RegistryChain().endpoints,
        relays=RELAYS,
        number=lambda: 7,
        entropy=SeededEntropy(1),
        log=logger("epochs"),
    )
    service.stats.sent["nominate"] += 3
    service.epoch = 9
    registry = CollectorRegistry()

    register_metrics(service, registry)
    text = generate_latest(registry).decode()

    assert 'psp_epochs_sent_total{reason="nominate"} 3.0' in text
    assert "psp_epochs_epoch 9.0" in text
    assert "psp_epochs_is_nominating 0.0" in text

"""Prometheus view of the hand-overs; rows are listed in deploy/README.md."""

from prometheus_client import CollectorRegistry

from discovery.handover.service import HandOverService
from psp.runtime.metrics import StatsCollector


def register_metrics(service: HandOverService, registry: CollectorRegistry) -> None:
    """Show a service's counters, ``psp_hand_over_*``, in a registry of the caller's."""
    collector = service.desk.collector
    gauges = {"complete_held": lambda: len(collector.complete())}
    registry.register(StatsCollector("hand_over", lambda: service.stats, gauges))

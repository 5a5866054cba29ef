"""Prometheus view of the discovery service; rows are listed in deploy/README.md."""

from prometheus_client import CollectorRegistry

from discovery.service import DiscoveryService
from psp.runtime.metrics import StatsCollector


def register_metrics(service: DiscoveryService, registry: CollectorRegistry) -> None:
    """Show a service's counters, ``psp_discovery_*``, in a registry of the caller's."""
    gauges = {
        "descriptors_held": lambda: len(service.store),
        "proofs_held": lambda: len(service.store.proofs),
        "is_collecting": lambda: float(service.is_collecting),
    }
    registry.register(StatsCollector("discovery", lambda: service.stats, gauges))

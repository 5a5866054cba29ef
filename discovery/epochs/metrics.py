"""Prometheus view of the epoch driver; rows are listed in deploy/README.md."""

from prometheus_client import CollectorRegistry

from discovery.epochs.service import EpochService
from psp.runtime.metrics import StatsCollector


def register_metrics(service: EpochService, registry: CollectorRegistry) -> None:
    """Show a service's counters, ``psp_epochs_*``, in a registry of the caller's."""
    gauges = {
        "epoch": lambda: float(service.epoch or 0),
        "is_nominating": lambda: float(service.is_nominating),
    }
    registry.register(StatsCollector("epochs", lambda: service.stats, gauges))

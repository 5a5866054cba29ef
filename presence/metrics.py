"""Prometheus view of the presence service; rows are listed in deploy/README.md."""

from prometheus_client import CollectorRegistry

from presence.service import PresenceService
from psp.runtime.metrics import StatsCollector


def register_metrics(service: PresenceService, registry: CollectorRegistry) -> None:
    """Show a service's counters, ``psp_presence_*``, in a registry of the caller's."""
    gauges = {
        "records_held": lambda: len(service.records),
        "tags_served": lambda: service.tags_served,
        "mailboxes": lambda: len(service.mailboxes),
        "notices_held": lambda: service.mailboxes.notices_held,
        "is_elected": lambda: float(service.dht.is_elected),
        "is_retiring": lambda: float(service.dht.is_retiring),
        "to_hand_over": lambda: service.dht.to_hand_over,
    }
    registry.register(StatsCollector("presence", lambda: service.stats, gauges))
    watch = service.watch
    held = {
        "handles_held": lambda: watch.handles,
        "cookies_held": lambda: watch.cookies,
    }
    registry.register(StatsCollector("presence_watch", lambda: watch.stats, held))

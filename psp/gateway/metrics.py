"""Prometheus view of the gateway and its client; rows are in deploy/README.md."""

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, generate_latest

from psp.gateway.stats import GatewayStats
from psp.runtime.metrics import StatsCollector

GAUGES = ("streams_open", "watches_open", "presence_points", "relays_known")
"""Values that fall as well as rise."""

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def make_registry(
    stats: GatewayStats, gauges: Mapping[str, Callable[[], float]]
) -> CollectorRegistry:
    """Return a registry with ``psp_gateway_*``."""
    registry = CollectorRegistry()
    registry.register(StatsCollector("gateway", lambda: stats, gauges))
    return registry


def render(registry: CollectorRegistry) -> bytes:
    """Return the text that Prometheus reads."""
    return generate_latest(registry)

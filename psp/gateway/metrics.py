"""Prometheus view of the gateway and its client; rows are in deploy/README.md."""

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, generate_latest

from psp.gateway.stats import GatewayStats
from psp.runtime.metrics import CONTENT_TYPE, StatsCollector

GAUGES = ("streams_open", "watches_open", "presence_points", "relays_known")
"""Values that fall as well as rise."""


def make_registry(
    stats: GatewayStats, gauges: Mapping[str, Callable[[], float]]
) -> CollectorRegistry:
    """Return a registry with ``psp_gateway_*``."""
    registry = CollectorRegistry()
    registry.register(StatsCollector("gateway", lambda: stats, gauges))
    return registry


def render(registry: CollectorRegistry) -> tuple[str, bytes]:
    """Return the media type and the text that Prometheus reads."""
    return CONTENT_TYPE, generate_latest(registry)

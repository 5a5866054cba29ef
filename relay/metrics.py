"""Prometheus view of a relay: read at scrape time, nothing counted twice.

Names are ``psp_relay_<noun>_<unit>[_total]``, ``psp_udp_…`` for its socket; labels come
from enums and from the names of the system's errors only.
"""

from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector, CollectorRegistry

from psp.runtime.metrics import StatsCollector
from psp.runtime.udp import UdpSocket
from relay.machine import RelayMachine
from relay.stats import RelayStats

Reading = tuple[str, str, Callable[[RelayStats], float]]

_COUNTERS: tuple[Reading, ...] = (
    (
        "cells_malformed",
        "Cells with no place on a relay's link",
        lambda stats: stats.cells_malformed,
    ),
    (
        "cells_unknown",
        "Cells for circuits that do not exist",
        lambda stats: stats.cells_unknown,
    ),
    (
        "cells_policed",
        "Cells of circuits above their fair share, dropped while the relay was behind",
        lambda stats: stats.cells_policed,
    ),
    (
        "cells_marked",
        "Cells that told an origin that its circuit is above its fair share",
        lambda stats: stats.cells_marked,
    ),
    (
        "congested_seconds",
        "Time during which more came in than the relay could handle",
        lambda stats: stats.congested_seconds,
    ),
    (
        "blocks_unjoined",
        "Session blocks on circuits without a partner",
        lambda stats: stats.blocks_unjoined,
    ),
    (
        "requests_refused",
        "Requests of origins refused because too many wait",
        lambda stats: stats.requests_refused,
    ),
    (
        "cells_bad",
        "Forward cells that did not open",
        lambda stats: stats.hops.bad_tag,
    ),
    (
        "cells_replayed",
        "Forward cells seen before, or too late",
        lambda stats: stats.hops.replayed,
    ),
    (
        "circuits_broken",
        "Circuits whose origin broke the protocol",
        lambda stats: stats.hops.protocol,
    ),
    ("circuits_created", "CREATE answered", lambda stats: stats.circuits_created),
    ("circuits_extended", "EXTEND completed", lambda stats: stats.circuits_extended),
    (
        "creates_delayed",
        "CREATE not answered for asking too fast",
        lambda stats: stats.creates_delayed,
    ),
    (
        "cookies_established",
        "Rendezvous cookies taken in",
        lambda stats: stats.cookies_established,
    ),
    ("cookies_joined", "Rendezvous joined", lambda stats: stats.cookies_joined),
    (
        "cookies_refused",
        "ESTABLISH or JOIN refused",
        lambda stats: stats.cookies_refused,
    ),
    (
        "cookies_expired",
        "Rendezvous never joined",
        lambda stats: stats.cookies_expired,
    ),
    (
        "services_asked",
        "Requests to other relays",
        lambda stats: stats.services_asked,
    ),
    (
        "services_failed",
        "Requests to other relays without an answer",
        lambda stats: stats.services_failed,
    ),
    (
        "services_served",
        "Requests of other relays answered",
        lambda stats: stats.services_served,
    ),
    (
        "services_dropped",
        "Requests of other relays dropped at a limit",
        lambda stats: stats.services_dropped,
    ),
    (
        "hogs_killed",
        "Circuits closed at the memory ceiling",
        lambda stats: stats.hogs_killed,
    ),
)

_GAUGES = {
    "circuits": "Circuits that lead through this relay now",
    "cookies": "Rendezvous that wait for their second side, or are joined",
    "cells_queued": "Cells that wait to be sent",
    "requests_open": "Requests under way, of origins and of other relays",
    "memory_used_bytes": "Memory of circuits and queues, by the relay's own count",
    "neighbours": "Relays it has links with",
    "media_granted_kbit_per_s": "Bandwidth promised to circuits of calls, each way",
    "is_congested": "1 while more comes in than the relay can handle, else 0",
}


class RelayCollector(Collector):
    """Turns one machine's counters into metric families."""

    def __init__(self, machine: RelayMachine) -> None:
        self._machine = machine

    def collect(self) -> Iterator[Metric]:
        """Yield every family; called by the registry at each scrape."""
        stats = self._machine.stats
        for name, text, reading in _COUNTERS:
            family = CounterMetricFamily(f"psp_relay_{name}", text)
            family.add_metric([], reading(stats))
            yield family
        yield from _labelled(stats)
        for name, value in self._machine.gauges().items():
            text = _GAUGES[name]
            yield GaugeMetricFamily(f"psp_relay_{name}", text, value=value)


class TrainsCollector(Collector):
    """Says whether a socket's datagrams travel in trains."""

    def __init__(self, udp: UdpSocket) -> None:
        self._udp = udp

    def collect(self) -> Iterator[Metric]:
        """Yield both directions; called by the registry at each scrape."""
        for name, text, is_on in (
            ("is_gso", "1 while one system call sends many packets", self._udp.is_gso),
            ("is_gro", "1 if one system call receives many", self._udp.is_gro),
        ):
            yield GaugeMetricFamily(f"psp_udp_{name}", text, value=float(is_on))


def register(machine: RelayMachine, registry: CollectorRegistry) -> None:
    """Show a relay in ``registry``."""
    registry.register(RelayCollector(machine))


def register_socket(udp: UdpSocket, registry: CollectorRegistry) -> None:
    """Show a relay's socket in ``registry``."""
    registry.register(StatsCollector("udp", lambda: udp.stats))
    registry.register(TrainsCollector(udp))


def _labelled(stats: RelayStats) -> Iterator[Metric]:
    forwarded = CounterMetricFamily(
        "psp_relay_cells_forwarded", "Cells passed on", labels=["direction"]
    )
    forwarded.add_metric(["forward"], stats.cells_forward)
    forwarded.add_metric(["backward"], stats.cells_backward)
    forwarded.add_metric(["spliced"], stats.cells_spliced)
    yield forwarded
    dropped = CounterMetricFamily(
        "psp_relay_cells_dropped", "Cells above the egress limit", labels=["class"]
    )
    dropped.add_metric(["audio"], stats.dropped_audio)
    dropped.add_metric(["key_frame"], stats.dropped_key_frame)
    dropped.add_metric(["rest"], stats.dropped_rest)
    yield dropped
    for name, text, counts in (
        ("circuits_closed", "Circuits that ended", stats.circuits_closed),
        ("creates_refused", "CREATE refused", stats.creates_refused),
        ("extends_refused", "EXTEND refused", stats.extends_refused),
    ):
        family = CounterMetricFamily(f"psp_relay_{name}", text, labels=["reason"])
        for reason, count in counts.items():
            family.add_metric([reason.name.lower()], count)
        yield family

"""Prometheus metrics and a health check, over HTTP on loopback.

``GET /metrics`` and ``GET /healthz`` (200 or 503, JSON by check). Values are rounded
and up to 10 seconds old, so that nobody sees single calls come and go (R-LOG-1).
"""

import dataclasses
import errno
import ipaddress
import math
from collections.abc import Callable, Iterator, Mapping

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from psp.errors import ConfigError
from psp.runtime.docstrings import attribute_docs
from psp.sansio import Address

MAX_AGE = 10.0
"""Seconds for which the same text is served."""

_DIGITS = 2
"""Leading digits of a value that are shown; our choice."""

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def coarse(value: float) -> float:
    """Round to two leading digits, towards zero; small counts stay as they are."""
    if abs(value) < 10**_DIGITS or not math.isfinite(value):
        return value
    step = 10.0 ** (math.floor(math.log10(abs(value))) - _DIGITS + 1)
    return math.trunc(value / step) * step


class StatsCollector(Collector):
    """Exports a ``Stats`` dataclass: numbers as they are, counters by reason as labels.

    The help texts are the dataclass's attribute docs.
    """

    def __init__(
        self,
        prefix: str,
        stats: Callable[[], object],
        gauges: Mapping[str, Callable[[], float]] | None = None,
    ) -> None:
        """Name the metrics ``psp_<prefix>_<field>_total`` and ``psp_<prefix>_<gauge>``.

        Args:
            prefix: The service, perhaps with a noun: ``relay``, ``relay_udp``.
            stats: Returns the dataclass, asked at each scrape.
            gauges: Values that fall as well as rise, by name.
        """
        self._prefix = prefix
        self._stats = stats
        self._gauges = dict(gauges or {})

    def collect(self) -> Iterator[Metric]:
        """Yield one family for each field and gauge."""
        stats = self._stats()
        if not dataclasses.is_dataclass(stats) or isinstance(stats, type):
            raise TypeError(f"{type(stats)} is not a stats dataclass")
        docs = attribute_docs(type(stats))
        for field in dataclasses.fields(stats):
            value = getattr(stats, field.name)
            name = f"psp_{self._prefix}_{field.name}"
            text = docs.get(field.name, field.name)
            if isinstance(value, Mapping):
                family = CounterMetricFamily(name, text, labels=["reason"])
                for reason, count in sorted((str(k), v) for k, v in value.items()):
                    family.add_metric([reason], coarse(count))
                yield family
            elif isinstance(value, int | float):
                yield CounterMetricFamily(name, text, value=coarse(value))
        for gauge, read in self._gauges.items():
            name = f"psp_{self._prefix}_{gauge}"
            yield GaugeMetricFamily(name, gauge, value=coarse(read()))


class MetricsServer:
    """Serves one registry and one health check.

    Attributes:
        address: Where it listens, with the real port for port 0; None before `start`.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        checks: Callable[[], Mapping[str, bool]],
        clock: Callable[[], float],
    ) -> None:
        """Prepare; nothing listens yet.

        Args:
            registry: What to serve; never the global one.
            checks: What healthy means, by name; all True is healthy.
            clock: Monotonic seconds, usually ``loop.time``.
        """
        self.address: Address | None = None
        self._registry = registry
        self._checks = checks
        self._clock = clock
        self._text = b""
        self._rendered_at = -math.inf
        self._runner: web.AppRunner | None = None

    async def start(self, address: Address, *, setting: str = "metrics.port") -> None:
        """Listen.

        Raises:
            ConfigError: If the address is not loopback or cannot be bound.
        """
        host, port = address
        if not _is_loopback(host):
            raise ConfigError(
                f"metrics on {host}: anybody could read them; use 127.0.0.1 or ::1"
            )
        if not 0 <= port <= 65_535:
            raise ConfigError(f"port {port} is not within 0 … 65535; correct {setting}")
        application = web.Application()
        application.router.add_get("/metrics", self._metrics)
        application.router.add_get("/healthz", self._health)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port, reuse_address=True).start()
        except OSError as error:
            await runner.cleanup()
            if error.errno == errno.EADDRINUSE:
                raise ConfigError(
                    f"port {port} on {host} is in use; choose another with {setting}"
                ) from None
            raise ConfigError(
                f"cannot listen on port {port} of {host}: {error.strerror}; see {setting}"
            ) from None
        self._runner = runner
        self.address = runner.addresses[0][:2]

    async def close(self) -> None:
        """Stop listening; harmless when repeated."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _metrics(self, _: web.Request) -> web.Response:
        now = self._clock()
        if now - self._rendered_at >= MAX_AGE:
            self._text = generate_latest(self._registry)
            self._rendered_at = now
        return web.Response(body=self._text, headers={"Content-Type": CONTENT_TYPE})

    async def _health(self, _: web.Request) -> web.Response:
        checks = dict(self._checks())
        is_healthy = all(checks.values())
        return web.json_response(
            {"status": "ok" if is_healthy else "failing", "checks": checks},
            status=200 if is_healthy else 503,
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

"""Metrics and health (psp/runtime/metrics.py)."""

import errno
import math
from collections import Counter
from dataclasses import dataclass, field

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from psp.errors import ConfigError
from psp.runtime.metrics import MetricsServer, StatsCollector, coarse
from psp.testing.clock import ManualClock
from psp.units import Seconds


@dataclass(slots=True)
class Stats:
    """What happened.

    Attributes:
        cells: Passed on.
        refused: By reason.
    """

    cells: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    note: str = ""


def os_error(number):
    raise OSError(number, "no")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, 0),
        (7, 7),
        (99, 99),
        (101, 100),
        (1_299, 1_200),
        (-1_299, -1_200),
        (0.5, 0.5),
    ],
)
def test_large_values_are_rounded_towards_zero(value, shown):
    assert coarse(value) == shown


def test_infinity_stays():
    assert coarse(math.inf) == math.inf


def test_rounded_counters_never_fall():
    shown = [coarse(value) for value in range(20_000)]

    assert shown == sorted(shown)


def test_stats_are_exported_with_their_docs():
    stats = Stats(1_299, Counter({"TIMEOUT": 2, "BUSY": 1}))
    registry = CollectorRegistry()
    registry.register(StatsCollector("relay", lambda: stats, {"circuits": lambda: 12}))

    assert generate_latest(registry).decode() == (
        "# HELP psp_relay_cells_total Passed on.\n"
        "# TYPE psp_relay_cells_total counter\n"
        "psp_relay_cells_total 1200.0\n"
        "# HELP psp_relay_refused_total By reason.\n"
        "# TYPE psp_relay_refused_total counter\n"
        'psp_relay_refused_total{reason="BUSY"} 1.0\n'
        'psp_relay_refused_total{reason="TIMEOUT"} 2.0\n'
        "# HELP psp_relay_circuits circuits\n"
        "# TYPE psp_relay_circuits gauge\n"
        "psp_relay_circuits 12.0\n"
    )


def test_what_is_no_dataclass_is_our_bug():
    with pytest.raises(TypeError, match="not a stats dataclass"):
        list(StatsCollector("x", dict).collect())


@pytest.fixture
async def served():
    """A server, what it serves, and a function that fetches a path."""
    stats, checks, clock = Stats(), {"udp": True}, ManualClock()
    registry = CollectorRegistry()
    registry.register(StatsCollector("relay", lambda: stats))
    server = MetricsServer(registry, lambda: checks, clock)
    await server.start(("127.0.0.1", 0))

    async def fetch(path):
        assert server.address is not None
        host, port = server.address
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://{host}:{port}{path}") as answer,
        ):
            return answer.status, await answer.text()

    yield server, stats, checks, clock, fetch
    await server.close()
    await server.close()


async def test_metrics_are_served_and_delayed(served):
    _, stats, _, clock, fetch = served
    stats.cells = 5

    assert "psp_relay_cells_total 5.0" in (await fetch("/metrics"))[1]
    stats.cells = 6
    assert "psp_relay_cells_total 5.0" in (await fetch("/metrics"))[1]
    clock.advance(Seconds(10.0))
    assert "psp_relay_cells_total 6.0" in (await fetch("/metrics"))[1]


async def test_health_fails_with_any_check(served):
    _, _, checks, _, fetch = served

    assert await fetch("/healthz") == (200, '{"status": "ok", "checks": {"udp": true}}')
    checks["chain"] = False
    status, text = await fetch("/healthz")
    assert status == 503
    assert '"chain": false' in text


async def test_nothing_else_is_served(served):
    assert (await served[-1]("/"))[0] == 404


async def test_busy_port_says_which_and_what_to_do(served):
    address = served[0].address
    other = MetricsServer(CollectorRegistry(), dict, ManualClock())

    with pytest.raises(ConfigError) as error:
        await other.start(address, setting="[metrics] port")

    assert str(error.value) == (
        f"port {address[1]} on 127.0.0.1 is in use; choose another with [metrics] port"
    )


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "localhost"])
async def test_only_loopback_is_served(host):
    server = MetricsServer(CollectorRegistry(), dict, ManualClock())

    with pytest.raises(ConfigError, match=r"use 127\.0\.0\.1 or ::1"):
        await server.start((host, 0))


async def test_other_trouble_is_explained_too(monkeypatch):
    server = MetricsServer(CollectorRegistry(), dict, ManualClock())

    monkeypatch.setattr("socket.socket.bind", lambda *_: os_error(errno.EACCES))

    with pytest.raises(ConfigError, match="port 70000 is not within"):
        await server.start(("127.0.0.1", 70_000))
    with pytest.raises(ConfigError, match=r"cannot listen on port 9 of 127\.0\.0\.1: "):
        await server.start(("127.0.0.1", 9))

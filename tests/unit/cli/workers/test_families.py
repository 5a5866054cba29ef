"""Metrics of all workers under one address (cli/workers/families.py)."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from cli.workers.families import families_of, merged


class Shown(Collector):
    def __init__(self, circuits: int, reasons: dict[str, int]) -> None:
        self.circuits = circuits
        self.reasons = reasons

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("psp_circuits", "Circuits", value=self.circuits)
        closed = CounterMetricFamily("psp_closed", "Ended", labels=["reason"])
        for reason, count in self.reasons.items():
            closed.add_metric([reason], count)
        yield closed


class All(Collector):
    def __init__(self, *workers: Shown) -> None:
        self.workers = workers

    def collect(self) -> Iterator[Metric]:
        families = {}
        for number, worker in enumerate(self.workers):
            registry = CollectorRegistry()
            registry.register(worker)
            families[number] = families_of(registry)
        yield from merged(families)


def test_each_family_is_shown_once_with_a_line_for_each_worker():
    registry = CollectorRegistry()
    registry.register(All(Shown(3, {"idle": 2}), Shown(5, {}), Shown(0, {"full": 1})))

    text = generate_latest(registry).decode()

    assert text.splitlines() == [
        "# HELP psp_circuits Circuits",
        "# TYPE psp_circuits gauge",
        'psp_circuits{worker="0"} 3.0',
        'psp_circuits{worker="1"} 5.0',
        'psp_circuits{worker="2"} 0.0',
        "# HELP psp_closed_total Ended",
        "# TYPE psp_closed_total counter",
        'psp_closed_total{reason="idle",worker="0"} 2.0',
        'psp_closed_total{reason="full",worker="2"} 1.0',
    ]


def test_without_workers_there_is_nothing_to_show():
    assert list(merged({})) == []

"""Metrics of one process, carried to another and shown with a ``worker`` label."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import CollectorRegistry

_KINDS: dict[str, type[CounterMetricFamily] | type[GaugeMetricFamily]] = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
}


class Family(msgspec.Struct, frozen=True):
    """One metric family: counter or gauge, and its samples by their labels."""

    name: str
    text: str
    kind: str
    samples: list[tuple[dict[str, str], float]]


def families_of(registry: CollectorRegistry) -> list[Family]:
    """Return what a registry shows."""
    return [
        Family(
            metric.name,
            metric.documentation,
            metric.type,
            [(sample.labels, sample.value) for sample in metric.samples],
        )
        for metric in registry.collect()
        if metric.type in _KINDS
    ]


def merged(of_workers: Mapping[int, Sequence[Family]]) -> Iterable[Metric]:
    """Yield each family once, with the samples of all workers."""
    merging: dict[str, Metric] = {}
    for worker, families in sorted(of_workers.items()):
        for family in families:
            labels = ["worker", *(family.samples[0][0] if family.samples else ())]
            metric = merging.get(family.name)
            if metric is None:
                kind = _KINDS[family.kind]
                metric = kind(family.name, family.text, labels=labels)
                merging[family.name] = metric
            suffix = "_total" if family.kind == "counter" else ""
            for values, value in family.samples:
                metric.add_sample(
                    family.name + suffix, {"worker": str(worker), **values}, value
                )
    return merging.values()

"""Counters are explained where operators see them."""

from dataclasses import fields

from discovery.epochs.stats import EpochStats
from psp.runtime.docstrings import attribute_docs


def test_every_counter_is_documented_and_starts_at_nothing():
    names = [field.name for field in fields(EpochStats)]

    assert list(attribute_docs(EpochStats)) == names
    assert not any(getattr(EpochStats(), name) for name in names)

"""Contracts' reasons in sentences (discovery/transactions/reasons.py)."""

import re
from pathlib import Path

from discovery.transactions.reasons import REASONS, explain

SOURCES = Path(__file__).parents[4] / "discovery" / "contract"
OF_CONSTRUCTORS = {"book", "delay", "epoch", "range", "seats", "strategy", "unbonding"}
OF_CONSTRUCTORS |= {"users"}


def test_every_reason_of_the_contracts_has_a_sentence():
    words = {
        word
        for source in SOURCES.glob("*.vy")
        for word in re.findall(
            r'^ *assert .*, "(\w+)"$', source.read_text(), re.MULTILINE
        )
    }

    assert words - OF_CONSTRUCTORS == REASONS.keys()


def test_other_reasons_stay_as_they_are():
    assert explain("stake").endswith("has a minimum (stake)")
    assert explain("something else") == "something else"

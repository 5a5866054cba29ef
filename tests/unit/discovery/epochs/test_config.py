"""Settings of the epoch driver are explained in the sample file."""

from dataclasses import fields

from discovery.epochs.config import EpochConfig
from discovery.epochs.service import fee_limits
from discovery.epochs.state_source import BUSY_GAS
from psp.runtime.docstrings import attribute_docs


def test_every_setting_is_documented():
    names = [field.name for field in fields(EpochConfig)]

    assert list(attribute_docs(EpochConfig)) == names


def test_usual_budget_pays_for_a_busy_step_at_the_highest_fee():
    limits = fee_limits(EpochConfig())

    assert BUSY_GAS * limits.max_fee_per_gas <= limits.max_cost_per_period

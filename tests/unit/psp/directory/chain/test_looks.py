"""When a client looks at the chain again."""

from dataclasses import replace

import pytest

from psp.directory.chain.looks import SPREAD, LookConfig, next_look
from psp.testing.chain import MemoryContracts
from psp.testing.entropy import SeededEntropy
from psp.units import Seconds

EVERY = LookConfig(Seconds(30.0))
BUDGET = replace(EVERY, day_bytes=600_000)
EPOCH = 86_400
MIDDLE = 0.5
"""The random value that shifts nothing."""


def view(age):
    """Return a view of a block so many seconds after an epoch began."""
    contracts = MemoryContracts(epoch_length=EPOCH)
    contracts.add_node(SeededEntropy("looks"))
    return contracts.view(1, contracts.genesis + EPOCH + age)


@pytest.mark.parametrize("spent", [0, 1_000, 10_000_000])
def test_without_a_budget_the_settings_say_when(spent):
    assert next_look(EVERY, view(0), spent, MIDDLE) == 30.0


def test_pauses_differ_by_a_tenth_either_way():
    assert next_look(EVERY, None, 0, 0.0) == pytest.approx(27.0)
    assert next_look(EVERY, None, 0, 1.0) == pytest.approx(33.0)


@pytest.mark.parametrize("spent", [3_000, 10_000, 100_000])
def test_looks_of_a_day_cost_what_they_may(spent):
    pause = next_look(BUDGET, view(0), spent, MIDDLE)

    assert 86_400 / pause * spent == pytest.approx(BUDGET.day_bytes)


def test_a_look_that_cost_nothing_is_soon_repeated():
    """It failed: no endpoint answered."""
    assert next_look(BUDGET, view(0), 0, MIDDLE) == 30.0


def test_a_first_reading_does_not_stop_the_looks():
    assert next_look(BUDGET, view(0), 5_000_000, MIDDLE) == BUDGET.longest


@pytest.mark.parametrize("uniform", [0.0, 0.5, 1.0])
def test_a_pause_ends_when_the_next_epoch_has_a_final_block(uniform):
    left = 600

    pause = next_look(BUDGET, view(EPOCH - left), 100_000, uniform)

    assert pause == pytest.approx(left + uniform * SPREAD * EPOCH)


def test_a_chain_that_stands_still_before_an_epoch_is_not_asked_all_the_time():
    assert next_look(BUDGET, view(EPOCH - 1), 100_000, 0.0) == pytest.approx(27.0)

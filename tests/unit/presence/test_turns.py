"""Turns: one for each circuit, another one after a demand of work."""

from presence.turns import Turns


def test_a_circuit_has_one_turn():
    turns = Turns(10)
    assert not turns.is_spent(1)

    turns.take(1)

    assert turns.is_spent(1)
    assert not turns.is_spent(2)


def test_a_demand_of_work_gives_one_more_and_no_third():
    turns = Turns(10)
    turns.take(1)
    turns.work_demanded(1)
    assert not turns.is_spent(1)

    turns.take(1)
    turns.work_demanded(1)

    assert turns.is_spent(1)


def test_a_circuit_that_closed_leaves_nothing():
    turns = Turns(10)
    turns.take(1)

    turns.forget(1)
    turns.forget(2)

    assert len(turns) == 0


def test_a_full_table_has_no_turn_for_newcomers_only():
    turns = Turns(1)
    turns.take(1)
    turns.work_demanded(1)

    assert turns.is_full(2)
    assert not turns.is_full(1)
    turns.forget(1)
    assert not turns.is_full(2)


def test_work_is_not_demanded_of_who_never_came():
    turns = Turns(10)

    turns.work_demanded(1)

    assert len(turns) == 0

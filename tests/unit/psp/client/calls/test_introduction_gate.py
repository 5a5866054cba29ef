"""The gate: contacts at once, strangers by what they have worked, floods at no cost."""

import pytest

from psp.client.calls.introduction_gate import GateConfig, IntroductionGate, Verdict
from psp.units import Monotonic

RING, BUSY, WORK_NEEDED = Verdict.RING, Verdict.BUSY, Verdict.WORK_NEEDED
FIRST, LAST = GateConfig().first_effort, GateConfig().last_effort


def at(seconds):
    return Monotonic(1_000.0 + seconds)


def strangers(gate, count, *, effort=0, seconds=0.0):
    return [gate.judge_stranger(effort, at(seconds)) for _ in range(count)]


def test_a_few_strangers_ring_without_work():
    gate = IntroductionGate()

    assert gate.effort(at(0)) == 0
    assert strangers(gate, 6) == [RING] * 5 + [WORK_NEEDED]
    assert gate.effort(at(0)) == FIRST


def test_a_minute_later_it_is_quiet_again():
    gate = IntroductionGate()
    strangers(gate, 6)

    assert gate.effort(at(59)) == FIRST
    assert gate.effort(at(60)) == 0


def test_no_more_than_ten_strangers_ring_in_a_minute_whatever_they_worked():
    gate = IntroductionGate()

    assert strangers(gate, 12, effort=LAST) == [RING] * 10 + [BUSY] * 2


def test_a_contact_passes_while_strangers_are_held_up():
    gate = IntroductionGate()
    strangers(gate, 1_000)
    strangers(gate, 1_000, effort=LAST)

    assert [gate.judge_contact("bob", at(0)) for _ in range(11)] == [RING] * 10 + [BUSY]
    assert gate.judge_contact("carol", at(0)) is RING


def test_thirty_ring_in_a_minute_in_all():
    gate = IntroductionGate()
    verdicts = [gate.judge_contact(f"c{n}", at(0)) for n in range(31)]

    assert verdicts == [RING] * 30 + [BUSY]
    assert gate.judge_stranger(LAST, at(0)) is BUSY
    assert gate.judge_contact("c30", at(60)) is RING


def test_the_effort_rises_while_workers_are_refused_and_falls_afterwards():
    gate = IntroductionGate()
    strangers(gate, 10, effort=LAST)
    risen = []
    for second in range(0, 40, 2):
        strangers(gate, 5, effort=LAST, seconds=second)
        risen.append(gate.effort(at(second)))

    assert risen[:4] == [FIRST, FIRST + 1, FIRST + 2, FIRST + 3]
    assert max(risen) == LAST

    strangers(gate, 6, effort=LAST, seconds=100)
    after = gate.effort(at(100))
    strangers(gate, 6, effort=LAST, seconds=161)

    assert after == LAST - 1
    assert gate.effort(at(161)) == LAST - 2


def test_who_worked_more_may_have_the_place_of_who_worked_less():
    gate = IntroductionGate()
    strangers(gate, 10, effort=FIRST)

    assert gate.judge_stranger(FIRST + 1, at(0), can_replace=True) is Verdict.REPLACE
    assert gate.judge_stranger(FIRST + 1, at(0), can_replace=False) is BUSY


def test_a_replacement_is_not_wanted_where_there_is_room():
    gate = IntroductionGate()

    assert gate.judge_stranger(0, at(0), can_replace=True) is RING


def test_proofs_are_verified_at_a_bounded_rate():
    gate = IntroductionGate(GateConfig(proofs_per_minute=2))

    assert [gate.may_verify(at(0)) for _ in range(3)] == [True, True, False]
    assert gate.may_verify(at(60))


def test_contacts_rates_are_bounded_in_number():
    gate = IntroductionGate(GateConfig(max_contacts=2, in_all=100, per_contact=1))
    for name in ("a", "b", "c"):
        gate.judge_contact(name, at(0))

    assert gate.judge_contact("c", at(0)) is BUSY
    assert gate.judge_contact("a", at(0)) is RING  # it was forgotten


@pytest.mark.parametrize("effort", [0, FIRST - 1])
def test_too_little_work_is_not_enough(effort):
    gate = IntroductionGate()
    strangers(gate, 5)

    assert gate.judge_stranger(effort, at(0)) is WORK_NEEDED

"""The nonce journal (discovery/transactions/journal.py)."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from discovery.transactions.call import Call
from discovery.transactions.fees import Fees
from discovery.transactions.journal import (
    KEPT,
    MAX_ATTEMPTS,
    PERIODS,
    Attempt,
    Journal,
)
from psp.errors import DecodeError, LocalProtocolError

CALL = Call(b"t" * 20, b"data", 10**30, "pay")


def attempt(number, **fields):
    return Attempt(
        hash=number.to_bytes(32), raw=b"raw%d" % number, gas=50_000,
        fees=Fees(10 + number, number), sent_at=1_000 + number, **fields,
    )  # fmt: skip


def saved(journal):
    return json.loads(json.dumps(journal.to_state()))


def test_nonce_is_given_to_one_action_only():
    journal = Journal()
    journal.begin(4, CALL, attempt(1))

    with pytest.raises(LocalProtocolError, match="is under way"):
        journal.begin(5, CALL, attempt(2))
    journal.settle(attempt(1).hash, 7)
    with pytest.raises(LocalProtocolError, match="nonce 4 may be taken"):
        journal.begin(4, CALL, attempt(2))
    journal.begin(5, CALL, attempt(2))

    assert journal.next_nonce == 6


def test_nonce_lost_to_another_program_is_not_given_again():
    journal = Journal()
    journal.begin(4, CALL, attempt(1))

    journal.lose()

    assert journal.pending is None
    with pytest.raises(LocalProtocolError):
        journal.begin(4, CALL, attempt(2))


def test_any_attempt_may_be_the_one_that_is_mined():
    for mined in (1, 2, 3):
        journal = Journal()
        journal.begin(0, CALL, attempt(1), period=7)
        journal.add(attempt(2))
        journal.add(attempt(3, is_cancel=True))
        assert journal.pending.cost == 50_000 * 13

        journal.settle(attempt(mined).hash, 99)

        assert journal.settled == ((0, attempt(mined).raw),)
        assert journal.spent_in(7) == 99


def test_strange_transaction_settles_nothing():
    journal = Journal()
    journal.begin(0, CALL, attempt(1))

    with pytest.raises(LocalProtocolError, match="not an attempt"):
        journal.settle(bytes(32), 0)

    assert journal.pending is not None


def test_nothing_happens_between_actions():
    journal = Journal()

    for move in (journal.lose, lambda: journal.add(attempt(1))):
        with pytest.raises(LocalProtocolError, match="no action is under way"):
            move()


def test_attempts_are_bounded_and_some_are_kept_for_cancelling():
    journal = Journal()
    journal.begin(0, CALL, attempt(1))
    count = 1
    while journal.has_room(is_cancel=False):
        journal.add(attempt(1))
        count += 1

    with pytest.raises(LocalProtocolError):
        journal.add(attempt(1))
    assert count < MAX_ATTEMPTS
    while journal.has_room(is_cancel=True):
        journal.add(attempt(1, is_cancel=True))
        count += 1

    assert count == MAX_ATTEMPTS


def test_spending_counts_by_period_and_is_forgotten_in_time():
    journal = Journal()
    for i in range(10):
        journal.begin(i, CALL, attempt(1), period=i // 2)
        journal.settle(attempt(1).hash, 10)

    assert journal.spent_in(4) == 20
    assert len(journal.spent) == PERIODS
    assert journal.spent_in(0) == journal.spent_in(None) == 0


def test_only_the_last_mined_transactions_are_kept():
    journal = Journal()
    for i in range(20):
        journal.begin(i, CALL, attempt(1))
        journal.settle(attempt(1).hash, 0)

    assert [nonce for nonce, _ in journal.settled] == list(range(20 - KEPT, 20))


@pytest.mark.parametrize(
    "state",
    [
        {"next_nonce": "x"},
        {"pending": {"nonce": 0}},
        {"next_nonce": 0, "settled": [[1]]},
        {"spent": {"a": 1}},
    ],
)
def test_what_is_no_journal_is_refused(state):
    with pytest.raises(DecodeError):
        Journal.from_state(state)


@pytest.mark.parametrize(
    "change", [{"next_nonce": 0}, {"attempts": []}, {"to": "eHg="}]
)
def test_journal_that_contradicts_itself_is_refused(change):
    journal = Journal()
    journal.begin(0, CALL, attempt(1))
    state = saved(journal)
    for part in (state, state["pending"], state["pending"]["call"]):
        part.update({key: change[key] for key in change if key in part})

    with pytest.raises(DecodeError):
        Journal.from_state(state)


@given(st.recursive(st.none() | st.integers() | st.text(), lambda inner: (
    st.lists(inner) | st.dictionaries(st.sampled_from(
        ["next_nonce", "pending", "settled", "spent", "nonce", "call"]), inner)
), max_leaves=10))  # fmt: skip
def test_any_json_is_a_journal_or_refused(state):
    try:
        journal = Journal.from_state({"pending": state})
    except DecodeError:
        return

    assert Journal.from_state(saved(journal)) == journal


class JournalMachine(RuleBasedStateMachine):
    """Any moves, with a death and a reading back between any two of them."""

    @initialize()
    def start(self):
        self.journal = Journal()
        self.given = []
        self.number = 0

    def next_attempt(self):
        self.number += 1
        return attempt(self.number)

    @precondition(lambda self: self.journal.pending is None)
    @rule(skip=st.integers(0, 3), period=st.none() | st.integers(0, 9))
    def begin(self, skip, period):
        nonce = self.journal.next_nonce + skip
        self.journal.begin(nonce, CALL, self.next_attempt(), period=period)
        self.given.append(nonce)

    @precondition(lambda self: self.journal.pending is not None)
    @rule()
    def add(self):
        if self.journal.has_room(is_cancel=False):
            self.journal.add(self.next_attempt())

    @precondition(lambda self: self.journal.pending is not None)
    @rule(pick=st.integers(0, MAX_ATTEMPTS), cost=st.integers(0, 10**40))
    def settle(self, pick, cost):
        attempts = self.journal.pending.attempts
        self.journal.settle(attempts[pick % len(attempts)].hash, cost)

    @precondition(lambda self: self.journal.pending is not None)
    @rule()
    def lose(self):
        self.journal.lose()

    @rule()
    def die(self):
        state = saved(self.journal)
        again = Journal.from_state(state)
        assert again == self.journal
        self.journal = again

    @invariant()
    def no_nonce_twice(self):
        assert self.given == sorted(set(self.given))
        assert all(nonce < self.journal.next_nonce for nonce in self.given)


TestJournalMachine = JournalMachine.TestCase

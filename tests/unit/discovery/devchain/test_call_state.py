"""What a call changes is on top of the block's state, and can be undone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.devchain.call_state import CallAccounts
from discovery.devchain.state_trie import EMPTY_CODE_HASH, Account
from psp.crypto.keccak import keccak256

A, B = b"\xaa" * 20, b"\xbb" * 20


class State:
    """A block's state: one account with a word."""

    def account(self, state_root, address):
        assert state_root == b"root"
        return Account(nonce=3, balance=100) if address == A else Account()

    def word(self, storage_root, slot):
        return 55 if slot == 5 else 0

    def code(self, account):
        return b""


@pytest.fixture
def accounts():
    return CallAccounts(State(), b"root")


def test_nothing_changed_is_the_blocks_state(accounts):
    assert accounts.get_balance(A) == 100
    assert accounts.get_nonce(A) == 3
    assert accounts.get_storage(A, 5) == 55
    assert accounts.get_code(A) == b""
    assert accounts.get_code_hash(A) == EMPTY_CODE_HASH
    assert accounts.account_exists(A)
    assert not accounts.account_exists(B)


def test_change_is_seen_and_the_original_word_too(accounts):
    accounts.set_storage(A, 5, 6)
    accounts.increment_nonce(A)
    accounts.set_balance(B, 1)
    accounts.set_code(B, b"\x00")

    assert accounts.get_storage(A, 5) == 6
    assert accounts.get_storage(A, 5, False) == 55  # noqa: FBT003 - py-evm's interface
    assert accounts.get_nonce(A) == 4
    assert not accounts.account_is_empty(B)
    assert accounts.get_code_hash(B) == keccak256(b"\x00")
    assert accounts.account_has_code_or_nonce(B)


def test_word_set_to_zero_is_zero(accounts):
    accounts.set_storage(A, 5, 0)

    assert accounts.get_storage(A, 5) == 0


def test_code_taken_away_is_gone(accounts):
    accounts.set_code(B, b"\x00")
    accounts.delete_code(B)

    assert accounts.get_code(B) == b""
    assert not accounts.account_has_code_or_nonce(B)


def test_discarded_checkpoint_undoes_words_warmth_and_balances(accounts):
    accounts.mark_address_warm(A)
    accounts.set_storage(A, 5, 6)
    checkpoint = accounts.record()
    accounts.mark_address_warm(B)
    accounts.mark_storage_warm(B, 1)
    accounts.set_storage(A, 5, 7)
    accounts.set_balance(A, 0)

    accounts.discard(checkpoint)

    assert accounts.get_storage(A, 5) == 6
    assert accounts.get_balance(A) == 100
    assert accounts.is_address_warm(A)
    assert not accounts.is_address_warm(B)
    assert not accounts.is_storage_warm(B, 1)


def test_checkpoints_are_never_equal(accounts):
    assert accounts.record() != accounts.record()


def test_committed_change_can_still_be_undone_by_an_earlier_checkpoint(accounts):
    outer = accounts.record()
    inner = accounts.record()
    accounts.set_storage(A, 5, 7)
    accounts.commit(inner)

    accounts.discard(outer)

    assert accounts.get_storage(A, 5) == 55


steps = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.integers(0, 3), st.integers(0, 3)),
        st.just(("record",)),
        st.just(("discard",)),
        st.just(("commit",)),
    ),
    max_size=60,
)


@given(steps)
def test_undoing_is_as_if_copies_had_been_kept(script):
    accounts = CallAccounts(State(), b"root")
    now, open_checkpoints = {}, []

    for step in script:
        match step:
            case ("set", slot, value):
                accounts.set_storage(A, slot, value)
                now[slot] = value
            case ("record",):
                open_checkpoints.append((accounts.record(), dict(now)))
            case ("discard",) if open_checkpoints:
                checkpoint, now = open_checkpoints.pop()
                accounts.discard(checkpoint)
            case ("commit",) if open_checkpoints:
                accounts.commit(open_checkpoints.pop()[0])
        assert {slot: accounts.get_storage(A, slot) for slot in now} == now

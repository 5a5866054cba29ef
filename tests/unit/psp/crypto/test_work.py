"""Proofs of work: found by searching, verified by one try, bound to what they are for."""

import pytest

from psp.crypto import work
from psp.crypto.work import is_proof, search, zero_bits
from psp.errors import LocalProtocolError

CHALLENGE = bytes(range(60))


def test_a_proof_that_was_found_is_one():
    nonce = search(CHALLENGE, 5, 0, 1_000)

    assert nonce is not None
    assert zero_bits(CHALLENGE, nonce) >= 5
    assert is_proof(CHALLENGE, nonce, 5)
    assert not is_proof(CHALLENGE, nonce, zero_bits(CHALLENGE, nonce) + 1)


def test_the_search_returns_the_first_and_nothing_when_there_is_none():
    nonce = search(CHALLENGE, 4, 0, 1_000)
    assert nonce is not None
    number = int.from_bytes(nonce)

    assert search(CHALLENGE, 4, 0, number) is None
    assert search(CHALLENGE, 4, number, 1) == nonce


def test_work_for_one_thing_is_none_for_another():
    nonces = [number.to_bytes(16) for number in range(32)]

    mine = [zero_bits(CHALLENGE, nonce) for nonce in nonces]
    others = [zero_bits(CHALLENGE[:-1] + b"\0", nonce) for nonce in nonces]

    assert mine != others


def test_no_effort_needs_no_work():
    assert is_proof(CHALLENGE, work.NO_WORK, 0)


def test_nonces_go_round_at_the_end_of_their_range():
    last = (1 << 128) - 1

    assert search(CHALLENGE, 0, last, 2) == last.to_bytes(16)
    assert search(CHALLENGE, 1, last, 200) is not None


@pytest.mark.parametrize("size", [0, 15, 17])
def test_a_nonce_has_sixteen_bytes(size):
    with pytest.raises(LocalProtocolError):
        zero_bits(CHALLENGE, bytes(size))

"""Fingerprint words: the same on both sides, different for anybody else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mnemonic import Mnemonic

from psp.client.contacts.fingerprint import WORDS, are_words_equal, fingerprint_words
from psp.ids import UserId
from psp.wire.network import Network

HERE = Network(31_337, bytes(range(20)))
ALICE = UserId(b"a" * 32)
BOB = UserId(b"b" * 32)

identities = st.binary(min_size=32, max_size=32).map(UserId)


@given(identities, identities)
def test_words_are_the_same_whoever_reads_first(one, other):
    words = fingerprint_words(HERE, one, other)

    assert words == fingerprint_words(HERE, other, one)
    assert len(words) == WORDS
    assert Mnemonic("english").check(" ".join(words))


@given(identities, identities)
def test_another_identity_has_other_words(one, other):
    ours = fingerprint_words(HERE, ALICE, BOB)

    same = {one, other} == {ALICE, BOB}
    assert (fingerprint_words(HERE, one, other) == ours) == same


def test_another_network_has_other_words():
    there = Network(1, bytes(20))

    ours = fingerprint_words(HERE, ALICE, BOB)

    assert ours != fingerprint_words(there, ALICE, BOB)


def test_what_is_typed_may_be_sloppy_but_not_wrong():
    words = fingerprint_words(HERE, ALICE, BOB)
    typed = " ".join(words)

    assert are_words_equal(words, typed)
    assert are_words_equal(words, typed.upper().replace(" ", "\n  "))
    assert are_words_equal(words, " ".join(word[:4] for word in words))
    assert not are_words_equal(words, " ".join(word[:3] for word in words))
    assert not are_words_equal(words, " ".join(words[:-1]))
    assert not are_words_equal(words, typed + " zoo")
    assert not are_words_equal(words, "")


@pytest.mark.parametrize("length", [1, 3, 4])
def test_the_first_four_letters_tell_every_word(length):
    beginnings = {word[:length] for word in Mnemonic("english").wordlist}

    assert (len(beginnings) == 2048) == (length == 4)


def test_any_one_word_swapped_is_noticed():
    words = list(fingerprint_words(HERE, ALICE, BOB))

    for i in range(WORDS - 1):
        swapped = words.copy()
        swapped[i], swapped[i + 1] = swapped[i + 1], swapped[i]
        assert not are_words_equal(tuple(words), " ".join(swapped))

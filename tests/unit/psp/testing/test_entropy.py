"""Repeatable randomness (psp/testing/entropy.py)."""

from psp.testing.entropy import SeededEntropy


def draw(entropy):
    return entropy.token(5), entropy.below(1_000), entropy.uniform()


def test_same_seed_same_bytes_on_every_python():
    assert draw(SeededEntropy()) == draw(SeededEntropy())
    assert SeededEntropy(7).token(8).hex() == "a2957f3cfd140809"


def test_other_seed_other_bytes():
    assert SeededEntropy(1).token(16) != SeededEntropy(2).token(16)


def test_draws_are_in_range():
    entropy = SeededEntropy()

    assert {entropy.below(3) for _ in range(100)} == {0, 1, 2}
    assert all(0 <= entropy.uniform() < 1 for _ in range(100))
    assert entropy.token(0) == b""


def test_children_are_independent_of_what_was_drawn():
    fresh, used = SeededEntropy(3), SeededEntropy(3)
    used.token(100)

    assert fresh.child("a").token(8) == used.child("a").token(8)
    assert fresh.child("a").token(8) != fresh.child("b").token(8)

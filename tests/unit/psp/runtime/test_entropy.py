"""The kernel's randomness (psp/runtime/entropy.py)."""

from psp.runtime.entropy import SystemEntropy


def test_tokens_have_their_length_and_differ():
    entropy = SystemEntropy()

    assert len(entropy.token(32)) == 32
    assert entropy.token(0) == b""
    assert entropy.token(32) != entropy.token(32)


def test_draws_are_in_range():
    entropy = SystemEntropy()

    assert {entropy.below(3) for _ in range(300)} == {0, 1, 2}
    assert all(0 <= entropy.uniform() < 1 for _ in range(100))

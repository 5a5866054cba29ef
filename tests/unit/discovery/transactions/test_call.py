"""What a transaction does (discovery/transactions/call.py)."""

import pytest

from discovery.transactions.call import Call
from psp.errors import LocalProtocolError

CALL = Call(b"t" * 20, b"data", 5, "pay")


def test_same_action_may_be_described_in_other_words():
    assert CALL.is_same_action(Call(b"t" * 20, b"data", 5, "other"))
    assert not CALL.is_same_action(Call(b"u" * 20, b"data", 5, "pay"))
    assert not CALL.is_same_action(Call(b"t" * 20, b"datb", 5, "pay"))
    assert not CALL.is_same_action(Call(b"t" * 20, b"data", 6, "pay"))
    assert not CALL.is_same_action(Call(None, b"data", 5, "pay"))


@pytest.mark.parametrize(("to", "value"), [(b"", 0), (None, -1), (None, 1 << 256)])
def test_impossible_calls_are_our_mistake(to, value):
    with pytest.raises(LocalProtocolError):
        Call(to, value=value)

"""Two ends never choose the same circuit id, and no id comes back soon."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.errors import LocalProtocolError
from psp.ids import CircuitId, NodeId
from psp.link.circuit_ids import MAX_RESTING, REST, CircuitIds, uses_even_ids
from psp.testing.entropy import SeededEntropy
from psp.units import Monotonic

NOW = Monotonic(10.0)
keys = st.binary(min_size=32, max_size=32).map(NodeId)


@given(keys, keys)
def test_two_relays_agree_on_who_is_even(first: NodeId, second: NodeId) -> None:
    if first != second:
        assert uses_even_ids(first, second) is not uses_even_ids(second, first)


@given(keys)
def test_a_client_is_even_and_its_relay_odd(relay: NodeId) -> None:
    assert uses_even_ids(None, relay)
    assert not uses_even_ids(relay, None)


@pytest.mark.parametrize("is_even", [True, False])
def test_ids_are_of_the_right_parity_and_accepted_by_the_other_end(
    is_even: bool,  # noqa: FBT001 - pytest passes it by name
) -> None:
    ids = CircuitIds(SeededEntropy(1), is_even=is_even)
    other = CircuitIds(SeededEntropy(2), is_even=not is_even)

    chosen = [ids.allocate((), NOW) for _ in range(1_000)]

    assert len(set(chosen)) == 1_000
    assert all(other.may_peer_choose(circuit_id, NOW) for circuit_id in chosen)
    assert not any(ids.may_peer_choose(circuit_id, NOW) for circuit_id in chosen)
    assert max(chosen) > 1 << 31


class FewValues:
    """Entropy that draws from a short list."""

    def __init__(self, *values: int) -> None:
        self._values = list(values)
        self._turn = 0

    def token(self, size: int) -> bytes:
        self._turn += 1
        return self._values[self._turn % len(self._values)].to_bytes(size)

    def below(self, bound: int) -> int:
        return 0

    def uniform(self) -> float:
        return 0.0


def test_an_id_rests_for_a_minute_after_use() -> None:
    ids = CircuitIds(FewValues(0, 2, 4), is_even=True)
    ids.release(CircuitId(2), NOW)

    assert ids.allocate({CircuitId(6)}, NOW) == 4
    with pytest.raises(LocalProtocolError):
        ids.allocate({CircuitId(4)}, Monotonic(NOW + REST - 1))
    assert ids.allocate({CircuitId(4)}, Monotonic(NOW + REST)) == 2


def test_the_peer_may_not_take_a_resting_id_either() -> None:
    ids = CircuitIds(SeededEntropy(1), is_even=True)
    ids.release(CircuitId(3), NOW)

    assert not ids.may_peer_choose(CircuitId(3), NOW)
    assert ids.may_peer_choose(CircuitId(3), Monotonic(NOW + REST))
    assert not ids.may_peer_choose(CircuitId(0), NOW)
    assert not ids.may_peer_choose(CircuitId(1 << 32 | 1), NOW)


def test_resting_ids_are_bounded() -> None:
    ids = CircuitIds(SeededEntropy(1), is_even=True)

    for number in range(MAX_RESTING + 1):
        ids.release(CircuitId(2 * number + 1), NOW)

    assert ids.may_peer_choose(CircuitId(1), NOW)
    assert not ids.may_peer_choose(CircuitId(3), NOW)

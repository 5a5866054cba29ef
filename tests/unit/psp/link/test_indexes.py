"""Receiver indexes lead to their owners."""

from psp.link.indexes import Indexes
from psp.link.keypair import data_prefix
from psp.testing.entropy import SeededEntropy
from psp.wire.packet import pack_data_header


class Repeating:
    """Entropy that gives each value twice."""

    def __init__(self) -> None:
        self._turn = 0

    def token(self, size: int) -> bytes:
        self._turn += 1
        return (self._turn // 2).to_bytes(size)

    def below(self, bound: int) -> int:
        return 0

    def uniform(self) -> float:
        return 0.0


def test_an_index_leads_to_its_owner_until_it_is_released() -> None:
    indexes: Indexes[str] = Indexes(SeededEntropy(1))
    index = indexes.draw()

    indexes.give(index, "handshake")
    indexes.give(index, "link")

    assert indexes.owner(index) == "link"
    assert indexes.owners[pack_data_header(index, 77)[:8]] == "link"
    assert len(indexes) == 1
    indexes.release(index)
    indexes.release(index)
    assert indexes.owner(index) is None


def test_an_index_in_use_is_not_drawn_again() -> None:
    indexes: Indexes[str] = Indexes(Repeating())
    drawn = []

    for _ in range(5):
        drawn.append(indexes.draw())
        indexes.give(drawn[-1], "somebody")

    assert len(set(drawn)) == 5


def test_the_prefix_is_that_of_data_packets() -> None:
    assert data_prefix(7).hex(" ", 4) == "05010000 00000007"

"""Receiver indexes: which of our states a packet belongs to."""

from typing import Generic, TypeVar

from psp.entropy import Entropy
from psp.link.keypair import data_prefix

OwnerT = TypeVar("OwnerT")

INDEX_SIZE = 4
INDEXES = 1 << 8 * INDEX_SIZE


class Indexes(Generic[OwnerT]):
    """Random 32-bit indexes and who owns each.

    Keyed by the first 8 bytes of data packets, so that one look-up checks type,
    version, reserved bytes and index at once. Bounded by its owners: each link, dial
    and half-open handshake holds a fixed number.

    Attributes:
        owners: By prefix; the receive path reads it directly.
    """

    __slots__ = ("_entropy", "owners")

    def __init__(self, entropy: Entropy) -> None:
        self._entropy = entropy
        self.owners: dict[bytes, OwnerT] = {}

    def __len__(self) -> int:
        return len(self.owners)

    def draw(self) -> int:
        """Return a random index that nobody owns; `give` it to somebody at once."""
        while True:
            index = int.from_bytes(self._entropy.token(INDEX_SIZE))
            if data_prefix(index) not in self.owners:
                return index

    def give(self, index: int, owner: OwnerT) -> None:
        """Let an index lead to ``owner`` from now on."""
        self.owners[data_prefix(index)] = owner

    def release(self, index: int) -> None:
        """Forget an index; an unknown one is fine."""
        self.owners.pop(data_prefix(index), None)

    def owner(self, index: int) -> OwnerT | None:
        """Return who owns ``index``."""
        return self.owners.get(data_prefix(index))

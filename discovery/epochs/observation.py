"""What the driver is told of the chain. Nothing of it is proven."""

from dataclasses import dataclass

from psp.directory.chain.layout import epoch_at, epoch_start


@dataclass(frozen=True, slots=True)
class Parameters:
    """What the registry was founded with.

    Attributes:
        genesis: Unix seconds.
        epoch_length: Seconds.
        min_stake: Wei.
        seats: Of a list.
        is_drawn: A draw in proportion to weight, else the largest weights.
        is_self_only: A node is nominated by its owner or operator only.
    """

    genesis: int
    epoch_length: int
    min_stake: int
    seats: int
    is_drawn: bool
    is_self_only: bool

    def epoch(self, timestamp: int) -> int:
        """Return the epoch of a block."""
        return epoch_at(timestamp, self.genesis, self.epoch_length)

    def start(self, epoch: int) -> int:
        """Return when an epoch begins, Unix seconds."""
        return epoch_start(epoch, self.genesis, self.epoch_length)


@dataclass(frozen=True, slots=True)
class Node:
    """This relay's node.

    Attributes:
        number: In the registry.
        is_active: Neither retired nor revoked.
        is_ours: The account is its owner or operator.
        weight_word: As the registry packs it.
    """

    number: int
    is_active: bool
    is_ours: bool
    weight_word: int


@dataclass(frozen=True, slots=True)
class Observation:
    """The chain at one block.

    Attributes:
        height: Of the block.
        timestamp: Its time, Unix seconds: the only clock that counts.
        parameters: Of the registry.
        node: This relay's; None if it is not registered.
        nodes: How many numbers were given.
        stake: Wei in the registry: all weights, and a little more.
        target: Block behind which the next list's seed is drawn; 0: not requested.
        seed: Of the next list; None as long as unknown.
        keys: The next list as it stands.
        balance: Of the account, wei.
        cost: The most that one action costs now, wei; None: above the limits.
    """

    height: int
    timestamp: int
    parameters: Parameters
    node: Node | None
    nodes: int
    stake: int
    target: int
    seed: bytes | None
    keys: tuple[int, ...]
    balance: int
    cost: int | None

    @property
    def epoch(self) -> int:
        """The present epoch; the list that is being made is the next one's."""
        return self.parameters.epoch(self.timestamp)

"""A chain whose epochs follow each other, and hand-overs signed by whom a test likes."""

from collections.abc import Iterable, Mapping, Sequence

from psp.crypto.keys import SigningKey
from psp.directory.chain import layout
from psp.directory.chain.view import ChainView
from psp.directory.snapshot import hand_over_of
from psp.ids import NodeId
from psp.netdoc.handover import HandOver
from psp.testing.chain import MemoryContracts
from psp.testing.directory import START
from psp.testing.entropy import SeededEntropy
from psp.units import UnixTime

DAY = 86_400
BLOCK_TIME = 12


class Succession:
    """Some nodes, and who is elected when.

    Attributes:
        contracts: The chain's contracts; change them between epochs.
        lists: Numbers elected for each epoch.
        epoch_length: Seconds.
        unbonding: Seconds.
    """

    def __init__(
        self,
        lists: Mapping[int, Sequence[int]],
        *,
        nodes: int = 12,
        trusted: Sequence[int] = (11, 12),
        epoch_length: int = DAY,
        unbonding: int = 7 * DAY,
        seed: int | str = "succession",
    ) -> None:
        """Register the nodes; nothing is elected before `at`."""
        self.contracts = MemoryContracts.with_nodes(SeededEntropy(seed), nodes)
        self.contracts.relays[layout.RELAYS_PARAMS] = (
            START
            | epoch_length << 64
            | unbonding << 96
            | 8 << 128  # seats
            | 3 << 144  # blocks until a seed is drawn
            | 1 << 160  # sortition
        )
        self.contracts.trust(trusted)
        self.lists = dict(lists)
        self.epoch_length = epoch_length
        self.unbonding = unbonding
        self._views: dict[int, ChainView] = {}

    def start(self, epoch: int) -> UnixTime:
        """Return when an epoch begins."""
        return UnixTime(START + (epoch - layout.FIRST_EPOCH) * self.epoch_length)

    def view_at(self, start: UnixTime) -> ChainView:
        """Return the view at the first block not before a time; it stays the same."""
        height = -(-(start - START) // BLOCK_TIME)
        if height not in self._views:
            when = START + height * BLOCK_TIME
            epoch = (when - START) // self.epoch_length + layout.FIRST_EPOCH
            for ring in range(layout.RING):
                self.contracts.relays[layout.RELAYS_HEAP_META + ring] = 0
            for earlier in range(max(layout.FIRST_EPOCH, epoch - 3), epoch + 1):
                if earlier in self.lists:
                    self.contracts.elect(earlier, self.lists[earlier])
            self._views[height] = self.contracts.view(1_000 + height, when)
        return self._views[height]

    def at(self, epoch: int, later: int = 0) -> ChainView:
        """Return the view at an epoch's anchor block, or that of a later period."""
        return self.view_at(UnixTime(self.start(epoch) + later))

    def key(self, number: int) -> SigningKey:
        """Return a node's identity key."""
        return self.contracts.keys[number]

    def ids(self, numbers: Iterable[int]) -> tuple[NodeId, ...]:
        """Return identities, in the order of the numbers."""
        return tuple(self.contracts.node_id(number) for number in numbers)

    def hand_over(self, epoch: int, signers: Iterable[int], later: int = 0) -> HandOver:
        """Return an epoch's hand-over, signed by these nodes."""
        return self.signed(hand_over_of(self.at(epoch, later)), signers)

    def signed(self, hand_over: HandOver, signers: Iterable[int]) -> HandOver:
        """Return any hand-over, signed by these nodes too."""
        keys = [self.key(number) for number in signers]
        more = {NodeId(key.public): hand_over.sign(key) for key in keys}
        return hand_over.with_signatures({**hand_over.signatures, **more})

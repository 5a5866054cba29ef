"""What the contracts of a network were made with, 190 bytes of every hand-over.

Big-endian::

    genesis 8 | epoch length 4 | unbonding 4 | seats 2 | seed delay 2 | flags 1
    | strategy 1 | least stake 32 | book 20 | users 20 | 3 x code hash 32

Flags: 1 sortition, 2 self only. None of it ever changes: other rules are another
network, or a replaced contract.
"""

import struct
from dataclasses import dataclass
from typing import Self

from psp.errors import DecodeError, LocalProtocolError
from psp.units import UnixTime
from psp.wire.buffer import Reader

MAX_SEATS = 256
"""Of a list, as in the contract."""
FIRST_EPOCH = 4
PERIOD = 21_600
"""Seconds after which the list is handed over again within an epoch, to itself. New
circuits need a list of the last 24 hours (R-RPC-2), and a day's random value is drawn in
the middle of a long epoch."""

_RULES = struct.Struct("!QIIHHBB32s20s20s32s32s32s")
_STAKE = 32
_SORTITION, _SELF_ONLY = 1, 2


@dataclass(frozen=True, slots=True)
class Rules:
    """What the contracts were made with and never changes.

    Attributes:
        genesis: Unix seconds at which epoch 4 began.
        epoch_length: Seconds.
        unbonding: Seconds for which stake stays locked after it was withdrawn.
        seats: Of a list, 1 … 256.
        seed_delay: Blocks.
        sortition: Whether seats are drawn in proportion to stake.
        self_only: Whether a node is nominated only by its own operator.
        strategy: Number of the rule for weights.
        min_stake: In the chain's smallest unit.
        book: Address of the node records, 20 bytes.
        users: Address of the users' records, 20 bytes.
        code_hashes: Of relays, book and users, 32 bytes each.
    """

    genesis: int
    epoch_length: int
    unbonding: int
    seats: int
    seed_delay: int
    sortition: bool
    self_only: bool
    strategy: int
    min_stake: int
    book: bytes
    users: bytes
    code_hashes: tuple[bytes, bytes, bytes]

    def epoch_of(self, timestamp: int) -> int:
        """Return the epoch that a time lies in; epochs start at 4."""
        return (timestamp - self.genesis) // self.epoch_length + FIRST_EPOCH

    def start_of(self, epoch: int) -> UnixTime:
        """Return when an epoch begins."""
        return UnixTime(self.genesis + (epoch - FIRST_EPOCH) * self.epoch_length)

    def period_start(self, timestamp: int) -> UnixTime:
        """Return when the period that a time lies in began.

        The first period of an epoch begins with it; they last 6 hours, the last one of
        an epoch until its end.
        """
        start = self.start_of(self.epoch_of(timestamp))
        return UnixTime(start + (timestamp - start) // PERIOD * PERIOD)

    def period_end(self, timestamp: int) -> UnixTime:
        """Return when the period that a time lies in is over."""
        next_epoch = self.start_of(self.epoch_of(timestamp) + 1)
        return min(UnixTime(self.period_start(timestamp) + PERIOD), next_epoch)

    def pack(self) -> bytes:
        """Return the 190 bytes.

        Raises:
            LocalProtocolError: If a field is out of range.
        """
        flags = _SORTITION * self.sortition | _SELF_ONLY * self.self_only
        if not 0 <= self.min_stake < 1 << 256:
            raise LocalProtocolError("a stake has 256 bits")
        try:
            return _RULES.pack(
                self.genesis,
                self.epoch_length,
                self.unbonding,
                self.seats,
                self.seed_delay,
                flags,
                self.strategy,
                self.min_stake.to_bytes(_STAKE),
                self.book,
                self.users,
                *self.code_hashes,
            )
        except struct.error:
            raise LocalProtocolError("a rule is out of range") from None

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """Read them.

        Raises:
            DecodeError: If they are not rules.
        """
        fields = _RULES.unpack(reader.take(_RULES.size))
        genesis, length, unbonding, seats, delay, flags, strategy = fields[:7]
        stake, book, users, *hashes = fields[7:]
        if flags > _SORTITION | _SELF_ONLY or not length or not 0 < seats <= MAX_SEATS:
            raise DecodeError("not the rules of an election")
        return cls(
            genesis,
            length,
            unbonding,
            seats,
            delay,
            bool(flags & _SORTITION),
            bool(flags & _SELF_ONLY),
            strategy,
            int.from_bytes(stake),
            book,
            users,
            (hashes[0], hashes[1], hashes[2]),
        )

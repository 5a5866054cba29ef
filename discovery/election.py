"""The election of the discovery nodes, recomputed: the arithmetic of `Relays.vy`.

Whole numbers only, so that anybody who knows seed and weights gets the contract's list to
the last bit. A node's key is what the contract's heap compares, and smaller is better:

    draw     key = (-log2(u) << 96) // weight << 32 | number,  u from seed and number
    no draw  key = (2**96 - 1 - weight) << 32 | number

-log2(u) / weight is an exponential clock that runs at the speed of the weight. The first
clocks to ring are a draw without replacement in proportion to weight, and many small nodes
together ring as often as one large one.
"""

import heapq
from collections.abc import Mapping

from psp.crypto.keccak import keccak256

FRACTION_BITS = 48
"""Of -log2(u): each costs the contract a squaring, some 300 gas."""

UNIFORM_BITS = 128
NUMBER_BITS = 32
WEIGHT_BITS = 96
WORD_BYTES = 32

MAX_NUMBER = (1 << NUMBER_BITS) - 1
MAX_WEIGHT = (1 << WEIGHT_BITS) - 1


def neglog2(u: int) -> int:
    """Return -log2(u / 2**128) in units of 2**-48, rounded up; 0 < u < 2**128."""
    exponent = u.bit_length() - 1
    mantissa = u << (UNIFORM_BITS - 1 - exponent)
    fraction = 0
    for _ in range(FRACTION_BITS):
        mantissa = (mantissa * mantissa) >> (UNIFORM_BITS - 1)
        carry = mantissa >> UNIFORM_BITS
        mantissa >>= carry
        fraction = (fraction << 1) | carry
    return (UNIFORM_BITS << FRACTION_BITS) - ((exponent << FRACTION_BITS) | fraction)


def draw_key(seed: bytes, number: int, weight: int, *, sortition: bool) -> int:
    """Return what a nomination is compared by, as the contract's `key_of`.

    Args:
        seed: Of the list, 32 bytes; not used without a draw.
        number: Of the node, below 2**32.
        weight: In wei, from 1 to 2**96 - 1.
        sortition: True for a draw, False for the largest weights.
    """
    if not sortition:
        return ((MAX_WEIGHT - weight) << NUMBER_BITS) | number
    hashed = keccak256(seed, number.to_bytes(WORD_BYTES, "big"))
    u = (int.from_bytes(hashed, "big") >> UNIFORM_BITS) | 1
    return (((neglog2(u) << WEIGHT_BITS) // weight) << NUMBER_BITS) | number


def number_of(key: int) -> int:
    """Return the node a key belongs to."""
    return key & MAX_NUMBER


def weight_at_start(word: int, epoch: int) -> int:
    """Return the weight, in wei, that a node had when an epoch began, as `weight_of`.

    Args:
        word: Of weight, as `weights` returns it.
        epoch: The current one.
    """
    changed = (word >> 2 * WEIGHT_BITS) & MAX_NUMBER
    if changed == epoch:
        return word & MAX_WEIGHT
    return (word >> WEIGHT_BITS) & MAX_WEIGHT


def effective_weight(word: int, epoch: int) -> int:
    """Return the weight, in wei, that a nomination in this epoch counts.

    That is what the node had when the epoch began, less what was taken away since: stake
    that moves on is not used twice. Arguments as in `weight_at_start`.
    """
    return min(weight_at_start(word, epoch), (word >> WEIGHT_BITS) & MAX_WEIGHT)


def elect(
    seed: bytes, weights: Mapping[int, int], seats: int, *, sortition: bool
) -> list[int]:
    """Return the numbers that are elected when all of these are nominated, best first.

    Args:
        seed: Of the list, 32 bytes; not used without a draw.
        weights: In wei, by number. Nodes without weight are passed over; whoever replays
            an election leaves out those below the smallest stake.
        seats: Length of a list.
        sortition: True for a draw, False for the largest weights.
    """
    keys = (
        draw_key(seed, number, weight, sortition=sortition)
        for number, weight in weights.items()
        if weight > 0
    )
    return [number_of(key) for key in heapq.nsmallest(seats, keys)]


def seed_of(
    prevrandao: bytes, parent_hash: bytes, epoch: int, registry: bytes
) -> bytes:
    """Return the seed of a list, 32 bytes.

    Args:
        prevrandao: Of the block that drew it, 32 bytes: mixHash in its header.
        parent_hash: Of that block, 32 bytes.
        epoch: Of the list.
        registry: Address of the Relays contract, 20 bytes.
    """
    return keccak256(
        prevrandao,
        parent_hash,
        epoch.to_bytes(WORD_BYTES, "big"),
        registry.rjust(WORD_BYTES, b"\0"),
    )


def beacon_of(seed: bytes, day: int) -> bytes:
    """Return the beacon of a day, 32 bytes, of the seed first drawn the day before.

    Args:
        seed: Drawn, 32 bytes.
        day: Days since 1970.
    """
    return keccak256(seed, day.to_bytes(WORD_BYTES, "big"))

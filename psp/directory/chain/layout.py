"""The contracts as readers see them: slots of their storage, pages, calls, epochs.

The contracts are in `discovery/contract`; a test holds every number here against what
their compiler says. Heads, low bits to high::

    node   owner 160 | status 4 | words 4 | version 24 | registered epoch 32 | onion epoch 32
    user   owner 160 | status 4 | zero 4  | version 24 | time of the last change 64
    name   owner 160 | status 4 | zero 4  | version 24 | user 32 | expires 32

`versions` of a contract of records gives bits 160 … 191 of each head, eight to a word, the
first in the lowest bits.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from psp.crypto.keccak import keccak256
from psp.errors import DecodeError
from psp.units import UnixTime

WORD = 32

# NodeBook. A record's words begin at mapping_slot(BOOK_RECORDS, number): head, identity,
# onion key, signature (2), endpoints (4).
BOOK_KEEPER = 0
BOOK_COUNT = 1
BOOK_RECORDS = 2
MAX_RECORD_WORDS = 9

# Users. Words of a record: head, identity, signature (2).
USERS_COUNT = 0
USERS_RECORDS = 1
USER_WORDS = 4

# Names. Words of a record: head, name.
NAMES_USERS = 0
NAMES_DEPOSIT = 1
NAMES_COUNT = 2
NAMES_RECORDS = 3
NAMES_NUMBERS = 4
"""Number of the newest record by name."""
NAMES_HELD = 5
"""Number of the newest record by user."""
NAME_WORDS = 2

# Relays.
RELAYS_PARAMS = 0
"""genesis 64 | epoch length 32 | unbonding 32 | seats 16 | seed delay 16 | flags 8 |
strategy 8, low to high; flags: 1 sortition, 2 self only."""
RELAYS_MIN_STAKE = 1
RELAYS_BOOK = 2
RELAYS_USERS = 3
RELAYS_TRUSTED = 6
"""How many, then that many numbers."""
RELAYS_HEAP_META = 23
"""Four words: epoch << 32 | size."""
RELAYS_SEED_TARGET = 27
"""Four words: epoch << 64 | block."""
RELAYS_SEEDS = 31
RELAYS_HEAPS = 35
"""Four heaps of `MAX_SEATS` words: key << 32 | number."""
RELAYS_BEACONS = 1059
RELAYS_WEIGHTS = 1060

RING = 4
"""Lists held: the next one, the present one and the two before."""
FIRST_EPOCH = 4
MAX_SEATS = 256
MAX_TRUSTED = 16

# The most that one call gives.
BOOK_PAGE = 240
NUMBERS_PAGE = 240
USERS_PAGE = 400
NAMES_PAGE = 400
WEIGHTS_PAGE = 400
VERSIONS_PAGE = 2_400

_PER_WORD = 8
"""Versions."""

# First four bytes of Keccak-256 of a function's signature.
NODE_COUNT = bytes.fromhex("4f70c9e0")  # node_count()
USER_COUNT = bytes.fromhex("bb805f69")  # user_count()
PAGE = bytes.fromhex("ebb9e69c")  # page(uint256,uint256)
VERSIONS = bytes.fromhex("c97fddbd")  # versions(uint256,uint256)
RECORDS_OF = bytes.fromhex("be0144c3")  # records_of(uint256[])
WEIGHTS = bytes.fromhex("515857d4")  # weights(uint256,uint256)


def mapping_slot(slot: int, key: int) -> int:
    """Return where the value of a key lies; Vyper hashes the mapping's slot first."""
    return int.from_bytes(keccak256(slot.to_bytes(WORD), key.to_bytes(WORD)))


def epoch_at(timestamp: int, genesis: int, epoch_length: int) -> int:
    """Return the epoch of a time not before genesis; the first one is 4."""
    return (timestamp - genesis) // epoch_length + FIRST_EPOCH


def epoch_start(epoch: int, genesis: int, epoch_length: int) -> UnixTime:
    """Return when an epoch begins."""
    return UnixTime(genesis + (epoch - FIRST_EPOCH) * epoch_length)


# ---- inputs of eth_call


def node_count_call() -> bytes:
    """Ask NodeBook how many numbers it has given (`decode_count`)."""
    return NODE_COUNT


def node_page_call(first: int, n: int) -> bytes:
    """Ask NodeBook for the records of at most 240 nodes (`decode_words`)."""
    return PAGE + _words((first, n))


def node_versions_call(first: int, n: int) -> bytes:
    """Ask NodeBook for the versions of at most 2,400 nodes (`decode_versions`)."""
    return VERSIONS + _words((first, n))


def node_records_call(numbers: Sequence[int]) -> bytes:
    """Ask NodeBook for the records of at most 240 chosen nodes (`decode_words`)."""
    return RECORDS_OF + _words((WORD, len(numbers), *numbers))


def user_count_call() -> bytes:
    """Ask Users how many numbers it has given (`decode_count`)."""
    return USER_COUNT


def user_page_call(first: int, n: int) -> bytes:
    """Ask Users for the records of at most 400 users (`decode_words`)."""
    return PAGE + _words((first, n))


def user_versions_call(first: int, n: int) -> bytes:
    """Ask Users for the versions of at most 2,400 users (`decode_versions`)."""
    return VERSIONS + _words((first, n))


def name_page_call(first: int, n: int) -> bytes:
    """Ask Names for at most 400 records (`decode_words`)."""
    return PAGE + _words((first, n))


def name_versions_call(first: int, n: int) -> bytes:
    """Ask Names for the versions of at most 2,400 records (`decode_versions`)."""
    return VERSIONS + _words((first, n))


def weights_call(first: int, n: int) -> bytes:
    """Ask Relays for the weights of at most 400 nodes (`decode_weights`)."""
    return WEIGHTS + _words((first, n))


# ---- outputs of eth_call


@dataclass(frozen=True, slots=True)
class Weight:
    """Stake and votes of one node, in wei.

    Attributes:
        now: What counts in the epoch `changed`.
        next: What counts after it.
        changed: Epoch of the last change.
        nominated: Epoch of the last list it was put up for.
    """

    now: int
    next: int
    changed: int
    nominated: int

    def at(self, epoch: int) -> int:
        """Return what counts in an epoch not before the last change."""
        return self.now if epoch == self.changed else self.next


def decode_count(data: bytes, limit: int) -> int:
    """Read one number.

    Raises:
        DecodeError: If it is anything else or above ``limit``.
    """
    number = int.from_bytes(data)
    if len(data) != WORD or number > limit:
        raise DecodeError(f"not a number of at most {limit}")
    return number


def decode_words(data: bytes, max_words: int) -> bytes:
    """Read a list of words and return them joined.

    Raises:
        DecodeError: If it is anything else or has more than ``max_words``.
    """
    words = data[2 * WORD :]
    if data[: 2 * WORD] != _words((WORD, len(words) // WORD)) or len(words) % WORD:
        raise DecodeError("not a list of words as a contract returns it")
    if len(words) > max_words * WORD:
        raise DecodeError(f"a list of {len(words) // WORD} words")
    return words


def decode_versions(data: bytes, n: int) -> tuple[int, ...]:
    """Read the versions of ``n`` records: status 4 | words 4 | version 24.

    Raises:
        DecodeError: If it is anything else.
    """
    words = decode_words(data, -(-n // _PER_WORD))
    if len(words) != -(-n // _PER_WORD) * WORD:
        raise DecodeError(f"not the versions of {n} records")
    # The first is in the lowest bits of its word, which are the last bytes of it.
    versions = [
        int.from_bytes(words[start + WORD - 4 - 4 * i : start + WORD - 4 * i])
        for start in range(0, len(words), WORD)
        for i in range(_PER_WORD)
    ]
    if any(versions[n:]):
        raise DecodeError(f"versions of more than {n} records")
    return tuple(versions[:n])


def decode_weights(data: bytes, n: int) -> tuple[Weight, ...]:
    """Read the weights of ``n`` nodes.

    Raises:
        DecodeError: If it is anything else.
    """
    words = decode_words(data, n)
    if len(words) != n * WORD:
        raise DecodeError(f"not the weights of {n} nodes")
    return tuple(
        Weight(
            now=int.from_bytes(words[start + 20 : start + 32]),
            next=int.from_bytes(words[start + 8 : start + 20]),
            changed=int.from_bytes(words[start + 4 : start + 8]),
            nominated=int.from_bytes(words[start : start + 4]),
        )
        for start in range(0, len(words), WORD)
    )


def _words(values: Sequence[int]) -> bytes:
    return b"".join([value.to_bytes(WORD) for value in values])

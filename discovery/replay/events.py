"""The three events of Relays that an election leaves behind, read strictly.

::

    Seed(epoch indexed, seed)
    Nominated(epoch indexed, number indexed, weight, key)
    Vote(voter indexed, number indexed, amount, added, epoch)

They are few and made of plain words, so no library is loaded for them; a test holds them
to the contract's interface.
"""

from collections.abc import Iterable

from discovery.election import MAX_NUMBER, MAX_WEIGHT
from discovery.replay.draw import Nomination, Vote
from discovery.replay.logs import ChainLog
from psp.crypto.keccak import keccak256
from psp.errors import DecodeError

SEED = keccak256(b"Seed(uint256,bytes32)")
NOMINATED = keccak256(b"Nominated(uint256,uint256,uint256,uint256)")
VOTE = keccak256(b"Vote(address,uint256,uint256,bool,uint256)")

_WORD = 32
_MAX_EPOCH = (1 << 64) - 1


def seeds(logs: Iterable[ChainLog]) -> list[tuple[int, bytes]]:
    """Return block and seed of each event Seed.

    Raises:
        DecodeError: If one is malformed.
    """
    return [
        (log.block, _words(log, topics=2, words=1)[0].to_bytes(_WORD))
        for log in logs
        if log.topics[0] == SEED
    ]


def nominations(logs: Iterable[ChainLog]) -> list[Nomination]:
    """Return each event Nominated.

    Raises:
        DecodeError: If one is malformed.
    """
    found: list[Nomination] = []
    for log in logs:
        if log.topics[0] == NOMINATED:
            weight, key = _words(log, topics=3, words=2)
            number = _number(log, 2)
            position = log.block, log.index
            found.append(Nomination(position, number, _up_to(weight, MAX_WEIGHT), key))
    return found


def votes(logs: Iterable[ChainLog]) -> list[Vote]:
    """Return each event Vote.

    Raises:
        DecodeError: If one is malformed.
    """
    found: list[Vote] = []
    for log in logs:
        if log.topics[0] == VOTE:
            amount, added, epoch = _words(log, topics=3, words=3)
            sign = 1 if _up_to(added, 1) else -1
            found.append(
                Vote(
                    (log.block, log.index),
                    _number(log, 2),
                    sign * _up_to(amount, MAX_WEIGHT),
                    _up_to(epoch, _MAX_EPOCH),
                )
            )
    return found


def _words(log: ChainLog, *, topics: int, words: int) -> list[int]:
    if len(log.topics) != topics or len(log.data) != words * _WORD:
        raise DecodeError("an event of the registry in another form")
    return [
        int.from_bytes(log.data[i : i + _WORD]) for i in range(0, words * _WORD, _WORD)
    ]


def _number(log: ChainLog, topic: int) -> int:
    return _up_to(int.from_bytes(log.topics[topic]), MAX_NUMBER)


def _up_to(value: int, limit: int) -> int:
    if value > limit:
        raise DecodeError("an event of the registry with an impossible value")
    return value

"""Words by which two people make sure that they have each other's keys.

Both see the same twelve words of the BIP-39 English list and read them to each other,
over a channel where they know each other's voice. They stand for 128 bits of a hash of
both identities: who sits between the two would need keys whose words agree on both
sides, which takes about 2**64 tries.

::

    >>> from psp.ids import UserId
    >>> from psp.wire.network import Network
    >>> here = Network(1, bytes(20))
    >>> ours = fingerprint_words(here, UserId(b"a" * 32), UserId(b"b" * 32))
    >>> ours == fingerprint_words(here, UserId(b"b" * 32), UserId(b"a" * 32))
    True
    >>> len(ours)
    12
"""

import functools
from typing import TYPE_CHECKING

from psp.crypto.kdf import Label
from psp.crypto.primitives import blake2b
from psp.ids import UserId
from psp.wire.network import Network

if TYPE_CHECKING:
    from mnemonic import Mnemonic

WORDS = 12
"""Words of one fingerprint: 128 bits and a checksum of 4."""

_FINGERPRINT_BYTES = 16


def fingerprint_words(network: Network, one: UserId, other: UserId) -> tuple[str, ...]:
    """Return the words of two identities; the same whoever of the two asks."""
    first, second = sorted((one, other))
    digest = blake2b(
        Label.FINGERPRINT, network.encode(), first, second, size=_FINGERPRINT_BYTES
    )
    return tuple(_word_list().to_mnemonic(digest).split())


def are_words_equal(words: tuple[str, ...], heard: str) -> bool:
    """Compare with what somebody typed: case, spaces and line ends do not matter.

    Every word of the list is told from all others by its first four letters, so words
    cut after four letters count.
    """
    typed = heard.lower().split()
    return len(typed) == len(words) and all(
        word == other or (len(other) == 4 and word.startswith(other))
        for word, other in zip(words, typed, strict=True)
    )


@functools.cache
def _word_list() -> "Mnemonic":
    # Its PBKDF2 and its list are loaded by those who compare words only.
    from mnemonic import Mnemonic  # noqa: PLC0415

    return Mnemonic("english")

"""One layer of an onion, or of a session: seal, open, ratchet (SPEC.md section 3).

::

    body  = ctr_low32 4 | AES-256-GCM(plaintext) | tag 16          big-endian
    nonce = zeros 4 | counter 8
    epoch = (counter - start) >> 16

Bodies may be lost, doubled and reordered. The receiver takes the 64-bit counter nearest
to the highest it accepted, asks the replay window, finds the key of the counter's
epoch, and changes its state only after a good tag (R-TAG-1, R-TAG-3, R-TAG-7)::

    epoch    e-2    e-1       e        e+1 … e+4    e+5 …
             gone   previous  current  derived      refused
                                       from chain

Each end's fast branch is the body next in order in the current epoch: everything before
and after its one AEAD call is a handful of local operations. This is the inner loop of
a relay; measure before touching it.

A cipher takes 2.5 kB, most of what an idle circuit costs. `rest` puts it away until the
next body: a `limit` of 0 keeps the fast branch from being taken.
"""

import struct
from collections.abc import Callable, Sequence
from itertools import repeat
from typing import TypeAlias, cast

from psp.crypto.kdf import LayerKeys, ratchet_chain, ratchet_key
from psp.crypto.primitives import TAG_SIZE, AesGcm, InvalidTag
from psp.crypto.replay import ReplayWindow
from psp.errors import LocalProtocolError

COUNTER_SIZE = 4
LAYER_OVERHEAD = COUNTER_SIZE + TAG_SIZE
"""Bytes that sealing adds."""

EPOCH_BITS = 16
"""Cells of one key, as a power of two: 65,536 cells bound what a stolen key opens, and
keep far below GCM's limit of 2**32 messages per key (SPEC.md section 3)."""

MAX_EPOCHS_AHEAD = 4
"""How far a receiver follows: 4 epochs are 262,144 cells lost in one go, and 4 HMACs are
what a forged counter can cost us (SPEC.md section 3)."""

WINDOW_SIZE = 2048
"""Counters a body may be late by (SPEC.md section 3; R-LNK-7)."""

Buffer: TypeAlias = bytes | bytearray | memoryview
_Cipher: TypeAlias = Callable[[bytes, Buffer, bytes], bytes]

_EPOCH_SIZE = 1 << EPOCH_BITS
_LOW = 0xFFFFFFFF
_HALF = 0x80000000
_END = 1 << 31
_unpack_low = struct.Struct(">I").unpack_from


def body_cutter(
    size: int, before: int = 0, after: int = 0
) -> Callable[[bytes], tuple[int, bytes]]:
    """Return what takes a body apart, as `OpeningLayer.open_run` wants it.

    Args:
        size: Bytes of the body.
        before: Bytes in front of it that are passed over.
        after: Bytes behind it that are.
    """
    layout = struct.Struct(f"!{before}xI{size - COUNTER_SIZE}s{after}x")
    return cast("Callable[[bytes], tuple[int, bytes]]", layout.unpack)


class SealingLayer:
    """The sending end of one direction.

    Attributes:
        counter: The next counter; also the number of bodies sealed plus the start.
    """

    __slots__ = (
        "_aad",
        "_chain",
        "_encrypt",
        "_epoch_end",
        "_key",
        "_limit",
        "counter",
    )

    def __init__(self, keys: LayerKeys) -> None:
        self.counter = keys.start
        self._epoch_end = keys.start + _EPOCH_SIZE
        self._aad = keys.aad
        self._key = ratchet_key(keys.chain_key)
        self._chain = ratchet_chain(keys.chain_key)
        self.rest()

    def seal(self, plaintext: Buffer) -> bytes:
        """Return the body, 20 bytes longer than ``plaintext``."""
        counter = self.counter
        if counter >= self._limit:
            self._wake()
        self.counter = counter + 1
        nonce = counter.to_bytes(12)
        return nonce[8:] + self._encrypt(nonce, plaintext, self._aad)

    def seal_run(
        self, plaintexts: Sequence[Buffer], before: bytes = b"", after: bytes = b""
    ) -> list[bytes]:
        """Return each body between two constant pieces: as `seal`, in less time."""
        counter = self.counter
        if counter >= self._limit:
            self._wake()
        end = counter + len(plaintexts)
        if end > self._limit:
            return [before + self.seal(plaintext) + after for plaintext in plaintexts]
        self.counter = end
        nonces = [number.to_bytes(12) for number in range(counter, end)]
        sealed = map(self._encrypt, nonces, plaintexts, repeat(self._aad))
        join = b"".join
        return [
            join((before, nonce[8:], body, after))
            for nonce, body in zip(nonces, sealed, strict=True)
        ]

    def advance_to(self, counter: int) -> None:
        """Skip counters, as if the bodies between had been sealed and lost.

        Raises:
            LocalProtocolError: If that would use a counter twice.
        """
        if counter < self.counter:
            raise LocalProtocolError("counters only go up")
        self.counter = counter

    def rest(self) -> None:
        """Put the cipher away until the next body."""
        self._encrypt: _Cipher = _never
        self._limit = 0

    def _wake(self) -> None:
        while self.counter >= self._epoch_end:
            self._key = ratchet_key(self._chain)
            self._chain = ratchet_chain(self._chain)
            self._epoch_end += _EPOCH_SIZE
        self._encrypt = AesGcm(self._key).encrypt
        self._limit = self._epoch_end

    def __repr__(self) -> str:
        return "SealingLayer([scrubbed])"


class OpeningLayer:
    """The receiving end of one direction.

    Attributes:
        bad_tag: Bodies that were forged, damaged, or of an epoch out of reach.
        replayed: Bodies seen before, or too late for the window.
    """

    __slots__ = (
        "_aad",
        "_chain",
        "_decrypt",
        "_epoch_end",
        "_expected",
        "_key",
        "_limit",
        "_missing",
        "_previous_key",
        "_window",
        "bad_tag",
        "replayed",
    )

    def __init__(self, keys: LayerKeys) -> None:
        self.bad_tag = 0
        self.replayed = 0
        self._expected = keys.start
        self._aad = keys.aad
        self._missing = keys.start
        self._window = ReplayWindow(WINDOW_SIZE, keys.start)
        self._epoch_end = keys.start + _EPOCH_SIZE
        self._key = ratchet_key(keys.chain_key)
        # Raw, not a cipher object: late bodies of an old epoch are rare, contexts large.
        self._previous_key = b""
        self._chain = ratchet_chain(keys.chain_key)
        self.rest()

    @property
    def highest(self) -> int:
        """The greatest counter accepted; the start less one before the first."""
        return self._expected - 1

    @property
    def received(self) -> int:
        """Bodies opened."""
        return self._expected - self._missing

    def open(self, buffer: Buffer, start: int = 0, end: int = _END) -> bytes | None:
        """Return the plaintext of the body ``buffer[start:end]``, or None if it is bad.

        Why it was bad is in the counters.
        """
        counter = self._expected
        try:
            (low,) = _unpack_low(buffer, start)
            sealed = buffer[start + COUNTER_SIZE : end]
            if low == counter & _LOW and counter < self._limit:
                plaintext = self._decrypt(counter.to_bytes(12), sealed, self._aad)
                self._expected = counter + 1
                return plaintext
            return self._open_other(low, sealed)
        except (InvalidTag, struct.error):
            self.bad_tag += 1
            return None

    def open_run(
        self, lows: Sequence[int], sealed: Sequence[bytes]
    ) -> list[bytes] | None:
        """Return the plaintexts of bodies that are all next in order, at once.

        Args:
            lows: The low halves of their counters.
            sealed: What follows in each of them.

        Returns:
            None if they are not, or one is bad: nothing has changed, `open` each.
        """
        first = self._expected
        after = first + len(lows)
        low = first & _LOW
        if after > self._limit or lows != tuple(range(low, low + len(lows))):
            return None
        nonces = [number.to_bytes(12) for number in range(first, after)]
        try:
            opened = list(map(self._decrypt, nonces, sealed, repeat(self._aad)))
        except InvalidTag:
            return None
        self._expected = after
        return opened

    def rest(self) -> None:
        """Put the cipher away until the next body."""
        self._decrypt: _Cipher = _never
        self._limit = 0

    def _open_other(self, low: int, sealed: Buffer) -> bytes | None:
        window = self._window
        highest = window.highest = self._expected - 1
        ahead = (low - highest) & _LOW
        counter = highest + (ahead if ahead < _HALF else ahead - _HALF - _HALF)
        if not window.is_fresh(counter):
            self.replayed += 1
            return None
        if counter >= self._epoch_end:
            plaintext = self._open_ahead(counter, sealed)
        else:
            # No counter the window takes is older than the previous epoch, since the
            # window is smaller than an epoch.
            is_current = counter >= self._epoch_end - _EPOCH_SIZE
            decrypt = (
                self._cipher() if is_current else AesGcm(self._previous_key).decrypt
            )
            plaintext = decrypt(counter.to_bytes(12), sealed, self._aad)
        window.accept(counter)
        self._missing += window.highest - highest - 1
        self._expected = window.highest + 1
        return plaintext

    def _cipher(self) -> _Cipher:
        if not self._limit:
            self._decrypt = AesGcm(self._key).decrypt
            self._limit = self._epoch_end
        return self._decrypt

    def _open_ahead(self, counter: int, sealed: Buffer) -> bytes:
        steps = ((counter - self._epoch_end) >> EPOCH_BITS) + 1
        if steps > MAX_EPOCHS_AHEAD:
            raise InvalidTag
        before, chain = None, self._chain
        for _ in range(steps - 1):
            before, chain = chain, ratchet_chain(chain)
        key = ratchet_key(chain)
        decrypt = AesGcm(key).decrypt
        plaintext = decrypt(counter.to_bytes(12), sealed, self._aad)
        # A good tag: only now does anything move.
        self._previous_key = ratchet_key(before) if before else self._key
        self._key, self._chain = key, ratchet_chain(chain)
        self._epoch_end += steps << EPOCH_BITS
        self._decrypt, self._limit = decrypt, self._epoch_end
        return plaintext

    def __repr__(self) -> str:
        return "OpeningLayer([scrubbed])"


def _never(nonce: bytes, data: Buffer, aad: bytes) -> bytes:
    raise LocalProtocolError(f"cipher at rest: {len(nonce)}, {len(data)}, {len(aad)}")

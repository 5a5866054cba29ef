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
"""

import struct
from typing import TypeAlias

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

_EPOCH_SIZE = 1 << EPOCH_BITS
_LOW = 0xFFFFFFFF
_HALF = 0x80000000
_END = 1 << 31
_unpack_low = struct.Struct(">I").unpack_from


class SealingLayer:
    """The sending end of one direction.

    Attributes:
        counter: The next counter; also the number of bodies sealed plus the start.
    """

    __slots__ = ("_aad", "_chain", "_encrypt", "_epoch_end", "counter")

    def __init__(self, keys: LayerKeys) -> None:
        self.counter = keys.start
        self._epoch_end = keys.start + _EPOCH_SIZE
        self._aad = keys.aad
        self._encrypt = AesGcm(ratchet_key(keys.chain_key)).encrypt
        self._chain = ratchet_chain(keys.chain_key)

    def seal(self, plaintext: Buffer) -> bytes:
        """Return the body, 20 bytes longer than ``plaintext``."""
        counter = self.counter
        if counter >= self._epoch_end:
            self._next_epoch()
        self.counter = counter + 1
        nonce = counter.to_bytes(12)
        return nonce[8:] + self._encrypt(nonce, plaintext, self._aad)

    def advance_to(self, counter: int) -> None:
        """Skip counters, as if the bodies between had been sealed and lost.

        Raises:
            LocalProtocolError: If that would use a counter twice.
        """
        if counter < self.counter:
            raise LocalProtocolError("counters only go up")
        while counter >= self._epoch_end:
            self._next_epoch()
        self.counter = counter

    def _next_epoch(self) -> None:
        self._encrypt = AesGcm(ratchet_key(self._chain)).encrypt
        self._chain = ratchet_chain(self._chain)
        self._epoch_end += _EPOCH_SIZE

    def __repr__(self) -> str:
        return "SealingLayer([scrubbed])"


class OpeningLayer:
    """The receiving end of one direction.

    Attributes:
        received: Bodies opened.
        bad_tag: Bodies that were forged, damaged, or of an epoch out of reach.
        replayed: Bodies seen before, or too late for the window.
    """

    __slots__ = (
        "_aad",
        "_chain",
        "_decrypt",
        "_epoch_end",
        "_key",
        "_previous_key",
        "_window",
        "bad_tag",
        "received",
        "replayed",
    )

    def __init__(self, keys: LayerKeys) -> None:
        self.received = 0
        self.bad_tag = 0
        self.replayed = 0
        self._window = ReplayWindow(WINDOW_SIZE, keys.start)
        self._epoch_end = keys.start + _EPOCH_SIZE
        self._aad = keys.aad
        self._key = ratchet_key(keys.chain_key)
        self._decrypt = AesGcm(self._key).decrypt
        # Raw, not a cipher object: late bodies of an old epoch are rare, contexts large.
        self._previous_key = b""
        self._chain = ratchet_chain(keys.chain_key)

    @property
    def highest(self) -> int:
        """The greatest counter accepted; the start less one before the first."""
        return self._window.highest

    def open(self, buffer: Buffer, start: int = 0, end: int = _END) -> bytes | None:
        """Return the plaintext of the body ``buffer[start:end]``, or None if it is bad.

        Why it was bad is in the counters.
        """
        window = self._window
        counter = window.highest + 1
        try:
            (low,) = _unpack_low(buffer, start)
            if low == counter & _LOW and counter < self._epoch_end:
                plaintext = self._decrypt(
                    counter.to_bytes(12), buffer[start + COUNTER_SIZE : end], self._aad
                )
                window.highest = counter
                self.received += 1
                return plaintext
            return self._open_other(low, buffer[start + COUNTER_SIZE : end])
        except (InvalidTag, struct.error):
            self.bad_tag += 1
            return None

    def _open_other(self, low: int, sealed: Buffer) -> bytes | None:
        window = self._window
        ahead = (low - window.highest) & _LOW
        counter = window.highest + (ahead if ahead < _HALF else ahead - _HALF - _HALF)
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
                self._decrypt if is_current else AesGcm(self._previous_key).decrypt
            )
            plaintext = decrypt(counter.to_bytes(12), sealed, self._aad)
        window.accept(counter)
        self.received += 1
        return plaintext

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
        self._decrypt = decrypt
        self._epoch_end += steps << EPOCH_BITS
        return plaintext

    def __repr__(self) -> str:
        return "OpeningLayer([scrubbed])"

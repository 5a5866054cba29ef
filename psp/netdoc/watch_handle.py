"""What a presence point seals to a watcher: one change, under the key of one handle.

The sealed bytes (SPEC.md section 6.5) are AES-256-GCM over 16, with nonce 0: a key lies in one
handle and seals one message::

    change 1 | sequence 8 | zeros 7

The cookie is associated data, so that whoever carries the message cannot give it to
another handle of the same watcher.
"""

from psp.crypto.kdf import Label
from psp.crypto.primitives import InvalidTag, aes_gcm
from psp.errors import DecodeError
from psp.wire.watch import SEALED_CHANGE_SIZE, Change

_NONCE = bytes(12)
_ZEROS = bytes(7)


def seal_change(key: bytes, cookie: bytes, change: Change, sequence: int) -> bytes:
    """Return 32 bytes for the watcher who left the handle.

    Args:
        key: Of the handle, 32 bytes; never used again.
        cookie: Of the handle.
        change: What happened.
        sequence: Of the record that says so, or of the last one before.
    """
    plain = bytes([change]) + sequence.to_bytes(8) + _ZEROS
    return aes_gcm(key).encrypt(_NONCE, plain, Label.WATCH_CHANGE + cookie)


def open_change(key: bytes, cookie: bytes, sealed: bytes) -> tuple[Change, int]:
    """Undo `seal_change`; return the change and its sequence.

    Raises:
        DecodeError: If it was not sealed to this handle, or is no change.
    """
    if len(sealed) != SEALED_CHANGE_SIZE:
        raise DecodeError(f"sealed change of {len(sealed)} bytes")
    try:
        plain = aes_gcm(key).decrypt(_NONCE, sealed, Label.WATCH_CHANGE + cookie)
    except InvalidTag:
        raise DecodeError("change does not open") from None
    if plain[9:] != _ZEROS:
        raise DecodeError("padding is not zero")
    try:
        return Change(plain[0]), int.from_bytes(plain[1:9])
    except ValueError:
        raise DecodeError(f"unknown change {plain[0]}") from None

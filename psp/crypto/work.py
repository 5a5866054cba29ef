"""Proof of work: bits of a puzzle that costs memory, so that a phone keeps up.

One try is Argon2id over 1 MiB, about 0.4 ms of one core; a proof of ``effort`` bits
takes 2**effort tries on the average, and one to verify::

    Argon2id(password "psp-work-v1" | challenge, salt nonce 16, 1 MiB, 1 pass, 1 lane)
        begins with ``effort`` zero bits

The challenge names what the work is for; it must not be possible to make it ahead.
"""

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from psp.crypto.kdf import Label
from psp.errors import LocalProtocolError

NONCE_SIZE = 16
NO_WORK = bytes(NONCE_SIZE)
MAX_EFFORT = 24
"""Bits; nobody can be asked for more. Two hours of one core."""

_MEMORY_KIB = 1_024
_ITERATIONS = 1
_LANES = 1
_DIGEST_SIZE = 8
"""Bytes; enough for every effort, and the least that says nothing else."""


def zero_bits(challenge: bytes, nonce: bytes) -> int:
    """Return with how many zero bits the digest of a nonce begins: one try.

    Args:
        challenge: What the work is for.
        nonce: 16 bytes.
    """
    if len(nonce) != NONCE_SIZE:
        raise LocalProtocolError(f"a nonce of {len(nonce)} bytes, not {NONCE_SIZE}")
    derivation = Argon2id(
        salt=nonce,
        length=_DIGEST_SIZE,
        iterations=_ITERATIONS,
        lanes=_LANES,
        memory_cost=_MEMORY_KIB,
    )
    digest = derivation.derive(Label.WORK + challenge)
    return 8 * _DIGEST_SIZE - int.from_bytes(digest).bit_length()


def is_proof(challenge: bytes, nonce: bytes, effort: int) -> bool:
    """Tell whether a nonce proves that much work; an effort of 0 needs none."""
    return effort == 0 or zero_bits(challenge, nonce) >= effort


def search(challenge: bytes, effort: int, start: int, tries: int) -> bytes | None:
    """Try ``tries`` nonces from ``start`` on; return the first proof, if any.

    Meant for a thread, in slices that are short enough to be given up between.

    Args:
        challenge: What the work is for.
        effort: Bits wanted.
        start: The first nonce as a number; draw it at random.
        tries: How many.
    """
    for number in range(start, start + tries):
        nonce = (number % (1 << 8 * NONCE_SIZE)).to_bytes(NONCE_SIZE)
        if is_proof(challenge, nonce, effort):
            return nonce
    return None

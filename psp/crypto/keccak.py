"""Keccak-256 as Ethereum has it: the padding from before FIPS 202, so not SHA3-256.

The only use of it is to follow what a chain has hashed; our own digests are SHA-256.
"""

import sha3

HASH_SIZE = 32


def keccak256(*parts: bytes) -> bytes:
    """Return Keccak-256 of the parts, joined, 32 bytes."""
    digest: bytes = sha3.keccak_256(b"".join(parts)).digest()
    return digest

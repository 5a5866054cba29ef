"""Keccak-256."""

import pytest

from psp.crypto.keccak import keccak256

# From the Keccak submission's ShortMsgKAT_256 and Ethereum's well-known constants.
VECTORS = [
    (b"", "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"),
    (b"\xcc", "eead6dbfc7340a56caedc044696a168870549a6a7f6f56961e84a54bd9970b8a"),
    (b"\x80", "56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"),
    (b"\xc0", "1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347"),
]


@pytest.mark.parametrize(("message", "digest"), VECTORS)
def test_known_digests(message, digest):
    assert keccak256(message).hex() == digest


def test_parts_are_joined():
    assert keccak256(b"ab", b"", b"c") == keccak256(b"abc")

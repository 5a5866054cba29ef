"""Sizes and flags of onion bodies.

Source: SPEC.md section 3. A hop's index is fixed in its handshake, so that no length
is ever carried.
"""

import enum

from psp.wire.cell import BODY_SIZE

MAX_HOPS = 4
LAYER_OVERHEAD = 21
"""Counter 4, kind 1, tag 16."""

MESSAGE_HEADER_SIZE = 5
MAX_EARLY = 128
"""EARLY cells a relay takes per circuit.

Tor takes 8, over links that lose nothing. Here an EXTEND is two cells, each of which may
have to be sent again and again (SPEC.md section 3): with 8, a few lost cells would close
a circuit. What Tor's number bounds is bounded otherwise: the EXTEND requests a hop takes
(`psp.circuit.limits`), and the length of a circuit by the hop index in CREATE.
"""

BLOCK_SIZE = 1106
"""A session block: what fits one message at hop 4."""


class Kind(enum.IntFlag):
    """The byte in front of what a layer hides."""

    PASS = 0x00
    MESSAGE = 0x01
    EARLY = 0x02
    AUDIO = 0x04
    KEY_FRAME = 0x08
    CONGESTED = 0x10
    """Towards the origin only: the relay of this layer is behind."""


KIND_MASK = 0x0F
"""Bits that may be set away from the origin."""


def body_size(hop: int) -> int:
    """Return the bytes of an onion body at ``hop`` (1 … 4)."""
    return BODY_SIZE - LAYER_OVERHEAD * (hop - 1)


def inner_size(hop: int) -> int:
    """Return the bytes that the layer of ``hop`` hides, kind byte not counted."""
    return body_size(hop) - LAYER_OVERHEAD


def message_capacity(hop: int) -> int:
    """Return the data bytes of one relay message to or from ``hop``."""
    return inner_size(hop) - MESSAGE_HEADER_SIZE

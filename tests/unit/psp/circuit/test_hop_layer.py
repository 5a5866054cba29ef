"""Constant parts of a relay's cells; the rest is tested with the origin's layers."""

import pytest

from psp.circuit.hop_layer import HopLayer
from psp.crypto.circuit_handshake import HopKeys
from psp.crypto.kdf import LayerKeys
from psp.ids import CircuitId
from psp.wire.cell import HEADER, CellCommand
from psp.wire.onion import body_size, inner_size

KEYS = HopKeys(LayerKeys(b"f" * 32, 1, b""), LayerKeys(b"b" * 32, 2, b""), b"h" * 32)


@pytest.mark.parametrize("hop", [1, 2, 3, 4])
def test_every_cell_is_filled_up_to_its_size(hop):
    layer = HopLayer(CircuitId(77), hop, KEYS)
    layer.next_head = HEADER.pack(78, CellCommand.RELAY)

    onward = layer.forward_cell(b"k" + b"i" * inner_size(hop))
    back = layer.backward_cell(bytes(1200))

    assert onward == layer.next_head + b"i" * inner_size(hop) + bytes(21 * hop)
    assert back.startswith(HEADER.pack(77, CellCommand.RELAY))
    assert back[5 + body_size(hop) :] == bytes(21 * (hop - 1))
    assert len(back) == 1200
    assert layer.handshake_hash == b"h" * 32

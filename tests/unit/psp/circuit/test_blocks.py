"""The constants of BLOCK messages agree with the codec."""

import pytest

from psp.circuit.blocks import BLOCK_END, BLOCK_HEADER, BLOCK_PADDING, BLOCK_START
from psp.wire.onion import BLOCK_SIZE, inner_size
from psp.wire.relay_message import RelayCommand, RelayMessage


@pytest.mark.parametrize("hop", [1, 2, 3, 4])
def test_header_block_and_padding_are_one_relay_message(hop):
    block = b"b" * BLOCK_SIZE

    inner = BLOCK_HEADER + block + BLOCK_PADDING[hop]

    assert len(inner) == inner_size(hop)
    assert RelayMessage.decode(inner) == RelayMessage(RelayCommand.BLOCK, 0, block)
    assert (b"\1" + inner)[BLOCK_START:BLOCK_END] == block


def test_header_is_that_of_the_specification():
    assert BLOCK_HEADER.hex() == "2400000452"

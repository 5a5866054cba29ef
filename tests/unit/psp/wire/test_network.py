"""Networks (psp/wire/network.py)."""

import pytest

from psp.errors import LocalProtocolError
from psp.wire.network import NETWORK_SIZE, Network


def test_a_network_is_chain_and_registry():
    encoded = Network(5, b"r" * 20).encode()

    assert encoded == bytes(7) + b"\5" + b"r" * 20
    assert len(encoded) == NETWORK_SIZE


@pytest.mark.parametrize(("chain_id", "registry"), [(-1, 20), (1 << 64, 20), (1, 19)])
def test_nonsense_is_refused(chain_id, registry):
    with pytest.raises(LocalProtocolError):
        Network(chain_id, bytes(registry))

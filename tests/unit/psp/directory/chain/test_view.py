"""The registry at one block."""

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.crypto.primitives import sha256
from psp.directory.chain.records import NodeStatus
from psp.directory.chain.state import DAY, StateError
from psp.directory.chain.view import ChainView
from psp.errors import DecodeError
from psp.testing.chain import MemoryContracts
from psp.testing.directory import LOOPBACK, START
from psp.testing.entropy import SeededEntropy
from psp.wire.network import Network

TODAY = START // DAY
EPOCH_5 = START + 3_600


def make():
    contracts = MemoryContracts.with_nodes(SeededEntropy(1), 9, users=3)
    contracts.elect(4, [1, 2, 3])
    contracts.elect(5, [3, 4, 5, 6])
    contracts.trust([6, 7, 8])
    contracts.draw(6, 900, b"s" * 32)
    contracts.set_beacon(TODAY, b"t" * 32)
    return contracts


CONTRACTS = make()
VIEW = CONTRACTS.view(300, EPOCH_5)


def ids(*numbers):
    return tuple(sorted(CONTRACTS.node_id(number) for number in numbers))


def test_chosen_nodes_are_named_by_identity_and_sorted():
    assert VIEW.elected() == ids(3, 4, 5, 6)
    assert VIEW.retiring() == ids(1, 2)
    assert VIEW.trusted() == ids(6, 7, 8)


def test_chosen_nodes_that_count_no_more_are_left_out():
    contracts = make()
    for number, status in ((4, NodeStatus.REVOKED), (1, NodeStatus.RETIRED)):
        contracts.end_node(number, status)
    contracts.end_node(7, NodeStatus.RETIRED)

    view = contracts.view(300, EPOCH_5)

    assert view.elected() == ids(3, 5, 6)
    assert view.retiring() == ids(2)
    assert view.trusted() == ids(6, 8)


def test_its_digest_names_the_listing():
    assert VIEW.listing == b"".join(CONTRACTS.nodes)
    assert VIEW.digest == sha256(VIEW.listing)


def test_a_day_without_a_draw_takes_an_earlier_value():
    def value(day):
        return sha256(b"psp-beacon-v1", b"t" * 32, day.to_bytes(32))

    assert VIEW.random_value(TODAY) == b"t" * 32
    assert VIEW.random_value(TODAY + 1) == value(TODAY + 1)
    assert VIEW.random_value(TODAY + 7) == value(TODAY + 7)
    assert VIEW.random_value(TODAY + 8) is None
    assert VIEW.random_value(TODAY - 1) is None


def test_the_nearest_earlier_value_is_taken():
    contracts = make()
    contracts.set_beacon(TODAY - 2, b"u" * 32)
    contracts.set_beacon(TODAY - 3, b"v" * 32)

    value = contracts.view(300, EPOCH_5).random_value(TODAY - 1)

    assert value == sha256(b"psp-beacon-v1", b"u" * 32, (TODAY - 1).to_bytes(32))


@pytest.mark.parametrize("with_users", [True, False])
def test_a_view_survives_encoding(with_users):
    view = CONTRACTS.view(300, EPOCH_5, with_users=with_users)

    decoded = ChainView.decode(view.encode(), LOOPBACK)

    assert decoded == view
    assert decoded.nodes.nodes == view.nodes.nodes
    assert decoded.encode() == view.encode()
    assert (decoded.users is not None) == with_users


def test_signatures_are_verified_again_unless_another_view_has_them(monkeypatch):
    asked = []
    monkeypatch.setattr(
        "psp.directory.chain.counted.verify", lambda *args: asked.append(args) or True
    )
    data = VIEW.encode()

    ChainView.decode(data, LOOPBACK, VIEW)
    ChainView.decode(data, LOOPBACK, flags=VIEW.flags)
    before = len(asked)
    ChainView.decode(data, LOOPBACK)

    assert (before, len(asked)) == (0, 12)


def test_a_forged_record_in_a_view_does_not_count():
    data = VIEW.encode()
    onion_key = CONTRACTS.nodes[0][64:96]

    forged = ChainView.decode(data.replace(onion_key, bytes(32)), LOOPBACK)

    assert CONTRACTS.node_id(1) not in forged.nodes.nodes


def test_a_view_of_another_network_is_refused():
    for network in (
        Network(1, LOOPBACK.registry),
        Network(LOOPBACK.chain_id, bytes(20)),
    ):
        with pytest.raises(DecodeError, match="another network"):
            ChainView.decode(VIEW.encode(), network)


def test_a_view_has_one_spelling():
    data = VIEW.encode()
    longer = msgspec.msgpack.encode([*msgspec.msgpack.decode(data), 5])
    assert data.index(b"\xcd\x01\x2c")  # height 300 in two bytes

    for other in (data.replace(b"\xcd\x01\x2c", b"\xce\x00\x00\x01\x2c", 1), longer):
        with pytest.raises(DecodeError):
            ChainView.decode(other, LOOPBACK)


@given(st.data())
def test_damaged_views_are_other_views_or_a_decode_error(draw):
    data = bytearray(VIEW.encode())
    place = draw.draw(st.integers(0, len(data) - 1))
    data[place] ^= draw.draw(st.integers(1, 255))

    try:
        view = ChainView.decode(bytes(data), LOOPBACK, VIEW)
    except DecodeError:
        return

    assert view.encode() == data


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(data):
    with pytest.raises(DecodeError):
        ChainView.decode(data, LOOPBACK)


def test_parts_of_different_blocks_make_no_view():
    with pytest.raises(StateError, match="epoch 5"):
        replace(VIEW, timestamp=EPOCH_5 - 1)
    with pytest.raises(StateError, match="not in the book"):
        replace(VIEW, nodes=MemoryContracts().view(1).nodes)

"""Records on the disk (presence/record_file.py)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from presence.record_file import ENTRY_SIZE, decode, encode, header
from presence.record_store import HeldRecord
from psp.errors import DecodeError
from psp.ids import NodeId
from psp.testing.presence import TEST_NETWORK
from psp.wire.network import Network

ONE, TWO = NodeId(b"1" * 32), NodeId(b"2" * 32)
HELD = [
    (b"a" * 20, (HeldRecord(b"r" * 450, ONE, None), HeldRecord(b"s" * 450, TWO, ONE))),
    (b"b" * 20, (HeldRecord(b"t" * 450, ONE, None),)),
]


def test_what_is_written_is_read():
    data = encode(TEST_NETWORK, HELD)

    assert len(data) == len(header(TEST_NETWORK)) + 3 * ENTRY_SIZE
    assert [
        (each.location, each.raw[:1], each.publisher, each.bringer)
        for each in decode(data, TEST_NETWORK)
    ] == [
        (b"a" * 20, b"r", ONE, None),
        (b"a" * 20, b"s", TWO, ONE),
        (b"b" * 20, b"t", ONE, None),
    ]


def test_a_file_of_another_network_or_one_cut_off_is_refused():
    data = encode(TEST_NETWORK, HELD)

    for wrong in (data[:-1], data + b"\0", b"", data[:4]):
        with pytest.raises(DecodeError):
            decode(wrong, TEST_NETWORK)
    with pytest.raises(DecodeError):
        decode(data, Network(1, bytes(20)))


@given(st.binary(max_size=1_200))
def test_any_bytes_are_read_or_refused(data):
    for whole in (data, header(TEST_NETWORK) + data):
        try:
            entries = list(decode(whole, TEST_NETWORK))
        except DecodeError:
            continue
        held = [
            (e.location, (HeldRecord(e.raw, e.publisher, e.bringer),)) for e in entries
        ]
        assert encode(TEST_NETWORK, held) == whole

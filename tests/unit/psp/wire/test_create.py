"""CREATE and CREATED bodies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.errors import DecodeError, LocalProtocolError
from psp.wire.cell import BODY_SIZE
from psp.wire.create import CreatedHalf, CreateHalf

CREATE = CreateHalf(1, 3, bytes(range(224)) * 3)
CREATED = CreatedHalf(2, bytes(range(148)) * 4)


def test_create_half_has_part_and_hop_in_front():
    assert CREATE.encode() == b"\1\3" + CREATE.data
    assert len(CREATE.encode()) == 674


def test_created_half_has_part_and_a_zero_in_front():
    assert CREATED.encode() == b"\2\0" + CREATED.data
    assert len(CREATED.encode()) == 594


@pytest.mark.parametrize("half", [CREATE, CREATED])
def test_halves_survive_encoding_with_and_without_padding(half):
    assert type(half).decode(half.encode()) == half
    assert type(half).decode(half.encode().ljust(BODY_SIZE, b"\0")) == half


@pytest.mark.parametrize("half", [CREATE, CREATED])
@pytest.mark.parametrize("part", [0, 3, 255])
def test_there_are_two_parts_only(half, part):
    with pytest.raises(DecodeError, match="part"):
        type(half).decode(bytes([part]) + half.encode()[1:])


@pytest.mark.parametrize("hop", [0, 5, 255])
def test_there_are_four_hops_only(hop):
    with pytest.raises(DecodeError, match="hop"):
        CreateHalf.decode(bytes([1, hop]) + CREATE.data)


def test_reserved_byte_of_created_is_zero():
    with pytest.raises(DecodeError, match="reserved"):
        CreatedHalf.decode(b"\1\1" + CREATED.data)


@pytest.mark.parametrize("half", [CREATE, CREATED])
def test_padding_must_be_zero(half):
    body = half.encode().ljust(BODY_SIZE - 1, b"\0") + b"\1"

    with pytest.raises(DecodeError, match="padding"):
        type(half).decode(body)


@pytest.mark.parametrize("half", [CREATE, CREATED])
def test_a_short_body_is_refused(half):
    with pytest.raises(DecodeError, match="need"):
        type(half).decode(half.encode()[:-1])


@pytest.mark.parametrize(
    "half",
    [CreateHalf(0, 1, bytes(672)), CreateHalf(1, 1, b""), CreatedHalf(1, bytes(593))],
)
def test_malformed_halves_are_not_sent(half):
    with pytest.raises(LocalProtocolError):
        half.encode()


@given(st.binary(max_size=1300))
def test_any_bytes_are_a_half_or_a_decode_error(data):
    for codec in (CreateHalf, CreatedHalf):
        try:
            half = codec.decode(data)
        except DecodeError:
            continue
        assert half.encode() == data[: len(half.encode())]


@given(st.integers(0, 3), st.integers(0, 6), st.binary(max_size=5))
def test_nearly_right_bytes_are_a_half_or_a_decode_error(part, hop, rest):
    body = bytes([part, hop]) + bytes(672) + rest
    try:
        half = CreateHalf.decode(body)
    except DecodeError:
        return
    assert 1 <= half.part <= 2
    assert 1 <= half.hop <= 4
    assert not any(rest)

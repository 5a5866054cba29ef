"""Cells of the link itself keep their meaning, and nothing else is taken for one."""

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.errors import DecodeError, LocalProtocolError
from psp.ids import CircuitId
from psp.wire.cell import BODY_SIZE, CELL_SIZE, Cell, CellCommand, Reason
from psp.wire.link_cells import (
    KEM_CIPHERTEXT_SIZE,
    KEM_KEY_SIZE,
    MAX_REPAIR_COUNTERS,
    MAX_SERVICE_DATA,
    KemAnswer,
    KemOffer,
    Repair,
    Service,
    ServiceKind,
    decode_kem,
    decode_link_reason,
    decode_path_nonce,
    encode_path_nonce,
    link_cell,
)

indexes = st.integers(0, 2**32 - 1)
counters = st.integers(0, 2**64 - 1)


def padded(body: bytes) -> bytes:
    return body.ljust(BODY_SIZE, b"\0")


def test_a_link_cell_has_circuit_id_0_and_full_size() -> None:
    cell = link_cell(CellCommand.PATH_CHALLENGE, b"12345678")

    assert len(cell) == CELL_SIZE
    assert Cell.decode(cell) == Cell(
        CircuitId(0), CellCommand.PATH_CHALLENGE, padded(b"12345678")
    )


@given(index=indexes, key=st.binary(min_size=KEM_KEY_SIZE, max_size=KEM_KEY_SIZE))
def test_kem_offer_survives_the_wire(index: int, key: bytes) -> None:
    offer = KemOffer(index, key)

    assert decode_kem(padded(offer.encode())) == offer


@given(
    index=indexes,
    text=st.binary(min_size=KEM_CIPHERTEXT_SIZE, max_size=KEM_CIPHERTEXT_SIZE),
    is_resumed=st.booleans(),
)
def test_kem_answer_survives_the_wire(
    index: int, text: bytes, *, is_resumed: bool
) -> None:
    answer = KemAnswer(index, text, is_resumed)

    assert decode_kem(padded(answer.encode())) == answer


@given(
    index=indexes,
    asked=st.lists(counters, min_size=1, max_size=MAX_REPAIR_COUNTERS).map(tuple),
)
def test_repair_survives_the_wire(index: int, asked: tuple[int, ...]) -> None:
    repair = Repair(index, asked)

    assert Repair.decode(padded(repair.encode())) == repair


@given(
    service=st.integers(0, 255),
    kind=st.sampled_from(ServiceKind),
    request_id=counters,
    data=st.binary(max_size=MAX_SERVICE_DATA),
)
def test_service_survives_the_wire(
    service: int, kind: ServiceKind, request_id: int, data: bytes
) -> None:
    message = Service(service, kind, request_id, data)

    assert Service.decode(padded(message.encode())) == message


def test_a_service_message_of_full_size_fills_the_cell() -> None:
    body = Service(1, ServiceKind.REQUEST, 7, bytes(MAX_SERVICE_DATA)).encode()

    assert len(body) == BODY_SIZE


def test_the_path_nonce_is_the_first_8_bytes() -> None:
    assert decode_path_nonce(padded(encode_path_nonce(b"abcdefgh"))) == b"abcdefgh"


def test_the_reason_of_a_closed_link_is_the_first_byte() -> None:
    assert decode_link_reason(padded(b"\x09")) is Reason.SHUTTING_DOWN


@pytest.mark.parametrize(
    "decode",
    [decode_kem, Repair.decode, Service.decode, decode_path_nonce, decode_link_reason],
    ids=["kem", "repair", "service", "path", "reason"],
)
@given(body=st.binary(max_size=BODY_SIZE + 1))
def test_any_other_bytes_are_a_decode_error(
    decode: Callable[[bytes], object], body: bytes
) -> None:
    with suppress(DecodeError):
        decode(body)


@pytest.mark.parametrize(
    ("decode", "body"),
    [
        (decode_kem, bytes(BODY_SIZE)),
        (decode_kem, b"\x03".ljust(BODY_SIZE, b"\0")),
        (decode_kem, b"\x01".ljust(BODY_SIZE, b"\1")),
        (decode_kem, b"\x02" + bytes(4 + KEM_CIPHERTEXT_SIZE) + b"\x02" + bytes(101)),
        (Repair.decode, bytes(BODY_SIZE)),
        (Repair.decode, bytes(4) + b"\x41" + bytes(BODY_SIZE - 5)),
        (Repair.decode, bytes(4) + b"\x01" + bytes(BODY_SIZE - 6) + b"\x01"),
        (Service.decode, b"\1\2".ljust(BODY_SIZE, b"\0")),
        (Service.decode, b"\1\0" + bytes(8) + b"\x04\xa0" + bytes(BODY_SIZE - 12)),
        (decode_path_nonce, bytes(BODY_SIZE - 1) + b"\x01"),
    ],
    ids=[
        "kem step 0",
        "kem step 3",
        "kem padding",
        "kem resumed 2",
        "repair of nothing",
        "repair of 65",
        "repair padding",
        "service kind 2",
        "service length 1,184",
        "path padding",
    ],
)
def test_a_field_out_of_range_is_a_decode_error(
    decode: Callable[[bytes], object], body: bytes
) -> None:
    with pytest.raises(DecodeError):
        decode(body)


@pytest.mark.parametrize(
    "message",
    [
        KemOffer(0, b"short"),
        KemOffer(2**32, bytes(KEM_KEY_SIZE)),
        KemAnswer(0, b"short", is_resumed=False),
        Repair(1, ()),
        Repair(1, (0,) * 65),
        Repair(1, (2**64,)),
        Service(1, ServiceKind.REQUEST, 1, bytes(MAX_SERVICE_DATA + 1)),
        Service(256, ServiceKind.REQUEST, 1, b""),
    ],
    ids=[
        "short key",
        "index too large",
        "short ciphertext",
        "repair of nothing",
        "repair of 65",
        "counter too large",
        "service data too long",
        "service too large",
    ],
)
def test_what_does_not_fit_is_not_encoded(
    message: KemOffer | KemAnswer | Repair | Service,
) -> None:
    with pytest.raises(LocalProtocolError):
        message.encode()


def test_a_path_nonce_of_another_length_is_not_encoded() -> None:
    with pytest.raises(LocalProtocolError):
        encode_path_nonce(b"7 bytes")

"""DHT messages: round trips, one cell each, and nothing but what is written."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from presence.dht.messages import (
    MAX_MESSAGE,
    Answer,
    FindNode,
    FindValue,
    HandOver,
    Nodes,
    Offer,
    Ping,
    Pong,
    Refused,
    Request,
    Store,
    Stored,
    Value,
    Wanted,
    decode_answer,
    decode_request,
    encode,
)
from psp.errors import DecodeError

ID = bytes(range(20))
RECORD = bytes(450)
HELD = ((0, 2**64 - 1), (1, 2), (2, 3), (3, 4))
NONCE, SIGNATURE = bytes(16), bytes(64)

REQUESTS: list[Request] = [
    Ping(),
    FindNode(ID),
    FindValue(ID, 255, NONCE),
    FindValue(ID, 3, NONCE),
    Store(ID, RECORD),
    Offer(()),
    Offer(((ID, HELD),)),
    Offer(((ID, tuple((slot, 2**64 - 1) for slot in range(4))),) * 16),
    HandOver(ID, RECORD, bytes(32)),
]
ANSWERS: list[Answer] = [
    Pong(),
    Nodes(()),
    Nodes((ID,) * 8),
    Value(None, (), (), 0, SIGNATURE),
    Value(RECORD, HELD, (ID,) * 8, 2**32 - 1, SIGNATURE),
    Stored(""),
    Stored("far"),
    Wanted(()),
    Wanted(tuple(range(64))),
    Refused("not_member"),
]


def test_requests_survive_the_wire():
    for message in REQUESTS:
        assert decode_request(encode(message)) == message


EVERYTHING: list[Request | Answer] = [*REQUESTS, *ANSWERS]


def test_answers_survive_the_wire():
    for message in ANSWERS:
        assert decode_answer(encode(message)) == message


def test_every_message_fits_one_cell():
    assert max(len(encode(m)) for m in EVERYTHING) < MAX_MESSAGE == 1_183


@given(st.binary(max_size=1_300))
def test_any_bytes_are_a_message_or_a_decode_error(data):
    for decode in (decode_request, decode_answer):
        try:
            message = decode(data)
        except DecodeError:
            continue
        assert decode(encode(message)) == message


json_like = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
    | st.binary(max_size=460),
    lambda inner: st.lists(inner, max_size=9) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(st.integers(0, 30), st.lists(json_like, max_size=5))
def test_any_array_of_a_known_kind_is_a_message_or_a_decode_error(kind, rest):
    data = msgspec.msgpack.encode([kind, *rest])

    for decode in (decode_request, decode_answer):
        try:
            message = decode(data)
        except DecodeError:
            continue
        assert decode(encode(message)) == message


MALFORMED = {
    "map": {},
    "number": 7,
    "nothing": None,
    "text": "no",
    "empty": [],
    "nested": [[b"", b""]],
    "unknown kind": [99],
    "kind as text": ["19", None, [], []],
    "short": [19, None, []],
    "long": [19, None, [], [], 1],
    "record short": [19, b"x" * 449, [], []],
    "record as text": [19, "x" * 450, [], []],
    "record list": [19, [RECORD], [], []],
    "id of 21": [19, None, [], [b"x" * 21]],
    "id as text": [19, None, [], ["x" * 20]],
    "nine ids": [19, None, [], [ID] * 9],
    "held of four": [19, None, [[0, 1]] * 4, []],
    "held slot": [19, None, [[3, 1]], []],
    "held negative": [19, None, [[0, -1]], []],
    "held short": [19, None, [[0]], []],
    "nodes map": [19, None, [], {"a": 1}],
    "reason long": [20, "x" * 17],
    "reason bytes": [20, b"x"],
    "bool kind": [True],
    "offer of 17": [5, [[ID, []]] * 17],
    "offer of ids": [5, [ID]],
    "offer of five slots": [5, [[ID, [[0, 1]] * 5]]],
    "publisher short": [6, ID, RECORD, bytes(31)],
    "publisher missing": [6, ID, RECORD],
    "wanted beyond": [21, [64]],
    "no nonce": [3, ID, 255],
    "short nonce": [3, ID, 255, bytes(15)],
    "slot 4": [3, ID, 4, bytes(16)],
    "no signature": [19, None, [], [], 0],
    "short signature": [19, None, [], [], 0, bytes(63)],
    "time beyond": [19, None, [], [], 1 << 32, bytes(64)],
    "wanted negative": [21, [-1]],
    "wanted of 65": [21, [0] * 65],
    "refused long": [22, "x" * 17],
}


@pytest.mark.parametrize("shape", MALFORMED)
def test_malformed_shape_is_a_decode_error(shape):
    data = msgspec.msgpack.encode(MALFORMED[shape])

    for decode in (decode_request, decode_answer):
        with pytest.raises(DecodeError):
            decode(data)


@pytest.mark.parametrize("slot", [-1, 3, 254, 256])
def test_slots_that_do_not_exist_are_not_asked_for(slot):
    with pytest.raises(DecodeError):
        decode_request(msgspec.msgpack.encode([3, ID, slot]))


def test_trailing_bytes_deep_nesting_and_bad_text_are_decode_errors():
    for data in (
        encode(Ping()) + b"\0",
        b"\x91" * 1_183,
        b"\x92\x14\xa1\xff",
        b"\xdd\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"",
    ):
        for decode in (decode_request, decode_answer):
            with pytest.raises(DecodeError):
                decode(data)


def test_longer_than_a_cell_is_not_even_read():
    with pytest.raises(DecodeError, match="1184 bytes"):
        decode_request(bytes(1_184))


def test_request_is_no_answer_and_answer_no_request():
    with pytest.raises(DecodeError):
        decode_answer(encode(Ping()))
    with pytest.raises(DecodeError):
        decode_request(encode(Pong()))

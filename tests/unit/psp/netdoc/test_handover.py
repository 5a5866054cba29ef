"""What the discovery nodes of one epoch sign for the next."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psp.crypto.keys import SigningKey
from psp.errors import DecodeError, LocalProtocolError
from psp.ids import NodeId
from psp.netdoc.election_rules import MAX_SEATS, Rules
from psp.netdoc.handover import (
    MAX_SIGNATURES,
    NOBODY,
    HandOver,
    Seat,
    ids_of,
    quorum,
)
from psp.testing.directory import LOOPBACK
from psp.units import UnixTime

PATH = Path(__file__).parents[3] / "vectors" / "psp-handover.json"
KEYS = [SigningKey(bytes([i]) * 32) for i in range(1, 9)]
RULES = Rules(
    genesis=1_790_000_000,
    epoch_length=86_400,
    unbonding=7 * 86_400,
    seats=4,
    seed_delay=3,
    sortition=True,
    self_only=False,
    strategy=0,
    min_stake=10**18,
    book=b"\x0b" * 20,
    users=b"\x05" * 20,
    code_hashes=(b"\x01" * 32, b"\x02" * 32, b"\x03" * 32),
)


def seats(*numbers):
    return tuple(Seat(n, NodeId(KEYS[n - 1].public)) for n in numbers)


HAND_OVER = HandOver(
    LOOPBACK,
    RULES,
    epoch=6,
    list_epoch=6,
    retiring_epoch=5,
    height=4_711,
    block_hash=b"\x0a" * 32,
    timestamp=UnixTime(RULES.genesis + 2 * 86_400 + 12),
    book_root=b"\x0c" * 32,
    listing_digest=b"\x0d" * 32,
    listing_size=1_792,
    node_count=8,
    seed_target=4_690,
    next_seed=b"\x0e" * 32,
    elected=(*seats(1, 2), Seat(6, NOBODY)),
    retiring=seats(2, 3),
    trusted=seats(8),
    beacons={20_719: b"\x11" * 32, 20_720: b"\x12" * 32},
)
SIGNED = HAND_OVER.with_signatures(
    {NodeId(key.public): HAND_OVER.sign(key) for key in KEYS[1:3]}
)
WIRE = SIGNED.encode()


def forged(**changes):
    """Return a hand-over whose body says it, whether it may or not."""
    return replace(HAND_OVER, **changes)


def test_a_hand_over_survives_the_round_trip():
    decoded = HandOver.decode(WIRE)

    assert decoded == SIGNED
    assert decoded.body == HAND_OVER.body
    assert decoded.digest == HAND_OVER.digest


def test_the_bytes_are_pinned():
    vector = json.loads(PATH.read_text())

    assert HAND_OVER.body.hex() == "".join(vector["body"])
    assert WIRE.hex() == "".join(vector["body"] + vector["signatures"])
    assert HAND_OVER.digest.hex() == vector["digest"]


def test_each_signature_holds_for_its_signer_and_its_body_only():
    signer, signature = next(iter(SIGNED.signatures.items()))

    assert SIGNED.is_signed(signer, signature)
    assert not SIGNED.is_signed(NodeId(KEYS[4].public), signature)
    assert not forged(height=4_712).is_signed(signer, signature)


@given(st.integers(0, len(HAND_OVER.body) * 8 - 1))
def test_a_flipped_bit_of_the_body_breaks_every_signature(bit):
    changed = bytearray(WIRE)
    changed[bit // 8] ^= 1 << bit % 8

    try:
        decoded = HandOver.decode(bytes(changed))
    except DecodeError:
        return
    assert not any(decoded.is_signed(*item) for item in decoded.signatures.items())


@given(st.binary(max_size=700))
def test_any_bytes_give_decode_error(data):
    with pytest.raises(DecodeError):
        HandOver.decode(data)


@given(st.integers(0, len(WIRE) - 1), st.binary(max_size=80))
def test_anything_that_decodes_has_one_spelling(cut, tail):
    data = WIRE[:cut] + tail

    try:
        decoded = HandOver.decode(data)
    except DecodeError:
        return
    assert decoded.encode() == data


FAULTS = {
    "before the contract": {"timestamp": UnixTime(RULES.genesis - 1)},
    "a block of another epoch": {"timestamp": UnixTime(RULES.genesis)},
    "nobody elected": {"elected": ()},
    "a list of the future": {"list_epoch": 7},
    "a list too old to be in force": {"list_epoch": 3, "retiring_epoch": 0},
    "a list before without epoch": {"retiring_epoch": 0},
    "an epoch without a list before": {"retiring": ()},
    "a list before that is not before": {"retiring_epoch": 6},
    "a list before too old to hand over": {"retiring_epoch": 2},
    "more seats than there are": {"elected": seats(1, 2, 3, 4, 5)},
    "seats out of order": {"elected": (*seats(2), *seats(1))},
    "a seat twice": {"elected": seats(2) * 2},
    "one node on two seats": {"elected": (*seats(2), Seat(3, seats(2)[0].node_id))},
    "a seat that is not listed": {"elected": (Seat(9, NOBODY),)},
    "number 0": {"trusted": (Seat(0, NOBODY),)},
    "a huge listing": {"listing_size": (32 << 20) + 1},
    "a seed of nothing": {"next_seed": bytes(32)},
}


@pytest.mark.parametrize("changes", FAULTS.values(), ids=FAULTS)
def test_what_contradicts_itself_is_not_written(changes):
    with pytest.raises(LocalProtocolError):
        forged(**changes).encode()


@pytest.mark.parametrize(
    "changes",
    [
        {"height": 1 << 64},
        {"node_count": 1 << 32},
        {"beacons": {1 << 32: bytes(32)}},
        {"beacons": dict.fromkeys(range(17), bytes(32))},
        {"trusted": tuple(Seat(n, NOBODY) for n in range(1, 9)) * 3},
        {"rules": replace(RULES, strategy=256)},
        {
            "signatures": {
                NodeId(n.to_bytes(32)): b"" for n in range(MAX_SIGNATURES + 1)
            }
        },
    ],
)
def test_what_is_out_of_range_is_not_written(changes):
    with pytest.raises(LocalProtocolError):
        forged(**changes).encode()


def splice(part, value):
    """Return the wire form with one part of the body replaced."""
    assert WIRE.count(part) == 1
    return WIRE.replace(part, value)


@pytest.mark.parametrize(
    "data",
    [
        b"\x02" + WIRE[1:],
        WIRE + b"\0",
        WIRE[:-1],
        HAND_OVER.body + (MAX_SIGNATURES + 1).to_bytes(2),
        HAND_OVER.body + b"\0\2" + 2 * (bytes(32) + bytes(64)),
        HAND_OVER.body + b"\0\2" + b"\2" * 96 + b"\1" * 96,
        splice(
            (20_719).to_bytes(4) + b"\x11" * 32, (20_720).to_bytes(4) + b"\x11" * 32
        ),
        splice(b"\x02" + (20_719).to_bytes(4), b"\x11" + (20_719).to_bytes(4)),
        splice(
            b"\0\3" + (1).to_bytes(4) + KEYS[0].public,
            (MAX_SEATS + 1).to_bytes(2) + (1).to_bytes(4) + KEYS[0].public,
        ),
        splice((4_690).to_bytes(8), (4_690).to_bytes(8)[:-1]),
    ],
    ids=[
        "version",
        "too long",
        "too short",
        "too many signatures",
        "a signer twice",
        "signers out of order",
        "a day twice",
        "too many days",
        "too many seats",
        "a byte less",
    ],
)
def test_bad_bytes_are_refused(data):
    with pytest.raises(DecodeError):
        HandOver.decode(data)


def test_a_new_list_is_handed_over_by_the_one_before():
    assert HAND_OVER.handing == HAND_OVER.retiring
    assert HAND_OVER.handing_epoch == 5


def test_later_in_its_epoch_a_list_hands_over_to_itself():
    later = forged(timestamp=UnixTime(HAND_OVER.timestamp + 21_600))

    assert (later.is_opening, HAND_OVER.is_opening) == (False, True)
    assert later.start == HAND_OVER.start + 21_600 == later.timestamp - 12
    assert later.handing == later.elected
    assert later.handing_epoch == 6


def test_the_first_list_of_all_is_handed_over_by_nobody():
    first = forged(retiring_epoch=0, retiring=())

    assert (first.handing, first.handing_epoch) == ((), 0)


def test_a_list_that_stays_hands_over_to_itself():
    stays = forged(list_epoch=5, retiring_epoch=3)

    assert stays.handing == stays.elected
    assert stays.handing_epoch == 5


def test_two_thirds_of_the_seats_are_a_quorum_whoever_sits_there():
    for count in range(1, MAX_SEATS + 1):
        assert 3 * quorum(count) >= 2 * count > 3 * (quorum(count) - 1)


def test_nobody_signs_for_a_seat_whose_record_has_gone():
    assert ids_of(HAND_OVER.elected) == {KEYS[0].public, KEYS[1].public}


@settings(max_examples=20)
@given(st.sets(st.integers(1, 8), min_size=1, max_size=4))
def test_lists_of_any_size_survive(numbers):
    hand_over = forged(elected=seats(*sorted(numbers)))

    assert HandOver.decode(hand_over.encode()) == hand_over

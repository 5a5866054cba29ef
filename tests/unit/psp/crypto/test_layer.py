"""Onion layers under everything a network does to them (psp/crypto/layer.py)."""

import gc
import random
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.crypto.kdf import LayerKeys, ratchet_chain, ratchet_key
from psp.crypto.layer import (
    EPOCH_BITS,
    LAYER_OVERHEAD,
    MAX_EPOCHS_AHEAD,
    WINDOW_SIZE,
    OpeningLayer,
    SealingLayer,
)
from psp.crypto.primitives import InvalidTag, aes_gcm
from psp.errors import LocalProtocolError
from psp.testing.entropy import SeededEntropy

EPOCH = 1 << EPOCH_BITS
PLAINTEXT = bytes(range(250))


def make_keys(seed=0, start=77, aad=b"aad"):
    return LayerKeys(SeededEntropy(seed).token(32), start, aad)


def pair(**arguments):
    keys = make_keys(**arguments)
    return SealingLayer(keys), OpeningLayer(keys)


def body_at(sealing, counter):
    sealing.advance_to(counter)
    return sealing.seal(PLAINTEXT)


def test_body_is_laid_out_as_in_the_spec():
    keys = make_keys(start=0x7ABBCCDD)

    body = SealingLayer(keys).seal(PLAINTEXT)

    cipher = aes_gcm(ratchet_key(keys.chain_key))
    nonce = bytes(8) + bytes.fromhex("7abbccdd")
    assert body == nonce[8:] + cipher.encrypt(nonce, PLAINTEXT, b"aad")
    assert len(body) == len(PLAINTEXT) + LAYER_OVERHEAD


def test_bodies_in_order_open():
    sealing, opening = pair()

    for number in range(300):
        plaintext = bytes([number % 256])
        assert opening.open(sealing.seal(plaintext)) == plaintext

    assert (opening.received, opening.bad_tag, opening.replayed) == (300, 0, 0)
    assert opening.highest == 77 + 299


def test_body_inside_a_larger_buffer_opens_where_it_lies():
    sealing, opening = pair()
    first, second = sealing.seal(b"first"), sealing.seal(b"second")

    assert opening.open(b"12345" + first + b"rest", 5, 5 + len(first)) == b"first"
    assert opening.open(memoryview(bytearray(second))) == b"second"


@given(st.binary(max_size=1200))
def test_any_bytes_are_dropped_and_counted(data):
    opening = OpeningLayer(make_keys())

    assert opening.open(data) is None
    assert opening.received == 0
    assert opening.bad_tag + opening.replayed == 1


def test_body_changed_anywhere_is_dropped():
    sealing, opening = pair()
    body = sealing.seal(PLAINTEXT)

    for position in range(len(body)):
        for bit in (0x01, 0x80):
            changed = bytearray(body)
            changed[position] ^= bit
            assert opening.open(changed) is None

    assert opening.received == 0
    assert opening.open(body) == PLAINTEXT


def test_truncated_and_extended_bodies_are_dropped():
    sealing, opening = pair()
    body = sealing.seal(PLAINTEXT)

    for size in range(len(body)):
        assert opening.open(body[:size]) is None
    assert opening.open(body + b"\0") is None
    assert opening.bad_tag == len(body) + 1


@pytest.mark.parametrize(
    "other", [{"seed": 1}, {"aad": b"dad"}, {"start": 78}], ids=["key", "aad", "start"]
)
def test_body_moved_to_another_circuit_direction_or_hop_is_dropped(other):
    sealing, _ = pair()
    _, opening = pair(**other)

    assert opening.open(sealing.seal(PLAINTEXT)) is None
    assert opening.received == 0


def test_replayed_body_is_dropped_and_counted():
    sealing, opening = pair()
    bodies = [sealing.seal(PLAINTEXT) for _ in range(10)]
    for body in bodies:
        opening.open(body)

    assert [opening.open(body) for body in bodies] == [None] * 10
    assert opening.replayed == 10


def test_late_body_opens_within_the_window_only():
    sealing, opening = pair()
    bodies = [sealing.seal(PLAINTEXT) for _ in range(WINDOW_SIZE + 1)]
    opening.open(bodies[-1])

    assert opening.open(bodies[1]) == PLAINTEXT
    assert opening.open(bodies[0]) is None
    assert opening.replayed == 1


def test_forged_counters_do_not_move_the_window():
    sealing, opening = pair()
    body = sealing.seal(PLAINTEXT)
    dice = random.Random(1)

    for _ in range(2000):
        counter = dice.randrange(1 << 32)
        assert opening.open(counter.to_bytes(4) + body[4:]) is None

    assert opening.highest == 76
    assert opening.open(body) == PLAINTEXT


def test_epoch_change_in_order_loses_nothing():
    sealing, opening = pair()
    first = 77 + EPOCH - 3
    sealing.advance_to(first)

    opened = [opening.open(sealing.seal(b"x")) for _ in range(6)]

    assert opened == [b"x"] * 6
    assert opening.highest == first + 5


def test_each_epoch_has_a_key_of_its_own():
    keys = make_keys()
    body = body_at(SealingLayer(keys), 77 + 2 * EPOCH)

    chain = ratchet_chain(ratchet_chain(keys.chain_key))
    nonce = (77 + 2 * EPOCH).to_bytes(12)

    assert aes_gcm(ratchet_key(chain)).decrypt(nonce, body[4:], b"aad") == PLAINTEXT


def test_late_bodies_of_the_previous_epoch_open():
    sealing, opening = pair()
    late = [body_at(sealing, 77 + EPOCH - 2), sealing.seal(b"also late")]
    opening.open(sealing.seal(b"new"))

    assert opening.open(late[1]) == b"also late"
    assert opening.open(late[0]) == PLAINTEXT
    assert opening.received == 3


def test_previous_epoch_opens_after_a_jump_too():
    sealing, opening = pair()
    late = body_at(sealing, 77 + 3 * EPOCH - 1)
    opening.open(sealing.seal(b"new"))

    assert opening.open(late) == PLAINTEXT


@pytest.mark.parametrize("steps", range(1, MAX_EPOCHS_AHEAD + 1))
def test_receiver_follows_a_few_epochs_ahead(steps):
    sealing, opening = pair()
    counter = 77 + (steps + 1) * EPOCH - 1  # the last of its epoch

    assert opening.open(body_at(sealing, counter)) == PLAINTEXT
    assert opening.open(sealing.seal(b"next")) == b"next"


def test_receiver_does_not_follow_further():
    sealing, opening = pair()
    body = body_at(sealing, 77 + (MAX_EPOCHS_AHEAD + 1) * EPOCH)

    assert opening.open(body) is None
    assert opening.bad_tag == 1
    assert opening.highest == 76


def test_forged_epochs_do_not_turn_the_ratchet():
    keys = make_keys()
    sealing, opening = SealingLayer(keys), OpeningLayer(keys)
    forger = SealingLayer(make_keys(seed=1))

    for epoch in range(1, MAX_EPOCHS_AHEAD + 3):
        assert opening.open(body_at(forger, 77 + epoch * EPOCH)) is None

    assert opening.bad_tag == MAX_EPOCHS_AHEAD + 2
    assert opening.open(sealing.seal(b"true")) == b"true"


def cut(bodies):
    return tuple(int.from_bytes(b[:4]) for b in bodies), tuple(b[4:] for b in bodies)


def test_a_run_is_what_its_bodies_are_one_by_one():
    keys = make_keys()
    plaintexts = [bytes([number]) * 40 for number in range(50)]
    singly, at_once = SealingLayer(keys), SealingLayer(keys)
    opening = OpeningLayer(keys)

    bodies = [singly.seal(plaintext) for plaintext in plaintexts]
    assert at_once.seal_run(plaintexts[:20]) == bodies[:20]
    assert at_once.seal_run(plaintexts[20:]) == bodies[20:]
    assert opening.open(bodies[0]) == plaintexts[0]
    assert opening.open_run(*cut(bodies[1:])) == plaintexts[1:]
    assert (opening.received, opening.highest) == (50, 77 + 49)
    assert opening.open(bodies[30]) is None
    assert opening.replayed == 1


def test_a_run_over_the_end_of_an_epoch_is_sealed_and_opened():
    sealing, opening = pair()
    first = body_at(sealing, 77 + EPOCH - 10)
    bodies = sealing.seal_run([PLAINTEXT] * 20)

    assert opening.open(first) == PLAINTEXT
    assert opening.open_run(*cut(bodies)) is None
    assert [opening.open(body) for body in bodies] == [PLAINTEXT] * 20
    assert opening.open_run(*cut(sealing.seal_run([PLAINTEXT] * 5))) == [PLAINTEXT] * 5


@pytest.mark.parametrize("spoil", ["changed", "gap", "doubled", "swapped"])
def test_a_run_that_is_not_in_order_and_whole_changes_nothing(spoil):
    sealing, opening = pair()
    opening.open(sealing.seal(PLAINTEXT))
    bodies = sealing.seal_run([PLAINTEXT] * 10)
    if spoil == "changed":
        bodies[5] = bodies[5][:-1] + bytes([bodies[5][-1] ^ 1])
    elif spoil == "gap":
        del bodies[5]
    elif spoil == "doubled":
        bodies[5] = bodies[4]
    else:
        bodies[5], bodies[6] = bodies[6], bodies[5]

    assert opening.open_run(*cut(bodies)) is None
    assert (opening.received, opening.bad_tag, opening.replayed) == (1, 0, 0)
    opened = [opening.open(body) for body in bodies]
    assert opened.count(PLAINTEXT) == (10 if spoil == "swapped" else 9)


def test_received_counts_what_came_whatever_the_order():
    sealing, opening = pair()
    bodies = sealing.seal_run([PLAINTEXT] * 300)
    dice = random.Random(5)
    arriving = [body for body in bodies if dice.random() < 0.8]
    dice.shuffle(arriving)

    assert all(opening.open(body) == PLAINTEXT for body in arriving)
    assert opening.received == len(arriving)


def test_layers_at_rest_go_on_where_they_were():
    sealing, opening = pair()
    for number in range(5):
        body = sealing.seal(bytes([number]))
        late = sealing.seal(b"late")
        sealing.rest()
        opening.rest()
        assert opening.open(body) == bytes([number])
        opening.rest()
        opening.rest()
        assert opening.open(late) == b"late"
    sealing.rest()
    opening.rest()
    assert opening.open_run(*cut(sealing.seal_run([PLAINTEXT] * 3))) is None
    assert opening.received == 10


def test_a_rest_over_the_end_of_an_epoch_keeps_the_ratchet():
    sealing, opening = pair()
    awake = SealingLayer(make_keys())
    opening.open(body_at(sealing, 77 + EPOCH - 1))
    sealing.rest()
    opening.rest()

    body = sealing.seal(PLAINTEXT)

    assert body == body_at(awake, 77 + EPOCH)
    assert opening.open(body) == PLAINTEXT


def test_counters_pass_32_bits():
    # From the highest start it takes 2**31 bodies; epochs are skipped four at a time.
    sealing, opening = pair(start=2**31 - 1)
    counter = 2**31 - 1
    target = 2**31 + 8 * MAX_EPOCHS_AHEAD * EPOCH
    while counter < target:
        assert opening.open(body_at(sealing, counter)) == PLAINTEXT
        counter += MAX_EPOCHS_AHEAD * EPOCH

    assert opening.highest == counter - MAX_EPOCHS_AHEAD * EPOCH


def test_counter_is_the_nearest_to_the_highest():
    sealing, opening = pair(start=5)
    body = sealing.seal(PLAINTEXT)

    # Three below the start: the nearest value is in the past and never fresh.
    assert opening.open((2).to_bytes(4) + body[4:]) is None
    # Below zero, likewise.
    assert opening.open(b"\xff\xff\xff\xf0" + body[4:]) is None
    assert opening.replayed == 2


@pytest.mark.parametrize("seed", range(3))
def test_weather_and_forgery_lose_no_body_that_arrives(seed):
    # Loss 30 %, duplicates 10 %, reordering by up to 300, a forged counter up to ten
    # epochs ahead for every third body; each round crosses the end of an epoch.
    dice = random.Random(seed)
    sealing, opening = pair(start=2**31 - 1)
    forger = SealingLayer(make_keys(seed=9))
    sent: list[bytes] = []
    opened: list[bytes] = []
    for epoch in range(1, 6):
        sealing.advance_to(2**31 - 1 + epoch * EPOCH - 500)
        for number, body in enumerate(through_weather(sealing, sent, dice)):
            if number % 3 == 0:
                ahead = opening.highest + dice.randrange(1, 10 * EPOCH)
                forged = ahead.to_bytes(12)[8:] + forger.seal(b"forged")[4:]
                assert opening.open(forged) is None
            plaintext = opening.open(body)
            if plaintext is not None:
                opened.append(plaintext)

    assert sorted(opened) == sorted(sent)
    assert opening.received == len(sent)
    assert opening.highest > 2**31 + 4 * EPOCH


def through_weather(sealing, sent, dice):
    """Return 1,000 bodies as they arrive; add to ``sent`` what of them does."""
    arriving = []
    for number in range(1000):
        plaintext = sealing.counter.to_bytes(8)
        body = sealing.seal(plaintext)
        if dice.random() < 0.3:
            continue
        sent.append(plaintext)
        copies = 2 if dice.random() < 0.1 else 1
        arriving += [(number + dice.randrange(300), body) for _ in range(copies)]
    return [body for _, body in sorted(arriving)]


def test_no_counter_is_used_twice():
    sealing, _ = pair()
    sealing.seal(b"")

    with pytest.raises(LocalProtocolError):
        sealing.advance_to(77)

    sealing.advance_to(78)
    assert sealing.counter == 78


def secrets_of(layer):
    """Return every bytes object and cipher method that a layer refers to."""
    referents = gc.get_referents(layer)
    keys = [value for value in referents if isinstance(value, bytes)]
    methods = [
        value for value in referents if callable(value) and value is not type(layer)
    ]
    return keys, methods


def opens(body, counter, keys, methods):
    """Tell whether any of the keys, or what the ratchet makes of them, opens a body."""
    nonce = counter.to_bytes(12)
    candidates, chains = set(keys), set(keys)
    for _ in range(6):
        candidates |= {ratchet_key(chain) for chain in chains}
        chains = {ratchet_chain(chain) for chain in chains}
        candidates |= chains
    ciphers = [aes_gcm(key).decrypt for key in candidates if len(key) == 32]
    for decrypt in [*ciphers, *methods]:
        try:
            decrypt(nonce, body[4:], b"aad")
        except InvalidTag:
            continue
        return True
    return False


def test_state_at_an_epoch_opens_nothing_of_two_epochs_before():
    sealing, opening = pair()
    counters = [77 + epoch * EPOCH for epoch in range(4)]
    bodies = [body_at(sealing, counter) for counter in counters]
    for body in bodies[:3]:
        opening.open(body)

    keys, methods = secrets_of(opening)

    # The control: what the state can open, it does.
    assert opens(bodies[3], counters[3], keys, methods)
    assert opens(bodies[2], counters[2], keys, methods)
    assert opens(bodies[1], counters[1], keys, methods)
    assert not opens(bodies[0], counters[0], keys, methods)


def test_sender_keeps_no_key_of_the_past():
    sealing, _ = pair()
    body = sealing.seal(PLAINTEXT)
    body_at(sealing, 77 + EPOCH)

    keys, _ = secrets_of(sealing)

    assert keys
    assert not opens(body, 77, keys, [])


def test_circuit_of_layers_fits_in_little_memory():
    keys = [make_keys(seed, start=1000 * seed + 300) for seed in range(200)]
    pair()

    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    layers = [(SealingLayer(each), OpeningLayer(each)) for each in keys]
    for sealing, opening in layers:
        opening.open(body_at(sealing, sealing.counter + EPOCH))
        opening.open(body_at(sealing, sealing.counter + 3))
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()

    assert used / len(layers) < 2 * 1536


def test_reprs_show_no_secret():
    sealing, opening = pair()

    assert repr(sealing) == "SealingLayer([scrubbed])"
    assert repr(opening) == "OpeningLayer([scrubbed])"

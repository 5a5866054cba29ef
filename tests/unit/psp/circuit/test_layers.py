"""Layers of an origin against layers of hops."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.circuit.hop_layer import HopLayer
from psp.circuit.layers import Layers
from psp.crypto.circuit_handshake import ClientHandshake, RelayHandshake
from psp.crypto.primitives import x25519_generate, x25519_public
from psp.errors import DecodeError, LocalProtocolError
from psp.ids import CircuitId
from psp.testing.entropy import SeededEntropy
from psp.wire.cell import HEADER, CellCommand
from psp.wire.onion import Kind, inner_size
from psp.wire.relay_message import RelayCommand, RelayMessage

MESSAGE = RelayMessage(RelayCommand.PING, 5, b"hello")


def ends(hops, seed=0, twin=None):
    """Return an origin's layers and those of its hops, already connected.

    A ``twin`` gets the same layers as the origin.
    """
    entropy = SeededEntropy(f"layers {seed}")
    layers = Layers(CircuitId(1))
    relays = []
    for hop in range(1, hops + 1):
        node_id, private = entropy.token(32), x25519_generate(entropy)
        client = ClientHandshake(node_id, x25519_public(private), hop, entropy)
        handshake = RelayHandshake(
            client.message, node_id=node_id, onion_privates=[private]
        )
        result = handshake.answer(0, entropy)
        keys = client.finish(result.reply)
        layers.add(keys)
        if twin is not None:
            twin.add(keys)
        relays.append(HopLayer(CircuitId(hop), hop, result.keys))
    for number, relay in enumerate(relays[:-1]):
        relay.next_head = HEADER.pack(number + 2, CellCommand.RELAY)
    return layers, relays


def forward(relays, cell):
    """Open layer by layer; return the kinds seen and the last plaintext."""
    kinds = []
    for relay in relays:
        plaintext = relay.opening.open(cell, 5, relay.body_end)
        if plaintext is None:
            return kinds, None
        kinds.append(plaintext[0])
        if plaintext[0] & 1:
            return kinds, plaintext
        cell = relay.forward_cell(plaintext)
        assert len(cell) == 1200
    return kinds, plaintext


def backward(relays, cell):
    for relay in reversed(relays):
        cell = relay.backward_cell(cell)
    return cell


@pytest.mark.parametrize("target", [1, 2, 3, 4])
def test_a_message_reaches_any_hop(target):
    layers, relays = ends(4)

    cell = layers.seal(target, MESSAGE, Kind.PASS)
    kinds, plaintext = forward(relays, cell)

    assert len(cell) == 1200
    assert kinds == [Kind.PASS] * (target - 1) + [Kind.MESSAGE]
    assert len(plaintext) == 1 + inner_size(target)
    assert RelayMessage.decode(plaintext[1:]) == MESSAGE


@pytest.mark.parametrize("source", [1, 2, 3, 4])
def test_a_message_comes_from_any_hop(source):
    layers, relays = ends(4)

    cell = relays[source - 1].message_cell(MESSAGE)
    hop, plaintext = layers.open(backward(relays[: source - 1], cell))

    assert hop == source
    assert RelayMessage.decode(plaintext[1:]) == MESSAGE


@pytest.mark.parametrize("hops", [1, 2, 3, 4])
def test_blocks_cross_unchanged_both_ways(hops):
    layers, relays = ends(hops)
    blocks = [bytes([i]) * 1106 for i in range(3)]

    there = [forward(relays, cell) for cell in layers.seal_blocks(blocks, Kind.PASS)]
    back = [
        layers.open(backward(relays[:-1], relays[-1].block_cell(block, Kind.AUDIO)))
        for block in blocks
    ]

    assert [relays[-1].block_of(plaintext) for _, plaintext in there] == blocks
    assert [relays[-1].block_of(plaintext) for _, plaintext in back] == blocks
    assert {(hop, plaintext[0]) for hop, plaintext in back} == {
        (hops, Kind.MESSAGE | Kind.AUDIO)
    }


@pytest.mark.parametrize("flag", [Kind.AUDIO, Kind.KEY_FRAME, Kind.EARLY])
def test_flags_stand_in_every_layer(flag):
    layers, relays = ends(3)

    kinds, _ = forward(relays, layers.seal(3, MESSAGE, flag))

    assert kinds == [flag, flag, flag | Kind.MESSAGE]


def test_a_block_of_another_size_is_a_bug_of_ours():
    layers, _ = ends(1)

    with pytest.raises(LocalProtocolError, match="1105"):
        layers.seal_blocks([bytes(1105)], Kind.PASS)


def test_a_hop_without_a_next_one_cannot_pass_cells_on():
    _, relays = ends(1)

    with pytest.raises(LocalProtocolError, match="no next hop"):
        relays[0].forward_cell(b"\0" + bytes(1174))


def test_every_changed_byte_dies_at_the_next_hop_forward():
    layers, relays = ends(2)

    for position in range(5, 1200):
        changed = bytearray(layers.seal(2, MESSAGE, Kind.PASS))
        changed[position] ^= 1 << position % 8
        assert forward(relays, bytes(changed)) == ([], None)
        cell = layers.seal(2, MESSAGE, Kind.PASS)
        passed = relays[0].forward_cell(relays[0].opening.open(cell, 5, 1200))
        changed = bytearray(passed)
        changed[position] ^= 1 << position % 8
        is_body = position < relays[1].body_end
        assert (forward(relays[1:], bytes(changed)) == ([], None)) == is_body
    assert relays[0].opening.received == 1195


def test_every_changed_byte_dies_at_the_origin_and_at_the_right_hop():
    layers, relays = ends(2)

    for position in range(5, 1179):
        changed = bytearray(relays[1].message_cell(MESSAGE))
        changed[position] ^= 0x80
        assert layers.open(relays[0].backward_cell(bytes(changed))) == (2, None)
        changed = bytearray(relays[0].message_cell(MESSAGE))
        changed[position] ^= 0x80
        assert layers.open(bytes(changed)) == (1, None)


def test_cells_of_other_circuits_directions_and_hops_die():
    layers, relays = ends(2, seed=1)
    others, other_relays = ends(2, seed=2)

    assert forward(other_relays, layers.seal(2, MESSAGE, 0)) == ([], None)
    assert layers.open(layers.seal(2, MESSAGE, 0)) == (1, None)
    assert layers.open(other_relays[0].message_cell(MESSAGE)) == (1, None)
    assert others.open(relays[0].message_cell(MESSAGE)) == (1, None)
    _, plaintext = forward(relays[:1], layers.seal(2, MESSAGE, 0))
    assert forward(other_relays[1:], relays[0].forward_cell(plaintext)) == ([], None)
    _, plaintext = forward(relays[:1], layers.seal(2, MESSAGE, 0))
    assert forward(relays[:1], relays[0].forward_cell(plaintext)) == ([], None)


def test_a_cell_seen_before_is_not_seen_again():
    layers, relays = ends(2)
    cell = layers.seal(2, MESSAGE, Kind.PASS)

    assert forward(relays, cell)[1] is not None
    assert forward(relays, cell) == ([], None)
    assert relays[0].opening.replayed == 1
    assert relays[0].opening.bad_tag == 0


def test_new_bad_tags_are_told_from_replays():
    layers, relays = ends(1)
    cell = relays[0].message_cell(MESSAGE)

    layers.open(cell)
    layers.open(cell)
    assert not layers[1].has_new_bad_tag()
    cell = relays[0].message_cell(MESSAGE)
    layers.open(cell[:-1] + bytes([cell[-1] ^ 1]))
    assert layers[1].has_new_bad_tag()
    assert not layers[1].has_new_bad_tag()


def test_a_cell_in_which_nobody_has_a_message_is_of_hop_zero():
    layers, relays = ends(1)

    assert layers.open(relays[0].backward_cell(bytes(1200))) == (0, None)


@pytest.mark.parametrize("kind", [0x02, 0x20, 0x40, 0x80, 0x12, 0x30])
def test_kind_bits_that_no_hop_may_set_are_a_breach(kind):
    layers, relays = ends(1)
    body = relays[0].sealing.seal(bytes([kind]) + bytes(inner_size(1)))

    with pytest.raises(DecodeError, match="kind"):
        layers.open(relays[0].head + body)


@given(marks=st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans())))
def test_a_cell_is_marked_if_any_hop_on_its_way_marked_it(marks):
    layers, relays = ends(3)

    for way in marks:
        first, second, last = (Kind.CONGESTED * mark for mark in way)
        cell = relays[2].message_cell(MESSAGE, last)
        for relay, mark in ((relays[1], second), (relays[0], first)):
            inner = cell[5 : relay.inner_end]
            cell = relay.head + relay.sealing.seal(bytes((mark,)) + inner)
        hop, plaintext = layers.open(cell)
        assert (hop, plaintext[0]) == (3, Kind.MESSAGE | last)

    assert layers.take_marks() == (len(marks), sum(map(any, marks)))


def test_cells_that_do_not_open_are_neither_counted_nor_marked():
    layers, relays = ends(1)
    cell = bytearray(relays[0].message_cell(MESSAGE, Kind.CONGESTED))
    cell[9] ^= 1

    assert layers.open(bytes(cell)) == (1, None)

    assert layers.take_marks() == (0, 0)


def test_hops_that_were_cut_off_are_gone():
    layers, _ = ends(3)

    layers.cut(1)

    assert len(layers) == 1


def test_circuits_start_at_counters_of_their_own():
    counters = set()
    for seed in range(40):
        layers, relays = ends(3, seed=seed)
        counters |= {layers[hop].sealing.counter for hop in (1, 2, 3)}
        counters |= {relay.sealing.counter for relay in relays}
    assert len(counters) == 240


def arriving(relays, script):
    """Return backward cells: blocks, messages of any hop, marks, and what goes wrong."""
    cells = []
    for step, hop in script:
        passing = relays[:-1]
        if step == "message":
            passing = relays[: hop - 1]
            cell = relays[hop - 1].message_cell(MESSAGE)
        else:
            cell = relays[-1].block_cell(bytes([hop]) * 1106, Kind.AUDIO)
        if step == "mark":
            cell = relays[-1].block_cell(bytes([hop]) * 1106, Kind.CONGESTED)
        cell = backward(passing, cell)
        if step == "replay" and cells:
            cell = cells[-1]
        elif step == "damage":
            cell = cell[:700] + bytes([cell[700] ^ 1]) + cell[701:]
        if step != "loss":
            cells.append(cell)
        if step == "swap" and len(cells) > 1:
            cells[-2:] = cells[:-3:-1]
    return cells


STEPS = ["block"] * 6 + ["message", "mark", "replay", "damage", "loss", "swap"]


@given(
    st.lists(st.tuples(st.sampled_from(STEPS), st.integers(1, 3)), max_size=30),
    st.lists(st.integers(1, 12), max_size=8),
)
def test_cells_opened_together_are_what_they_are_one_by_one(script, sizes):
    singly = Layers(CircuitId(1))
    together, relays = ends(3, twin=singly)
    cells = arriving(relays, script)

    opened = []
    rest = cells
    for size in (*sizes, len(cells)):
        opened += together.open_each(rest[:size])
        rest = rest[size:]

    assert opened == [singly.open(cell) for cell in cells]
    assert together.take_marks() == singly.take_marks()
    for hop in (1, 2, 3):
        ours, theirs = together[hop].opening, singly[hop].opening
        assert (ours.received, ours.bad_tag, ours.replayed, ours.highest) == (
            theirs.received,
            theirs.bad_tag,
            theirs.replayed,
            theirs.highest,
        )


def test_a_kind_that_no_hop_may_set_comes_up_where_it_stands():
    layers, relays = ends(2)
    block = bytes(1106)
    cells = [backward(relays[:1], relays[1].block_cell(block)) for _ in range(4)]
    bad = relays[0].sealing.seal(bytes([Kind.EARLY]) + bytes(inner_size(1)))
    cells.append(relays[0].head + bad)
    cells.append(backward(relays[:1], relays[1].block_cell(block)))

    opened = layers.open_each(cells)

    assert [next(opened)[0] for _ in range(4)] == [2] * 4
    with pytest.raises(DecodeError):
        next(opened)


def test_what_comes_from_hops_that_were_cut_off_meanwhile_is_stale():
    layers, relays = ends(3)
    cells = [backward(relays[:2], relays[2].block_cell(bytes(1106))) for _ in range(5)]

    opened = layers.open_each(cells)
    assert next(opened)[0] == 3
    layers.cut(1)

    assert list(opened) == [(0, None)] * 4

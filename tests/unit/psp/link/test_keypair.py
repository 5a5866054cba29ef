"""Sealing and opening trains, judged by a slow and obvious version."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psp.crypto.kdf import LinkKeys
from psp.link.config import HARD_PACKET_LIMIT, REPLAY_WINDOW
from psp.link.keypair import Keypair
from psp.link.stats import LinkStats
from psp.testing.links import circuit_cell
from psp.units import Monotonic
from psp.wire.cell import CellCommand
from psp.wire.link_cells import link_cell
from psp.wire.packet import PACKET_SIZE

NOW = Monotonic(0.0)


def pair(stats: LinkStats | None = None) -> tuple[Keypair, Keypair]:
    ours, theirs = bytes(range(32)), bytes(range(32, 64))
    stats = stats or LinkStats()
    return (
        Keypair(
            LinkKeys(ours, theirs, bytes(16)),
            local_index=1,
            remote_index=2,
            created=NOW,
            stats=stats,
        ),
        Keypair(
            LinkKeys(theirs, ours, bytes(16)),
            local_index=2,
            remote_index=1,
            created=NOW,
            stats=stats,
        ),
    )


def packets_of(keypair: Keypair, cells: list[bytes]) -> list[bytes]:
    joined = keypair.seal(cells)
    return [joined[n : n + PACKET_SIZE] for n in range(0, len(joined), PACKET_SIZE)]


def open_train(keypair: Keypair, packets: list[bytes]) -> tuple[list[bytes], int]:
    cells: list[bytes] = []
    train = memoryview(bytearray(b"".join(packets)))
    return cells, keypair.open_run(train, cells, cells, NOW)


def test_a_train_is_opened_in_one_go() -> None:
    sender, receiver = pair()
    sent = [circuit_cell(n) for n in range(50)]

    cells, taken = open_train(receiver, packets_of(sender, sent))

    assert cells == sent
    assert taken == 50
    assert receiver.window.highest == 49


def test_cells_of_the_link_are_told_apart_by_all_four_bytes() -> None:
    sender, receiver = pair()
    padding = link_cell(CellCommand.PADDING)
    small = b"\0\0\0\1" + bytes(1196)
    cells: list[bytes] = []
    control: list[bytes] = []

    train = sender.seal([padding, small, circuit_cell(1)])
    receiver.open_run(memoryview(train), cells, control, NOW)

    assert control == [padding]
    assert cells == [small, circuit_cell(1)]


def test_a_run_ends_where_another_receiver_begins() -> None:
    sender, receiver = pair()
    first, second, third = packets_of(sender, [circuit_cell(n) for n in range(3)])
    foreign = b"\5\1\0\0\0\0\0\x09" + second[8:]

    cells, taken = open_train(receiver, [first, foreign, third])

    assert cells == [circuit_cell(0)]
    assert taken == 1


@settings(max_examples=60)
@given(
    order=st.lists(st.integers(0, 119), max_size=150),
    forged=st.sets(st.integers(0, 149)),
    cut=st.integers(1, 60),
)
def test_any_order_opens_each_packet_once(
    order: list[int], forged: set[int], cut: int
) -> None:
    stats = LinkStats()
    sender, receiver = pair(stats)
    packets = packets_of(sender, [circuit_cell(n) for n in range(120)])
    expected: list[bytes] = []
    bad = 0
    received: list[bytes] = []
    arriving: list[bytes] = []
    for position, number in enumerate(order):
        data = bytearray(packets[number])
        if circuit_cell(number) in expected:
            pass
        elif position in forged:
            data[-1] ^= 1
            bad += 1
        else:
            expected.append(circuit_cell(number))
        arriving.append(bytes(data))

    for start in range(0, len(arriving), cut):
        cells, taken = open_train(receiver, arriving[start : start + cut])
        assert taken == len(arriving[start : start + cut])
        received += cells

    assert received == expected
    assert stats.drop_bad_tag == bad
    assert stats.drop_replayed == len(order) - len(expected) - bad


def test_a_forgery_in_a_train_in_order_costs_only_itself() -> None:
    stats = LinkStats()
    sender, receiver = pair(stats)
    sent = [circuit_cell(n) for n in range(50)]
    packets = packets_of(sender, sent)
    packets[20] = packets[20][:-1] + bytes([packets[20][-1] ^ 1])
    packets[30] = bytes([packets[30][0], 9]) + packets[30][2:]

    cells, taken = open_train(receiver, packets[:30])
    assert (cells, taken) == (sent[:20] + sent[21:30], 30)
    cells, taken = open_train(receiver, packets[30:31])
    assert (cells, taken) == ([], 0)
    cells, taken = open_train(receiver, packets[31:])
    assert (cells, taken) == (sent[31:], 19)
    assert stats.drop_bad_tag == 1


def test_a_train_of_two_keys_is_opened_as_far_as_ours_go() -> None:
    sender, receiver = pair()
    ours = packets_of(sender, [circuit_cell(n) for n in range(3)])
    other = packets_of(receiver, [circuit_cell(9)])

    cells, taken = open_train(receiver, ours + other)

    assert (cells, taken) == ([circuit_cell(n) for n in range(3)], 3)


def test_a_forgery_far_ahead_moves_nothing() -> None:
    stats = LinkStats()
    sender, receiver = pair(stats)
    [packet] = packets_of(sender, [circuit_cell(0)])
    far = packet[:8] + (HARD_PACKET_LIMIT - 1).to_bytes(8) + packet[16:]

    open_train(receiver, [far])
    cells, _ = open_train(receiver, [packet])

    assert cells == [circuit_cell(0)]
    assert stats.drop_bad_tag == 1


def test_packets_older_than_the_window_are_refused() -> None:
    stats = LinkStats()
    sender, receiver = pair(stats)
    packets = packets_of(sender, [circuit_cell(0)] * (REPLAY_WINDOW + 2))

    cells, _ = open_train(receiver, [packets[-1], packets[1], packets[2]])

    assert len(cells) == 2
    assert stats.drop_replayed == 1


@pytest.mark.parametrize("counter", [HARD_PACKET_LIMIT, 2**64 - 1])
def test_no_counter_beyond_the_limit_of_the_keys_is_opened(counter: int) -> None:
    stats = LinkStats()
    sender, receiver = pair(stats)
    sender.next_counter = counter
    train = (
        [sender.seal([circuit_cell(1)])]
        if counter < 2**64 - 1
        else [sender.prefix[:4] + b"\0\0\0\2" + counter.to_bytes(8), bytes(1216)]
    )

    cells, _ = open_train(receiver, train)

    assert cells == []
    assert stats.drop_replayed == 1


def test_opening_to_look_takes_no_note() -> None:
    sender, receiver = pair()
    [packet] = packets_of(sender, [circuit_cell(1)])
    forged = packet[:-1] + bytes([packet[-1] ^ 1])

    assert receiver.can_open(memoryview(packet))
    assert not receiver.can_open(memoryview(forged))
    cells, _ = open_train(receiver, [packet])
    assert cells == [circuit_cell(1)]


def test_keys_do_not_show() -> None:
    sender, _ = pair()

    assert repr(sender) == "Keypair([scrubbed])"

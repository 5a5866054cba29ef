"""Two sessions on a bad wire in memory (psp/endpoint/session.py)."""

import heapq
import random
from dataclasses import dataclass, field
from itertools import count

import pytest

from psp.crypto.kdf import LayerKeys
from psp.crypto.layer import SealingLayer
from psp.crypto.session import SessionKeys
from psp.endpoint.pacing import MAX_WAITING
from psp.endpoint.session import (
    DatagramsReceived,
    LegLost,
    LegMessageReceived,
    MessageReceived,
    RoomMade,
    Session,
    SessionClosed,
    SessionConfig,
    SessionEvent,
    SessionSilent,
)
from psp.errors import LocalProtocolError
from psp.units import Monotonic, Seconds
from psp.wire.cell import Reason
from psp.wire.feedback import Feedback
from psp.wire.onion import Kind
from psp.wire.session_block import (
    MAX_PIECE,
    PLAIN_SIZE,
    BlockType,
    LegAction,
    LegMessage,
    Piece,
    pack_plain,
)

FORWARD = LayerKeys(b"f" * 32, 7, b"forward")
BACKWARD = LayerKeys(b"b" * 32, 9, b"backward")
CALLER_KEYS = SessionKeys(FORWARD, BACKWARD, bytes(32))
CALLEE_KEYS = SessionKeys(BACKWARD, FORWARD, bytes(32))


@dataclass
class Wire:
    """Caller 0 and callee 1, and what happens between them.

    `silent` holds legs that carry nothing, `deaf` pairs of leg and end that hears
    nothing over it.
    """

    loss: float = 0.0
    latency: float = 0.02
    config: SessionConfig = field(default_factory=SessionConfig)
    now: Monotonic = Monotonic(100.0)
    silent: set[int] = field(default_factory=set)
    deaf: set[tuple[int, int]] = field(default_factory=set)
    blocks_over: dict[int, int] = field(default_factory=dict)
    kinds: list[Kind] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dice = random.Random(1)
        self.ends = [
            Session(keys, self.now, self.config) for keys in (CALLER_KEYS, CALLEE_KEYS)
        ]
        self.events: list[list[SessionEvent]] = [[], []]
        self.flying: list[tuple[float, int, int, int, bytes]] = []
        self.serial = count()

    def add_leg(self, leg: int) -> None:
        for end in self.ends:
            end.add_leg(leg, self.now)

    def flush(self) -> None:
        for number, end in enumerate(self.ends):
            for leg, blocks, kind in end.blocks_to_send(self.now):
                self.kinds.append(kind)
                for block in blocks:
                    self._put(1 - number, leg, block)
            while (event := end.next_event()) is not None:
                self.events[number].append(event)

    def _put(self, receiver: int, leg: int, block: bytes) -> None:
        self.blocks_over[leg] = self.blocks_over.get(leg, 0) + 1
        if leg in self.silent or (leg, receiver) in self.deaf:
            return
        if self.dice.random() >= self.loss:
            due = self.now + self.latency
            heapq.heappush(self.flying, (due, next(self.serial), receiver, leg, block))

    def run(self, seconds: float) -> None:
        until = Monotonic(self.now + seconds)
        self.flush()
        while (step := self._next()) is not None and step <= until:
            self.now = Monotonic(max(step, self.now))
            while self.flying and self.flying[0][0] <= self.now:
                _, _, receiver, leg, block = heapq.heappop(self.flying)
                self.ends[receiver].receive_blocks(leg, [block], self.now)
            for end in self.ends:
                due = end.next_timeout()
                if due is not None and due <= self.now:
                    end.handle_timeout(self.now)
            self.flush()
        self.now = until

    def _next(self) -> float | None:
        due = [end.next_timeout() for end in self.ends]
        times: list[float] = [time for time in due if time is not None]
        times += [entry[0] for entry in self.flying[:1]]
        return min(times, default=None)

    def datagrams(self, end: int) -> list[bytes]:
        return [
            datagram
            for event in self.told(end, DatagramsReceived)
            for datagram in event.datagrams
        ]

    def told(self, end: int, kind: type) -> list:
        return [event for event in self.events[end] if isinstance(event, kind)]


def one_leg(**options) -> Wire:
    wire = Wire(**options)
    wire.add_leg(0)
    return wire


def two_legs(**options) -> Wire:
    wire = one_leg(**options)
    wire.add_leg(1)
    wire.run(1.0)
    return wire


def leg_message(leg: int = 1) -> LegMessage:
    return LegMessage(LegAction.OFFER, leg, b"n" * 32, b"e" * 24, b"c" * 20)


def test_datagrams_pass_both_ways_in_order():
    wire = one_leg()
    for number in range(5):
        wire.ends[0].send_datagram(b"there %d" % number)
        wire.ends[1].send_datagram(b"back %d" % number)

    wire.run(0.1)

    assert wire.datagrams(1) == [b"there %d" % number for number in range(5)]
    assert wire.datagrams(0) == [b"back %d" % number for number in range(5)]
    assert wire.ends[0].stats.datagrams_sent == 5
    assert wire.ends[0].stats.datagrams_received == 5


def test_datagrams_of_one_train_are_told_in_one_event():
    caller, callee = Wire().ends
    caller.add_leg(0, Monotonic(100.0))
    for number in range(3):
        caller.send_datagram(bytes([number]))
    blocks = [b for batch in caller.blocks_to_send(Monotonic(100.0)) for b in batch[1]]

    callee.receive_blocks(0, blocks, Monotonic(100.0))

    assert callee.next_event() == DatagramsReceived([b"\0", b"\1", b"\2"])
    assert callee.next_event() is None


def test_the_longest_datagram_passes_and_a_longer_one_is_refused():
    wire = one_leg()
    wire.ends[0].send_datagram(bytes(1080))
    wire.run(0.1)

    assert wire.datagrams(1) == [bytes(1080)]
    with pytest.raises(LocalProtocolError, match="1081"):
        wire.ends[0].send_datagram(bytes(1081))


def test_audio_goes_before_key_frames_and_those_before_the_rest():
    session = Wire().ends[0]
    session.add_leg(0, Monotonic(100.0))
    session.blocks_to_send(Monotonic(100.0))
    kinds = [Kind.PASS, Kind.KEY_FRAME, Kind.AUDIO, Kind.PASS]
    for kind in kinds:
        session.send_datagram(b"x", kind)

    batches = session.blocks_to_send(Monotonic(100.01))

    assert [(batch.kind, len(batch.blocks)) for batch in batches] == [
        (Kind.AUDIO, 1),
        (Kind.KEY_FRAME, 1),
        (Kind.PASS, 2),
    ]


def test_messages_arrive_once_in_order_at_thirty_percent_loss():
    wire = one_leg(loss=0.3)
    messages = [bytes([number]) * (number * 300) for number in range(20)]
    for message in messages:
        wire.ends[0].send_message(message)

    wire.run(15.0)

    assert [event.message for event in wire.told(1, MessageReceived)] == messages


def test_a_leg_message_is_told_as_one():
    wire = one_leg(loss=0.2)
    wire.ends[0].send_leg_message(leg_message())

    wire.run(3.0)

    assert wire.told(1, LegMessageReceived) == [LegMessageReceived(leg_message())]
    assert wire.told(1, MessageReceived) == []


def test_a_forged_or_repeated_block_changes_nothing():
    wire = one_leg()
    wire.ends[0].send_datagram(b"once")
    (probe, batch) = wire.ends[0].blocks_to_send(wire.now)
    (block,) = batch.blocks
    callee = wire.ends[1]

    callee.receive_blocks(0, [bytes(1106), block, block, block[:-1] + b"?"], wire.now)

    assert callee.next_event() == DatagramsReceived([b"once"])
    assert callee.next_event() is None
    assert probe.leg == 0


def test_the_other_leg_takes_over_when_one_falls_silent():
    wire = two_legs()
    wire.silent.add(0)
    for number in range(40):
        wire.ends[0].send_datagram(b"%d" % number)
        wire.run(0.05)

    arrived = wire.datagrams(1)

    assert arrived[-20:] == [b"%d" % number for number in range(20, 40)]
    assert wire.told(0, LegLost) == wire.told(1, LegLost) == [LegLost(0)]
    assert wire.told(0, SessionSilent) == []
    assert wire.ends[0].stats.leg_changes >= 1
    assert sorted(wire.ends[0].legs) == [1]


def test_a_leg_that_passes_one_way_only_is_left_by_the_end_that_is_not_heard():
    wire = two_legs()
    wire.deaf.add((0, 1))
    wire.run(1.0)
    before = wire.blocks_over[1]

    for number in range(10):
        wire.ends[0].send_datagram(b"%d" % number)
    wire.run(0.1)

    assert wire.blocks_over[1] >= before + 10
    assert wire.datagrams(1) == [b"%d" % number for number in range(10)]


def test_while_no_leg_is_well_blocks_go_over_all_of_them():
    wire = two_legs()
    wire.silent |= {0, 1}
    wire.run(0.55)
    wire.silent.clear()

    wire.ends[0].send_datagram(b"x")
    wire.flush()

    assert wire.ends[0].legs.to_use(wire.now) == [0, 1]
    wire.run(0.1)
    assert wire.datagrams(1) == [b"x", b"x"]


def test_silence_is_told_once_and_again_after_a_recovery():
    wire = two_legs()
    wire.silent |= {0, 1}
    wire.run(1.0)
    assert len(wire.told(0, SessionSilent)) == 1

    wire.silent.clear()
    wire.run(1.0)
    wire.silent |= {0, 1}
    wire.run(1.0)

    assert len(wire.told(0, SessionSilent)) == 2
    assert len(wire.told(1, SessionSilent)) == 2


def test_a_session_whose_every_circuit_closed_asks_for_the_reserve_at_once():
    wire = one_leg()
    wire.run(1.0)
    for end in wire.ends:
        end.remove_leg(0)

    wire.run(1.0)

    assert wire.told(0, SessionSilent) == [SessionSilent()]
    assert wire.told(1, SessionSilent) == [SessionSilent()]


def test_a_new_leg_ends_the_silence():
    wire = one_leg()
    wire.run(1.0)
    for end in wire.ends:
        end.remove_leg(0)
    wire.ends[0].send_message(b"after the silence")
    wire.run(5.0)

    wire.add_leg(2)
    wire.run(1.0)

    assert wire.told(1, MessageReceived) == [MessageReceived(b"after the silence")]
    assert not wire.told(0, SessionClosed)


def test_an_unacknowledged_message_does_not_spin_while_there_is_no_leg():
    wire = one_leg()
    wire.run(1.0)
    wire.silent.add(0)
    wire.ends[0].send_message(b"lost at first")
    wire.flush()
    for end in wire.ends:
        end.remove_leg(0)

    wire.run(2.0)
    due = wire.ends[0].next_timeout()

    assert due is not None
    assert due > wire.now
    wire.silent.clear()
    wire.add_leg(0)
    wire.run(1.0)
    assert wire.told(1, MessageReceived) == [MessageReceived(b"lost at first")]


def test_a_peer_that_is_late_to_come_finds_the_first_leg_in_place():
    wire = one_leg()
    wire.silent.add(0)
    wire.run(8.0)
    assert wire.told(0, LegLost) == wire.told(0, SessionSilent) == []

    wire.silent.clear()
    wire.ends[1].send_datagram(b"here I am")
    wire.run(1.0)

    assert wire.datagrams(0)[-1] == b"here I am"
    assert list(wire.ends[0].legs) == [0]


def test_a_peer_that_never_comes_is_given_up():
    wire = one_leg(config=SessionConfig(give_up_after=Seconds(5.0)))
    wire.silent.add(0)

    wire.run(5.1)

    assert wire.told(0, SessionClosed) == [SessionClosed(Reason.TIMEOUT)]
    assert wire.told(0, SessionSilent) == []


def test_a_session_is_given_up_after_a_long_silence():
    wire = one_leg(config=SessionConfig(give_up_after=Seconds(5.0)))
    wire.run(1.0)
    wire.silent.add(0)

    wire.run(4.0)
    assert not wire.ends[0].is_closed
    wire.run(1.1)

    assert wire.told(0, SessionClosed) == [SessionClosed(Reason.TIMEOUT)]
    assert wire.ends[0].next_timeout() is None


def test_the_peer_learns_of_a_close_even_if_most_blocks_are_lost():
    wire = two_legs()
    wire.ends[0].close()
    wire.loss = 0.5

    wire.run(0.5)

    assert wire.told(0, SessionClosed) == [SessionClosed(Reason.REQUESTED)]
    assert wire.told(1, SessionClosed) == [SessionClosed(Reason.REQUESTED)]


def test_closing_twice_and_what_comes_after_is_harmless():
    wire = one_leg()
    wire.ends[1].send_datagram(b"too late")
    wire.ends[0].close()
    wire.ends[0].close()
    wire.run(0.1)
    wire.ends[0].handle_timeout(wire.now)

    assert wire.told(0, SessionClosed) == [SessionClosed(Reason.REQUESTED)]
    assert wire.datagrams(0) == []


def sealed(*plains: bytes) -> list[bytes]:
    layer = SealingLayer(FORWARD)
    return [layer.seal(plain) for plain in plains]


@pytest.mark.parametrize(
    "plain",
    [
        bytes([99]).ljust(PLAIN_SIZE, b"\0"),
        bytes([BlockType.DATAGRAM, 0xFF, 0xFF]).ljust(PLAIN_SIZE, b"\0"),
        pack_plain(BlockType.MESSAGE, b"abc"),
        pack_plain(BlockType.MESSAGE, b"\0\0\0\0\2xyz"),
        pack_plain(BlockType.ACK, b"x"),
        pack_plain(BlockType.PROBE, b"\0\0\0\0\1\5"),
        pack_plain(BlockType.PROBE_ECHO, b"1234"),
        pack_plain(BlockType.AUDIO, b"\0\0\0"),
        pack_plain(BlockType.FEEDBACK, bytes(23)),
        pack_plain(BlockType.MESSAGE, Piece(0, is_last=True, data=b"\1short").encode()),
        pack_plain(BlockType.MESSAGE, Piece(0, is_last=True, data=b"\7").encode()),
        pack_plain(BlockType.MESSAGE, Piece(0, is_last=True, data=b"").encode()),
    ],
)
def test_good_seals_around_bad_content_are_counted_and_survived(plain):
    wire = one_leg()
    good = pack_plain(BlockType.DATAGRAM, b"good")

    wire.ends[1].receive_blocks(0, sealed(plain, good), wire.now)

    assert wire.ends[1].stats.malformed == 1
    assert wire.ends[1].next_event() == DatagramsReceived([b"good"])
    assert not wire.ends[1].is_closed


def test_padding_is_a_sign_of_life_and_nothing_else():
    wire = one_leg()
    later = Monotonic(wire.now + 0.35)

    wire.ends[1].receive_blocks(0, sealed(pack_plain(BlockType.PADDING, b"")), later)

    assert wire.ends[1].next_event() is None
    assert wire.ends[1].stats.malformed == 0
    assert wire.ends[1].legs.silence(later) == 0.0


def test_a_message_without_end_closes_the_session():
    wire = one_leg()
    pieces = [
        pack_plain(
            BlockType.MESSAGE,
            Piece(number, is_last=False, data=bytes(MAX_PIECE)).encode(),
        )
        for number in range(70)
    ]

    wire.ends[1].receive_blocks(0, sealed(*pieces), wire.now)
    wire.flush()

    assert wire.told(1, SessionClosed) == [SessionClosed(Reason.PROTOCOL)]


def test_an_unknown_reason_to_close_is_no_error():
    wire = one_leg()

    wire.ends[1].receive_blocks(0, sealed(pack_plain(BlockType.CLOSE, b"")), wire.now)
    wire.flush()

    assert wire.told(1, SessionClosed) == [SessionClosed(Reason.NONE)]


def test_without_a_leg_the_oldest_datagrams_are_dropped_and_counted():
    wire = Wire()
    for number in range(MAX_WAITING + 3):
        wire.ends[0].send_datagram(b"%d" % number)

    assert wire.ends[0].blocks_to_send(wire.now) == []
    assert wire.ends[0].stats.dropped_outgoing == 3
    wire.add_leg(0)
    wire.run(0.1)
    assert wire.datagrams(1)[0] == b"3"


def test_what_has_waited_too_long_is_dropped_and_counted():
    wire = Wire()
    for number in range(5):
        wire.ends[0].send_datagram(b"%d" % number)
    wire.flush()
    wire.now = Monotonic(wire.now + 0.3)
    wire.ends[0].send_datagram(b"fresh")
    wire.add_leg(0)

    wire.run(0.1)

    assert wire.datagrams(1) == [b"fresh"]
    assert wire.ends[0].stats.dropped_outgoing == 5


def test_datagrams_are_paced_and_audio_is_not():
    wire = one_leg()
    for number in range(100):
        wire.ends[0].send_datagram(b"%d" % number)
    for _ in range(20):
        wire.ends[0].send_datagram(b"audio", Kind.AUDIO)

    wire.flush()
    at_once = wire.ends[0].sending.queued
    wire.run(0.02)
    in_time = wire.datagrams(1)

    assert at_once == 100
    assert in_time.count(b"audio") == 20
    wire.run(1.0)
    assert len(wire.datagrams(1)) < 120  # two megabits a second take 58 in 0.25 s
    assert wire.ends[0].stats.dropped_outgoing > 0
    dropped = wire.ends[0].stats.dropped_outgoing
    assert len(wire.datagrams(1)) == 120 - dropped


def test_who_asks_for_room_is_told_once_when_half_of_it_is_free():
    wire = one_leg()
    session = wire.ends[0]
    room = session.room
    for _ in range(room):
        session.send_datagram(b"x")
    assert session.room == 0

    session.want_room()
    wire.flush()
    assert not wire.told(0, RoomMade)
    wire.run(1.0)

    assert wire.told(0, RoomMade) == [RoomMade()]
    assert session.room >= room
    assert session.stats.dropped_outgoing == 0


def test_audio_lost_in_up_to_three_blocks_in_a_row_is_delivered_once_in_order():
    wire = one_leg()
    words = [b"word %d" % number for number in range(40)]
    for number, word in enumerate(words):
        wire.silent = {0} if number % 4 else set()
        wire.ends[0].send_datagram(word, Kind.AUDIO)
        wire.flush()
        wire.silent = set()
        wire.run(0.02)
    wire.ends[0].send_datagram(b"end", Kind.AUDIO)
    wire.run(0.1)

    assert wire.datagrams(1) == [*words, b"end"]
    assert wire.ends[1].stats.audio_recovered >= 30


def test_audio_goes_over_two_legs_when_it_is_to_and_is_heard_once():
    wire = two_legs(config=SessionConfig(duplicate_audio=True))
    before = dict(wire.blocks_over)
    words = [b"word %d" % number for number in range(10)]
    for word in words:
        wire.ends[0].send_datagram(word, Kind.AUDIO)
        wire.ends[0].send_datagram(b"picture")
    wire.run(0.1)

    heard = wire.datagrams(1)
    assert [datagram for datagram in heard if datagram != b"picture"] == words
    assert heard.count(b"picture") == 10
    assert {wire.blocks_over[leg] - before[leg] >= 10 for leg in (0, 1)} == {True}


def test_an_audio_datagram_that_is_empty_or_long_travels_alone():
    wire = one_leg()
    for datagram in (b"", bytes(1076), bytes(1080)):
        wire.ends[0].send_datagram(datagram, Kind.AUDIO)

    wire.run(0.1)

    assert wire.datagrams(1) == [b"", bytes(1076), bytes(1080)]


def test_the_receiver_tells_how_blocks_come_and_the_sender_takes_it_in():
    wire = one_leg(latency=0.05)
    for _ in range(30):
        wire.ends[0].send_datagram(b"x")
        wire.run(0.01)
    before = wire.ends[0].bitrate

    for _ in range(100):
        for _ in range(wire.ends[0].room):
            wire.ends[0].send_datagram(b"x")
        wire.run(0.01)

    view = wire.ends[0].sending
    assert view.round_trip == pytest.approx(0.1, abs=0.001)
    assert view.loss == view.marked == 0
    assert view.queueing < 0.001
    assert view.bitrate == wire.ends[0].bitrate > 2 * before


def test_idle_ends_tell_each_other_nothing_but_probes():
    wire = one_leg()
    wire.run(1.0)
    before = wire.blocks_over[0]

    wire.run(1.5)

    assert wire.blocks_over[0] - before <= 2 * 2 * 11  # a probe and its echo, 150 ms


def test_marks_of_relays_slow_both_ends_down():
    wire = one_leg()
    for end in wire.ends:
        for _ in range(200):
            end.send_datagram(b"x")
    wire.run(0.3)
    before = [end.bitrate for end in wire.ends]

    for _ in range(30):
        wire.ends[1].note_marks(10, 10)
        for end in wire.ends:
            end.send_datagram(b"x")
        wire.run(0.02)

    assert wire.ends[0].bitrate < before[0]
    assert wire.ends[1].bitrate < before[1]
    assert wire.ends[0].sending.marked > 0.5


def test_feedback_of_blocks_that_never_were_changes_nothing():
    wire = one_leg()
    wire.ends[1].send_datagram(b"x")
    wire.run(0.5)
    before = wire.ends[1].sending
    absurd = Feedback(2**63, 2**32 - 1, 0, 5, 0).encode()

    wire.ends[1].receive_blocks(
        0, sealed(pack_plain(BlockType.FEEDBACK, absurd)), wire.now
    )

    assert wire.ends[1].sending == before


def test_the_round_trip_of_the_present_leg_is_measured():
    wire = one_leg(latency=0.04)
    wire.ends[0].send_datagram(b"x")

    wire.run(1.0)

    assert wire.ends[0].legs.round_trip() == pytest.approx(0.08, abs=0.001)

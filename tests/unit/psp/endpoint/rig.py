"""Two sessions on a bad wire in memory."""

import heapq
import random
from dataclasses import dataclass, field
from itertools import count

from psp.crypto.kdf import LayerKeys
from psp.crypto.layer import SealingLayer
from psp.crypto.session import SessionKeys
from psp.endpoint.session import DatagramsReceived, Session, SessionConfig, SessionEvent
from psp.units import Monotonic
from psp.wire.onion import Kind
from psp.wire.session_block import LegAction, LegMessage

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


def sealed(*plains: bytes) -> list[bytes]:
    layer = SealingLayer(FORWARD)
    return [layer.seal(plain) for plain in plains]

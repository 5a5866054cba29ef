"""What happens to datagrams between two addresses: delayed, lost, doubled, changed.

Shared by both simulated networks, `psp.testing.machine_network.SimNetwork` (machines)
and `psp.testing.hub.SimHub` (sockets). Every path draws from dice of its own, so that
what happens on one path never depends on the traffic of another.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from psp.sansio import Address
from psp.units import Monotonic, Seconds


@dataclass(frozen=True, slots=True)
class Weather:
    """How a path treats datagrams. Chances are 0 … 1 and apply to each datagram.

    Attributes:
        latency: Least time under way.
        jitter: Most time added, drawn for each train; keeps the order.
        loss: Chance to vanish.
        duplication: Chance to arrive twice.
        reorder: Chance to be overtaken by what is sent within ``reorder_delay``.
        reorder_delay: Most time a datagram that is overtaken is held back.
        corruption: Chance that one bit is flipped.
        rate: Datagrams per second; 0 for no limit. More wait in a queue.
        max_queue: Longest wait in that queue; what would wait longer is dropped.
    """

    latency: Seconds = Seconds(0.05)
    jitter: Seconds = Seconds(0.0)
    loss: float = 0.0
    duplication: float = 0.0
    reorder: float = 0.0
    reorder_delay: Seconds = Seconds(0.05)
    corruption: float = 0.0
    rate: float = 0.0
    max_queue: Seconds = Seconds(0.25)


class Arrival(NamedTuple):
    """Datagrams that arrive together."""

    time: Monotonic
    packets: list[bytes]


@dataclass(slots=True)
class SkyStats:
    """What the weather did.

    Attributes:
        carried: Datagrams sent on their way, copies included.
        lost: Datagrams lost to `Weather.loss`.
        doubled: Copies made.
        held_back: Datagrams that others may overtake.
        corrupted: Datagrams with a flipped bit.
        queue_full: Datagrams dropped by `Weather.rate`.
        cut_off: Datagrams dropped because a host is down or a partition is in the way.
    """

    carried: int = 0
    lost: int = 0
    doubled: int = 0
    held_back: int = 0
    corrupted: int = 0
    queue_full: int = 0
    cut_off: int = 0


@dataclass(slots=True)
class _Path:
    dice: random.Random
    last_arrival: Monotonic = Monotonic(0.0)
    busy_until: Monotonic = Monotonic(0.0)


@dataclass(slots=True)
class Sky:
    """The weather everywhere, hosts that are down and partitions.

    Attributes:
        weather: Applies where no path has weather of its own.
        seed: Of all dice.
        stats: Counters.
    """

    weather: Weather = field(default_factory=Weather)
    seed: int | str = 0
    stats: SkyStats = field(default_factory=SkyStats)
    _paths: dict[tuple[Address, Address], _Path] = field(default_factory=dict)
    _special: dict[tuple[str | None, str | None], Weather] = field(default_factory=dict)
    _dead: set[Address] = field(default_factory=set)
    _groups: dict[str, int] = field(default_factory=dict)

    def set_path(
        self, source: str | None, destination: str | None, weather: Weather
    ) -> None:
        """Give datagrams from host ``source`` to host ``destination`` their own weather.

        None stands for any host. The most specific setting wins: both hosts, then the
        source alone, then the destination alone.
        """
        self._special[source, destination] = weather

    def kill(self, address: Address) -> None:
        """Let an address neither send nor receive, until `revive`."""
        self._dead.add(address)

    def revive(self, address: Address) -> None:
        """Undo `kill`."""
        self._dead.discard(address)

    def is_dead(self, address: Address) -> bool:
        """Whether the address was killed."""
        return address in self._dead

    def part(self, *groups: Iterable[str]) -> None:
        """Let hosts of different groups not reach each other; unnamed ones reach all."""
        self._groups = {
            host: number for number, group in enumerate(groups) for host in group
        }

    def heal(self) -> None:
        """End the partition."""
        self._groups = {}

    def reaches(self, source: Address, destination: Address) -> bool:
        """Whether both are alive and no partition lies between them."""
        if source in self._dead or destination in self._dead:
            return False
        ours = self._groups.get(source[0])
        theirs = self._groups.get(destination[0])
        return ours is None or theirs is None or ours == theirs

    def carry(
        self,
        source: Address,
        destination: Address,
        packets: list[bytes],
        now: Monotonic,
    ) -> list[Arrival]:
        """Decide what becomes of one train; nothing for what never arrives."""
        if not self.reaches(source, destination):
            self.stats.cut_off += len(packets)
            return []
        weather = self._weather_between(source[0], destination[0])
        path = self._path(source, destination)
        late: list[Arrival] = []
        if weather.loss or weather.duplication or weather.reorder or weather.corruption:
            packets, late = self._mistreat(packets, weather, path.dice, now)
        wait = 0.0
        if weather.rate:
            packets, wait = self._queue(packets, weather, path, now)
        if packets:
            delay = wait + weather.latency
            if weather.jitter:
                delay += path.dice.random() * weather.jitter
            path.last_arrival = Monotonic(max(path.last_arrival, now + delay))
            late.append(Arrival(path.last_arrival, packets))
            self.stats.carried += len(packets)
        return late

    def _path(self, source: Address, destination: Address) -> _Path:
        path = self._paths.get((source, destination))
        if path is None:
            dice = random.Random(
                f"psp.testing.weather/{self.seed}/{source}{destination}"
            )
            path = self._paths[source, destination] = _Path(dice)
        return path

    def _weather_between(self, source: str, destination: str) -> Weather:
        special = self._special
        if not special:
            return self.weather
        for key in ((source, destination), (source, None), (None, destination)):
            if key in special:
                return special[key]
        return self.weather

    def _mistreat(
        self,
        packets: list[bytes],
        weather: Weather,
        dice: random.Random,
        now: Monotonic,
    ) -> tuple[list[bytes], list[Arrival]]:
        """Return what travels on in order, and what arrives on its own."""
        stats = self.stats
        kept: list[bytes] = []
        late: list[Arrival] = []
        for packet in packets:
            if dice.random() < weather.loss:
                stats.lost += 1
                continue
            travelling = packet
            if weather.corruption and packet and dice.random() < weather.corruption:
                stats.corrupted += 1
                travelling = _flip_bit(packet, dice)
            if weather.duplication and dice.random() < weather.duplication:
                stats.doubled += 1
                late.append(_hold_back(travelling, weather, dice, now))
            if weather.reorder and dice.random() < weather.reorder:
                stats.held_back += 1
                late.append(_hold_back(travelling, weather, dice, now))
            else:
                kept.append(travelling)
        stats.carried += len(late)
        return kept, late

    def _queue(
        self, packets: list[bytes], weather: Weather, path: _Path, now: Monotonic
    ) -> tuple[list[bytes], float]:
        """Return what finds room, and how long the last of it waits for its turn."""
        start = max(path.busy_until, now)
        room = int((now + weather.max_queue - start) * weather.rate)
        taken = packets[: max(room, 0)]
        self.stats.queue_full += len(packets) - len(taken)
        path.busy_until = Monotonic(start + len(taken) / weather.rate)
        return taken, path.busy_until - now


def _hold_back(
    packet: bytes, weather: Weather, dice: random.Random, now: Monotonic
) -> Arrival:
    delay = weather.latency + dice.random() * (weather.jitter + weather.reorder_delay)
    return Arrival(Monotonic(now + delay), [packet])


def _flip_bit(packet: bytes, dice: random.Random) -> bytes:
    changed = bytearray(packet)
    changed[dice.randrange(len(packet))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def split_train(parts: list[bytes], packets: int) -> list[bytes]:
    """Cut the parts of a train into its datagrams."""
    if packets == 1:
        return [b"".join(parts)]
    whole = b"".join(parts)
    size = len(whole) // packets
    if not size or len(whole) % packets:
        raise ValueError(f"{len(whole)} bytes do not make {packets} datagrams")
    return [whole[start : start + size] for start in range(0, len(whole), size)]

"""The legs of a session: which are alive, and over which to send.

A leg is one pair of spliced circuits. Both ends send a probe over every leg every
150 ms, so silence means that a relay of the leg is gone or that the leg is very bad.

* A leg is *well* while blocks come over it about as often as they did, and the peer, in
  its own probes, says that it hears us. Where speech comes every 20 ms, 150 to 200 ms
  without any are suspicious; where probes are all that comes, `suspect_after`.
* Blocks go over one well leg, the present one while it stays well; when none is well,
  over all of them: what gets through is what counts.
* A leg is *lost* after `lost_after` of silence.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from psp.units import Monotonic, Seconds
from psp.wire.session_block import Probe

MAX_LEGS = 4
_REMEMBERED_PROBES = 16
_GAPS = 1.5
_LEAST_GAP = Seconds(0.03)
_GAP_DECAY = 0.95
"""Of the longest gap, for each arrival: 20 arrivals later a third of it counts."""


@dataclass(frozen=True, slots=True)
class LegConfig:
    """How soon silence counts.

    Attributes:
        probe_every: Between probes on one leg.
        least_suspect: Silence that means nothing, however often blocks came: a relay
            that pauses, or a queue that fills. 1.5 times the longest gap of late
            comes on top, since blocks are lost and their repair takes longer than this.
        suspect_after: Silence after which a leg is not well in any case; above two
            probes.
        lost_after: Silence after which a leg is given up.
    """

    probe_every: Seconds = Seconds(0.15)
    least_suspect: Seconds = Seconds(0.12)
    suspect_after: Seconds = Seconds(0.4)
    lost_after: Seconds = Seconds(1.2)


@dataclass(slots=True)
class _Leg:
    heard_at: Monotonic
    probe_due: Monotonic
    longest_gap: Seconds
    probe_number: int = 0
    probes: dict[int, Monotonic] = field(default_factory=dict)
    round_trip: Seconds = Seconds(0.0)
    peer_silence: Seconds = Seconds(0.0)


class Legs:
    """The legs of one session at one end."""

    def __init__(self, config: LegConfig) -> None:
        self._config = config
        self._legs: dict[int, _Leg] = {}
        self._present: int | None = None

    def __contains__(self, leg: int) -> bool:
        return leg in self._legs

    def __len__(self) -> int:
        return len(self._legs)

    def __iter__(self) -> Iterator[int]:
        return iter(self._legs)

    def add(self, leg: int, now: Monotonic) -> None:
        """Start to use a leg; the present one is kept."""
        self._legs[leg] = _Leg(now, now, self._config.suspect_after)

    def remove(self, leg: int) -> None:
        """Stop using a leg; an unknown one is fine."""
        self._legs.pop(leg, None)

    def heard(self, leg: int, now: Monotonic) -> None:
        """Note that a good block came over ``leg``."""
        entry = self._legs.get(leg)
        if entry is not None and (gap := now - entry.heard_at) > 0:
            # A straggler after a relay's death must not make us wait the longer.
            most = 2 * max(entry.longest_gap, _LEAST_GAP)
            entry.longest_gap = Seconds(
                max(min(gap, most), entry.longest_gap * _GAP_DECAY)
            )
            entry.heard_at = now

    def receive_probe(self, probe: Probe) -> None:
        """Take in what the peer says it hears."""
        for leg, milliseconds in probe.heard.items():
            if (entry := self._legs.get(leg)) is not None:
                entry.peer_silence = Seconds(milliseconds / 1000)

    def receive_echo(self, leg: int, number: int, now: Monotonic) -> None:
        """Measure the round trip over a leg."""
        entry = self._legs.get(leg)
        if entry is None or (sent := entry.probes.pop(number, None)) is None:
            return
        sample = now - sent
        entry.round_trip = Seconds(
            sample if not entry.round_trip else entry.round_trip * 0.875 + sample / 8
        )

    def is_well(self, leg: int, now: Monotonic) -> bool:
        """Whether blocks seem to pass in both directions."""
        entry = self._legs[leg]
        config = self._config
        usual = config.least_suspect + _GAPS * entry.longest_gap
        limit = min(config.suspect_after, usual)
        return (
            now - entry.heard_at < limit and entry.peer_silence < config.suspect_after
        )

    def to_use(self, now: Monotonic) -> list[int]:
        """Return the legs to send over: one well leg, or all of them."""
        if self._present in self._legs and self.is_well(self._present, now):
            return [self._present]
        for leg in self._legs:
            if self.is_well(leg, now):
                self._present = leg
                return [leg]
        return list(self._legs)

    def silence(self, now: Monotonic) -> Seconds:
        """Return how long nothing has come over any leg."""
        return Seconds(
            min((now - entry.heard_at for entry in self._legs.values()), default=0.0)
        )

    def round_trip(self) -> Seconds:
        """Return the round trip over the present leg, 0 when not measured."""
        entry = self._legs.get(-1 if self._present is None else self._present)
        return entry.round_trip if entry else Seconds(0.0)

    def lost(self, now: Monotonic) -> list[int]:
        """Return the legs that have been silent for too long."""
        limit = self._config.lost_after
        return [
            leg for leg, entry in self._legs.items() if now - entry.heard_at >= limit
        ]

    def probes_to_send(self, now: Monotonic) -> list[Probe]:
        """Return the probes that are due, each to go over its own leg."""
        due = [leg for leg, entry in self._legs.items() if entry.probe_due <= now]
        if not due:
            return []
        heard = {
            leg: round((now - entry.heard_at) * 1000)
            for leg, entry in self._legs.items()
        }
        probes = []
        for leg in due:
            entry = self._legs[leg]
            entry.probe_due = Monotonic(now + self._config.probe_every)
            entry.probe_number += 1
            entry.probes[entry.probe_number] = now
            if len(entry.probes) > _REMEMBERED_PROBES:
                del entry.probes[next(iter(entry.probes))]
            probes.append(Probe(leg, entry.probe_number, heard))
        return probes

    def next_timeout(self) -> Monotonic | None:
        """Return when a probe is due."""
        return min((entry.probe_due for entry in self._legs.values()), default=None)

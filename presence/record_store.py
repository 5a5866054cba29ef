"""The records a discovery node holds: checked on the way in, bounded, never renewed here.

Rules:

* only records that `psp.netdoc.presence_record.parse` accepts at this very location;
* one record per location and slot, replaced by a higher sequence only;
* a record goes when its signed life ends, whatever anybody sends;
* at most `StoreConfig.max_keys` locations and `max_per_publisher` records per relay;
  beyond that new ones are refused, held ones stay.

Nothing is ever passed on to other nodes: the publisher renews.
"""

import enum
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from presence.config import StoreConfig
from psp.ids import NodeId
from psp.netdoc.presence_record import (
    RECORD_SIZE,
    OuterRecord,
    RecordRefusedError,
    Refusal,
    newest,
)

Parse = Callable[[bytes, bytes, float, bytes], OuterRecord]
"""Takes raw bytes, location, Unix time, what was certified before; may refuse."""

_FULL_SWEEP_INTERVAL = 1.0
"""Seconds: a full store must not search itself through for every refusal."""
_SLOT = 1
_SEQUENCE = slice(134, 142)


class StoreRefusal(enum.StrEnum):
    """Why a record was not stored, besides the reasons of `Refusal`."""

    OLD = "old"
    QUOTA = "quota"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class _Held:
    outer: OuterRecord
    publisher: NodeId


class RecordStore:
    """Records by location and slot."""

    def __init__(self, config: StoreConfig, parse: Parse) -> None:
        self._config = config
        self._parse = parse
        self._places: dict[bytes, dict[int, _Held]] = {}
        self._held_from: Counter[NodeId] = Counter()
        self._swept = 0.0

    def __len__(self) -> int:
        """Records held, expired ones included until the next sweep."""
        return self._held_from.total()

    def put(
        self, location: bytes, raw: bytes, publisher: NodeId, unix_now: float
    ) -> Refusal | StoreRefusal | None:
        """Store a record; return None, or why not. Never raises on hostile input."""
        if abs(unix_now - self._swept) >= self._config.sweep_interval:
            self.sweep(unix_now)
        if len(raw) != RECORD_SIZE:
            return Refusal.SIZE
        held = self._places.get(location, {}).get(raw[_SLOT])
        if held is not None and not _is_expired(held, unix_now):
            # Repeats and replays of old records are settled without any signature.
            if held.outer.raw == raw:
                return None
            if int.from_bytes(raw[_SEQUENCE]) <= held.outer.head.sequence:
                return StoreRefusal.OLD
        certified = held.outer.certified if held is not None else b""
        if (refusal := self._no_room(location, held, publisher, unix_now)) is not None:
            return refusal
        try:
            outer = self._parse(raw, location, unix_now, certified)
        except RecordRefusedError as refused:
            return refused.reason
        self._insert(outer, held, publisher)
        return None

    def newest(
        self, location: bytes, slot: int | None, unix_now: float
    ) -> OuterRecord | None:
        """Return the living record of a slot, or the newest of all slots (None)."""
        living = self.held(location, unix_now)
        if slot is not None:
            living = [outer for outer in living if outer.head.slot == slot]
        return living[0] if living else None

    def held(self, location: bytes, unix_now: float) -> list[OuterRecord]:
        """Return the living records of a location, newest first."""
        slots = self._places.get(location, {}).values()
        return newest(held.outer for held in slots if not _is_expired(held, unix_now))

    def raw_records(self) -> list[bytes]:
        """Return everything held: what a curious operator of this node could read."""
        places = self._places.values()
        return [held.outer.raw for slots in places for held in slots.values()]

    def sweep(self, unix_now: float) -> None:
        """Forget expired records."""
        self._swept = unix_now
        for location in list(self._places):
            slots = self._places[location]
            for slot in [s for s, held in slots.items() if _is_expired(held, unix_now)]:
                self._forget(slots.pop(slot))
            if not slots:
                del self._places[location]

    def _no_room(
        self, location: bytes, held: _Held | None, publisher: NodeId, unix_now: float
    ) -> StoreRefusal | None:
        is_renewal = held is not None and held.publisher == publisher
        is_at_limit = self._held_from[publisher] >= self._config.max_per_publisher
        if is_at_limit and not is_renewal:
            return StoreRefusal.QUOTA
        if location in self._places or len(self._places) < self._config.max_keys:
            return None
        if abs(unix_now - self._swept) >= _FULL_SWEEP_INTERVAL:
            self.sweep(unix_now)
        is_full = len(self._places) >= self._config.max_keys
        return StoreRefusal.FULL if is_full else None

    def _insert(
        self, outer: OuterRecord, held: _Held | None, publisher: NodeId
    ) -> None:
        if held is not None:
            self._forget(held)
        self._places.setdefault(outer.location, {})[outer.head.slot] = _Held(
            outer, publisher
        )
        self._held_from[publisher] += 1

    def _forget(self, held: _Held) -> None:
        self._held_from[held.publisher] -= 1
        if not self._held_from[held.publisher]:
            del self._held_from[held.publisher]


def _is_expired(held: _Held, unix_now: float) -> bool:
    return held.outer.head.expires <= unix_now

"""The records a discovery node holds: checked on the way in, bounded, never renewed here.

Rules:

* only records that `psp.netdoc.presence_record.parse` accepts at this very location;
* one record per location and slot, replaced by a higher sequence only;
* a record goes when its signed life ends, whatever anybody sends;
* at most `StoreConfig.max_keys` locations and `max_per_publisher` records per relay;
  beyond that new ones are refused, held ones stay. Only what was handed over after an
  election may have to give way, by the rules of `presence.shares`.

Nothing is passed on to other nodes but after an election; otherwise the publisher
renews.
"""

import enum
from collections.abc import Callable
from dataclasses import dataclass

from presence.config import StoreConfig
from presence.shares import Shares
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
class HeldRecord:
    """A record in the store.

    Attributes:
        outer: The record.
        publisher: Whom it counts for.
        bringer: Who handed it over in the publisher's name; None if the publisher
            brought it.
    """

    outer: OuterRecord
    publisher: NodeId
    bringer: NodeId | None


class RecordStore:
    """Records by location and slot."""

    def __init__(self, config: StoreConfig, parse: Parse) -> None:
        self._config = config
        self._parse = parse
        self._places: dict[bytes, dict[int, HeldRecord]] = {}
        self._shares = Shares()
        self._swept = 0.0

    def __len__(self) -> int:
        """Records held, expired ones included until the next sweep."""
        return len(self._shares)

    def put(
        self,
        location: bytes,
        raw: bytes,
        publisher: NodeId,
        unix_now: float,
        *,
        bringer: NodeId | None = None,
    ) -> Refusal | StoreRefusal | None:
        """Store a record; return None, or why not. Never raises on hostile input.

        Args:
            location: Where somebody says it belongs.
            raw: Any bytes.
            publisher: Whom it counts for.
            unix_now: Seconds.
            bringer: Who hands it over in the publisher's name; None for the publisher.
        """
        if abs(unix_now - self._swept) >= self._config.sweep_interval:
            self.sweep(unix_now)
        if len(raw) != RECORD_SIZE:
            return Refusal.SIZE
        held = self._living(location, raw[_SLOT], unix_now)
        # Repeats and replays of old records are settled without any signature.
        if held is not None and held.outer.raw == raw:
            return None
        if held is not None and _sequence(raw) <= held.outer.head.sequence:
            return StoreRefusal.OLD
        refusal = self._no_room(location, held, (publisher, bringer), unix_now)
        if refusal is None:
            certified = held.outer.certified if held is not None else b""
            try:
                outer = self._parse(raw, location, unix_now, certified)
            except RecordRefusedError as refused:
                return refused.reason
            refusal = self._insert(HeldRecord(outer, publisher, bringer))
        return refusal

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

    def locations(self) -> list[bytes]:
        """Return where something is held; what publishers brought themselves first."""
        own: list[bytes] = []
        brought_over: list[bytes] = []
        for location, slots in self._places.items():
            is_own = any(held.bringer is None for held in slots.values())
            (own if is_own else brought_over).append(location)
        return own + brought_over

    def at(self, location: bytes, unix_now: float) -> list[HeldRecord]:
        """Return the living records of a location with whom they count for."""
        slots = self._places.get(location, {}).values()
        return [held for held in slots if not _is_expired(held, unix_now)]

    def raw_records(self) -> list[bytes]:
        """Return everything held: what a curious operator of this node could read."""
        places = self._places.values()
        return [held.outer.raw for slots in places for held in slots.values()]

    def clear(self) -> None:
        """Forget everything."""
        self._places.clear()
        self._shares = Shares()

    def sweep(self, unix_now: float) -> None:
        """Forget expired records."""
        self._swept = unix_now
        for location in list(self._places):
            slots = self._places[location]
            for slot in [s for s, held in slots.items() if _is_expired(held, unix_now)]:
                self._forget(location, slot)

    def _living(self, location: bytes, slot: int, unix_now: float) -> HeldRecord | None:
        held = self._places.get(location, {}).get(slot)
        if held is None or not _is_expired(held, unix_now):
            return held
        self._forget(location, slot)
        return None

    def _no_room(
        self,
        location: bytes,
        held: HeldRecord | None,
        source: tuple[NodeId, NodeId | None],
        unix_now: float,
    ) -> StoreRefusal | None:
        publisher, bringer = source
        is_at_limit = self._is_at_limit(held, publisher)
        if is_at_limit and self._shares.to_displace(bringer, publisher) is None:
            return StoreRefusal.QUOTA
        if not self._lacks_place(location):
            return None
        if abs(unix_now - self._swept) >= _FULL_SWEEP_INTERVAL:
            self.sweep(unix_now)
        is_full = self._lacks_place(location)
        if is_full and self._shares.to_displace(bringer) is None:
            return StoreRefusal.FULL
        return None

    def _is_at_limit(self, held: HeldRecord | None, publisher: NodeId) -> bool:
        is_renewal = held is not None and held.publisher == publisher
        limit = self._config.max_per_publisher
        return not is_renewal and self._shares.of(publisher) >= limit

    def _lacks_place(self, location: bytes) -> bool:
        is_known = location in self._places
        return not is_known and len(self._places) >= self._config.max_keys

    def _insert(self, new: HeldRecord) -> StoreRefusal | None:
        """Put a good record in its place; only such a one may displace others."""
        location, slot = new.outer.location, new.outer.head.slot
        held = self._places.get(location, {}).get(slot)
        if self._is_at_limit(held, new.publisher):
            self._displace(new.bringer, new.publisher)
        while self._lacks_place(location):
            if not self._displace(new.bringer, None):
                return StoreRefusal.FULL
        if slot in self._places.get(location, {}):
            self._forget(location, slot)
        self._places.setdefault(location, {})[slot] = new
        self._shares.add((location, slot), new.publisher, new.bringer)
        return None

    def _displace(self, bringer: NodeId | None, publisher: NodeId | None) -> bool:
        victim = self._shares.to_displace(bringer, publisher)
        if victim is not None:
            self._forget(*victim)
        return victim is not None

    def _forget(self, location: bytes, slot: int) -> None:
        slots = self._places[location]
        held = slots.pop(slot)
        if not slots:
            del self._places[location]
        self._shares.remove((location, slot), held.publisher, held.bringer)


def _is_expired(held: HeldRecord, unix_now: float) -> bool:
    return held.outer.head.expires <= unix_now


def _sequence(raw: bytes) -> int:
    return int.from_bytes(raw[_SEQUENCE])

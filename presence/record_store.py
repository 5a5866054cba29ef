"""The records a discovery node holds: checked on the way in, bounded, never renewed here.

Rules:

* only records that `psp.netdoc.presence_record.parse` accepts at this very location;
* one record per location and slot, replaced by a higher sequence only;
* a record goes when its signed life ends, whatever anybody sends;
* at most `StoreConfig.max_records` in all and `max_per_publisher` per relay; beyond
  that new ones are refused, held ones stay. Only what was handed over after an election
  may have to give way, by the rules of `presence.shares`.

Nothing is passed on to other nodes but after an election; otherwise the publisher
renews. Of a record only its bytes are kept, and what is asked for is read from them:
100,000 records take 80 MB, as objects they took 180.
"""

import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from presence.config import StoreConfig
from presence.shares import Shares
from psp.ids import NodeId
from psp.netdoc.presence_record import (
    HEAD_SIZE,
    RECORD_SIZE,
    SLOTS,
    OuterRecord,
    RecordHead,
    RecordRefusedError,
    Refusal,
    certified_of,
    expires_of,
    sequence_of,
    slot_of,
)

Parse = Callable[[bytes, bytes, float, bytes], OuterRecord]
"""Takes raw bytes, location, Unix time, what was certified before; may refuse."""

_FULL_SWEEP_INTERVAL = 10.0
"""Seconds: a full store must not search itself through for every refusal."""
_PORTION = 2_000
"""Locations searched in one go: 1 ms."""


class StoreRefusal(enum.StrEnum):
    """Why a record was not stored, besides the reasons of `Refusal`."""

    OLD = "old"
    QUOTA = "quota"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class HeldRecord:
    """A record in the store.

    Attributes:
        raw: All 450 bytes, checked when they came.
        publisher: Whom it counts for.
        bringer: Who handed it over in the publisher's name; None if the publisher
            brought it.
    """

    raw: bytes
    publisher: NodeId
    bringer: NodeId | None

    @property
    def slot(self) -> int:
        """Which of the user's records it is."""
        return slot_of(self.raw)

    @property
    def sequence(self) -> int:
        """Rises with every record of a slot."""
        return sequence_of(self.raw)

    @property
    def certified(self) -> bytes:
        """Period, keys and certificate."""
        return certified_of(self.raw)

    @property
    def expires(self) -> int:
        """First Unix second at which it is worth nothing."""
        return expires_of(self.raw)

    def outer(self, location: bytes) -> OuterRecord:
        """Return it as a reader who has checked it knows it."""
        return OuterRecord(RecordHead.decode(self.raw[:HEAD_SIZE]), location, self.raw)


Snapshot = list[tuple[bytes, tuple[HeldRecord, ...]]]
"""Locations and what lies there."""


class RecordStore:
    """Records by location and slot."""

    def __init__(self, config: StoreConfig, parse: Parse) -> None:
        self._config = config
        self._parse = parse
        self._places: dict[bytes, tuple[HeldRecord, ...]] = {}
        self._shares = Shares()
        self._names: dict[NodeId, NodeId] = {}
        self._swept = 0.0

    def __len__(self) -> int:
        """Records held, expired ones included until the next sweep."""
        return len(self._shares)

    @property
    def limit(self) -> int:
        """How many records it holds at most."""
        return self._config.max_records

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
        held = self._living(location, slot_of(raw), unix_now)
        # Repeats and replays of old records are settled without any signature.
        if held is not None and held.raw == raw:
            return None
        new = HeldRecord(raw, publisher, bringer)
        if held is not None and new.sequence <= held.sequence:
            return StoreRefusal.OLD
        refusal = self._no_room(held, (publisher, bringer), unix_now)
        if refusal is None:
            certified = held.certified if held is not None else b""
            try:
                self._parse(raw, location, unix_now, certified)
            except RecordRefusedError as refused:
                return refused.reason
            new = HeldRecord(
                raw, self._name(publisher), bringer and self._name(bringer)
            )
            refusal = self._insert(location, new)
        return refusal

    def newest(
        self, location: bytes, slot: int | None, unix_now: float
    ) -> HeldRecord | None:
        """Return the living record of a slot; the newest of all places for None."""
        for held in self.held(location, unix_now):
            if held.slot == slot or (slot is None and held.slot < SLOTS):
                return held
        return None

    def held(self, location: bytes, unix_now: float) -> list[HeldRecord]:
        """Return the living records of a location, newest first."""
        here = self._places.get(location, ())
        living = [held for held in here if held.expires > unix_now]
        living.sort(key=_age_key, reverse=True)
        return living

    def locations(self) -> list[bytes]:
        """Return where something is held; what publishers brought themselves first."""
        own: list[bytes] = []
        brought_over: list[bytes] = []
        for location, here in self._places.items():
            is_own = any(held.bringer is None for held in here)
            (own if is_own else brought_over).append(location)
        return own + brought_over

    def snapshot(self) -> Snapshot:
        """Return all that is held; nothing of it changes any more."""
        return list(self._places.items())

    def raw_records(self) -> list[bytes]:
        """Return everything held: what a curious operator of this node could read."""
        return [held.raw for here in self._places.values() for held in here]

    def clear(self) -> None:
        """Forget everything."""
        self._places.clear()
        self._shares = Shares()

    def sweep(self, unix_now: float) -> None:
        """Forget expired records."""
        for _ in self.sweep_in_portions(unix_now):
            pass

    def sweep_in_portions(self, unix_now: float) -> Iterator[None]:
        """Forget expired records; whoever runs it may do something else in between."""
        self._swept = unix_now
        for number, location in enumerate(list(self._places), 1):
            for held in self._places.get(location, ()):
                if held.expires <= unix_now:
                    self._forget(location, held.slot)
            if number % _PORTION == 0:
                yield
        self._names = {name: name for name in self._names if name in self._shares}

    def _living(self, location: bytes, slot: int, unix_now: float) -> HeldRecord | None:
        held = self._held_in(location, slot)
        if held is None or held.expires > unix_now:
            return held
        self._forget(location, slot)
        return None

    def _held_in(self, location: bytes, slot: int) -> HeldRecord | None:
        here = self._places.get(location, ())
        return next((held for held in here if held.slot == slot), None)

    def _no_room(
        self,
        held: HeldRecord | None,
        source: tuple[NodeId, NodeId | None],
        unix_now: float,
    ) -> StoreRefusal | None:
        publisher, bringer = source
        is_at_limit = self._is_at_limit(held, publisher)
        if is_at_limit and self._shares.to_displace(bringer, publisher) is None:
            return StoreRefusal.QUOTA
        if not self._lacks_place(held):
            return None
        if abs(unix_now - self._swept) >= _FULL_SWEEP_INTERVAL:
            self.sweep(unix_now)
        is_full = self._lacks_place(held)
        if is_full and self._shares.to_displace(bringer) is None:
            return StoreRefusal.FULL
        return None

    def _is_at_limit(self, held: HeldRecord | None, publisher: NodeId) -> bool:
        is_renewal = held is not None and held.publisher == publisher
        limit = self._config.max_per_publisher
        return not is_renewal and self._shares.of(publisher) >= limit

    def _lacks_place(self, held: HeldRecord | None) -> bool:
        return held is None and len(self._shares) >= self._config.max_records

    def _name(self, node_id: NodeId) -> NodeId:
        """Return the one object for an id: as many as records would take 13 MB.

        There are no more than registered relays; a sweep forgets the idle ones.
        """
        return self._names.setdefault(node_id, node_id)

    def _insert(self, location: bytes, new: HeldRecord) -> StoreRefusal | None:
        """Put a good record in its place; only such a one may displace others."""
        slot = new.slot
        if self._is_at_limit(self._held_in(location, slot), new.publisher):
            self._displace(new.bringer, new.publisher)
        while self._lacks_place(self._held_in(location, slot)):
            if not self._displace(new.bringer, None):
                return StoreRefusal.FULL
        if self._held_in(location, slot) is not None:
            self._forget(location, slot)
        self._places[location] = (*self._places.get(location, ()), new)
        self._shares.add((location, slot), new.publisher, new.bringer)
        return None

    def _displace(self, bringer: NodeId | None, publisher: NodeId | None) -> bool:
        victim = self._shares.to_displace(bringer, publisher)
        if victim is not None:
            self._forget(*victim)
        return victim is not None

    def _forget(self, location: bytes, slot: int) -> None:
        here = self._places[location]
        held = next(each for each in here if each.slot == slot)
        rest = tuple(each for each in here if each is not held)
        if rest:
            self._places[location] = rest
        else:
            del self._places[location]
        self._shares.remove((location, slot), held.publisher, held.bringer)


def _age_key(held: HeldRecord) -> tuple[int, bytes]:
    return held.sequence, held.raw

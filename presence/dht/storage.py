"""kademlia's storage interface with its doors shut.

Stock code reaches values through `IStorage` only. Writing needs a publisher and answers
with a reason, so it goes through `presence.record_store.RecordStore.put`; nothing is
ever republished, as a record's end is signed and its publisher renews. What is handed
over after an election goes by rules of our own (`presence.dht.handover`).
"""

from collections.abc import Iterator

from kademlia.storage import IStorage

from presence.record_store import RecordStore
from psp.errors import LocalProtocolError


class ShutStorage(IStorage):  # type: ignore[misc]  # kademlia has no types
    """What stock code sees of the record store: nothing.

    It has no length on purpose: stock takes an empty storage for none at all.

    Attributes:
        records: The store itself.
    """

    def __init__(self, records: RecordStore) -> None:
        self.records = records

    def __setitem__(self, key: bytes, value: object) -> None:
        raise LocalProtocolError("records are stored through put()")

    def __getitem__(self, key: bytes) -> object:
        raise KeyError(key)

    def get(self, key: bytes, default: object = None) -> object:
        """Return ``default``: a value is never given unchecked."""
        del key
        return default

    def iter_older_than(self, seconds_old: float) -> Iterator[tuple[bytes, object]]:
        """Return nothing: storing nodes do not republish."""
        del seconds_old
        return iter(())

    def __iter__(self) -> Iterator[tuple[bytes, object]]:
        return iter(())

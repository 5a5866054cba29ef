"""kademlia's storage interface: every door is shut."""

import pytest

from presence.config import StoreConfig
from presence.dht.storage import ShutStorage
from presence.record_store import RecordStore
from psp.errors import LocalProtocolError


def never(raw, location, unix_now, certified):
    raise AssertionError


@pytest.fixture
def storage():
    return ShutStorage(RecordStore(StoreConfig(), never))


def test_stock_code_neither_writes_nor_reads(storage):
    with pytest.raises(LocalProtocolError):
        storage[b"key"] = b"value"
    with pytest.raises(KeyError):
        storage[b"key"]

    assert storage.get(b"key") is None
    assert storage.get(b"key", 7) == 7
    assert list(storage) == []
    assert list(storage.iter_older_than(0)) == []


def test_empty_storage_is_not_taken_for_none(storage):
    # Stock's server takes any false storage for none and makes one that forgets.
    assert storage

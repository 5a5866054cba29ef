"""Collections: signed by the user, for one mailbox, over one circuit, just now."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.crypto.keys import SigningKey
from psp.errors import DecodeError
from psp.ids import NodeId, UserId
from psp.netdoc.collection import COLLECTION_SIZE, Collection, sign_collection
from psp.netdoc.presence_keys import PresenceKey, UserSigner
from psp.testing.entropy import SeededEntropy
from psp.units import UnixTime
from psp.wire.network import Network

NOW = 1_700_000_000
NETWORK = Network(31_337, bytes(20))
ALICE = SigningKey.generate(SeededEntropy("alice"))


def signed(signer=None, **change):
    fields = {
        "network": NETWORK,
        "presence_point": NodeId(b"p" * 32),
        "channel": b"h" * 32,
        "tag": b"t" * 16,
        "issued": UnixTime(NOW),
        "first": 3,
        **change,
    }
    return sign_collection(signer or UserSigner.by_identity(ALICE), **fields)


def test_a_collection_says_who_wants_what_from_whom():
    data = signed()
    collection = Collection.decode(data)

    assert len(data) == COLLECTION_SIZE == 297
    assert collection.identity == ALICE.public
    assert collection.presence_point == b"p" * 32
    assert (collection.channel, collection.tag) == (b"h" * 32, b"t" * 16)
    assert (collection.issued, collection.first) == (NOW, 3)
    assert collection.is_signed(NETWORK, NOW)


def test_a_presence_key_collects_as_well():
    key = PresenceKey.make(ALICE, NETWORK, UnixTime(NOW), SeededEntropy(3))
    signer = UserSigner.by_presence_key(UserId(ALICE.public), key)

    assert Collection.decode(signed(signer)).is_signed(NETWORK, NOW)
    assert not Collection.decode(signed(signer)).is_signed(NETWORK, NOW + 90_000)


def test_nobody_else_collects_in_her_name():
    mallory = UserSigner.by_identity(SigningKey.generate(SeededEntropy("mallory")))
    forged = replace(mallory, user_id=UserId(ALICE.public))

    assert not Collection.decode(signed(forged)).is_signed(NETWORK, NOW)


@pytest.mark.parametrize("offset", [0, 32, 64, 96, 112, 120, 121, 233])
def test_what_was_changed_is_not_signed(offset):
    data = bytearray(signed(first=0))
    data[offset] ^= 1

    assert not Collection.decode(bytes(data)).is_signed(NETWORK, NOW)


@pytest.mark.parametrize("off", [-121, 121])
def test_a_collection_of_another_time_does_not_count(off):
    assert not Collection.decode(signed()).is_signed(NETWORK, NOW + off)


def test_a_collection_for_another_network_does_not_count():
    assert not Collection.decode(signed()).is_signed(Network(1, bytes(20)), NOW)


def test_it_begins_within_what_a_mailbox_holds():
    with pytest.raises(DecodeError):
        Collection.decode(signed(first=17))


@given(st.binary(max_size=COLLECTION_SIZE + 8))
def test_any_bytes_are_a_collection_or_a_decode_error(data):
    try:
        collection = Collection.decode(data)
    except DecodeError:
        return
    assert collection.raw == data
    assert not collection.is_signed(NETWORK, NOW)


@given(st.binary(min_size=COLLECTION_SIZE, max_size=COLLECTION_SIZE))
def test_any_bytes_of_its_size_are_not_signed(data):
    try:
        assert not Collection.decode(data).is_signed(NETWORK, data[119])
    except DecodeError:
        assert data[120] > 16

"""The file that trusted partners sign."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psp.crypto.keys import SigningKey
from psp.errors import DecodeError, LocalProtocolError
from psp.ids import NodeId, UserId
from psp.netdoc import trusted_file
from psp.netdoc.node_entry import SignedNode
from psp.testing.directory import LOOPBACK, SignedNetwork
from psp.testing.entropy import SeededEntropy
from psp.units import UnixTime
from psp.wire.network import Network

RIG = SignedNetwork.build(SeededEntropy(3), nodes=4, users=2)
DOCUMENT = RIG.document()
FILE = RIG.file()
KEYS = [key.public for key in RIG.partners]


def read(data, partners=KEYS, threshold=2, network=LOOPBACK):
    return trusted_file.decode(
        data, network=network, partners=partners, threshold=threshold
    )


def unchecked(document, signers=RIG.partners, monkeypatch=None):
    """Sign a document that `encode` would refuse."""
    monkeypatch.setattr(trusted_file, "decode", lambda *_, **__: None)
    data = trusted_file.encode(document, signers)
    monkeypatch.undo()
    return data


def test_file_survives_the_round_trip():
    assert read(FILE) == DOCUMENT


@given(st.integers(0, len(FILE) * 8 - 1))
@settings(max_examples=300)
def test_one_flipped_bit_anywhere_is_refused(bit):
    changed = bytearray(FILE)
    changed[bit // 8] ^= 1 << bit % 8

    with pytest.raises(DecodeError):
        read(bytes(changed), threshold=1)


@given(st.integers(0, len(FILE) - 1))
def test_a_file_cut_short_is_refused(size):
    with pytest.raises(DecodeError):
        read(FILE[:size])


@given(st.binary(max_size=400))
def test_any_bytes_give_decode_error(data):
    with pytest.raises(DecodeError):
        read(data)


@pytest.mark.parametrize("insert", [b" ", b"\n", b"\t"])
def test_the_same_content_in_another_spelling_is_refused(insert):
    with pytest.raises(DecodeError, match="spelling"):
        read(FILE + insert)


def test_too_few_trusted_signatures_are_refused():
    one = trusted_file.encode(DOCUMENT, RIG.partners[:1])

    with pytest.raises(DecodeError, match="1 signatures of trusted partners, 2 needed"):
        read(one)


def test_a_strangers_signature_does_not_count():
    stranger = SigningKey.generate(SeededEntropy("stranger"))
    data = trusted_file.encode(DOCUMENT, [RIG.partners[0], stranger])

    assert read(data, threshold=1) == DOCUMENT
    with pytest.raises(DecodeError, match="needed"):
        read(data)


def test_one_partner_signing_twice_does_not_count_twice(monkeypatch):
    twice = unchecked(DOCUMENT, [RIG.partners[0]] * 2, monkeypatch)

    with pytest.raises(DecodeError, match="signatures are not sorted"):
        read(twice)


def test_a_reader_without_a_threshold_is_a_bug():
    with pytest.raises(LocalProtocolError):
        read(FILE, threshold=0)


def test_a_file_of_another_network_is_refused():
    with pytest.raises(DecodeError, match="another network"):
        read(FILE, network=Network(1, bytes(20)))


def test_a_huge_file_is_refused_before_it_is_read():
    with pytest.raises(DecodeError, match="bytes"):
        read(b" " * (trusted_file.MAX_FILE_BYTES + 1))


def test_signers_can_be_listed_for_diagnostics():
    assert trusted_file.signer_keys(FILE) == tuple(sorted(KEYS))
    with pytest.raises(DecodeError):
        trusted_file.signer_keys(b"{}")


def test_partners_sign_one_after_the_other():
    first = trusted_file.encode(DOCUMENT, RIG.partners[:1])

    both = trusted_file.co_sign(first, LOOPBACK, RIG.partners[1])

    assert both == FILE


def test_nobody_signs_twice_or_what_is_damaged():
    with pytest.raises(DecodeError, match="signatures are not sorted"):
        trusted_file.co_sign(FILE, LOOPBACK, RIG.partners[0])
    with pytest.raises(DecodeError):
        trusted_file.co_sign(FILE.replace(b"443", b"444"), LOOPBACK, RIG.partners[0])


def test_what_readers_would_refuse_is_not_signed():
    endless = replace(DOCUMENT, expires=UnixTime(DOCUMENT.issued + 32 * 86_400))

    with pytest.raises(LocalProtocolError, match="readers would refuse"):
        trusted_file.encode(endless, RIG.partners)


def _with_shared_endpoint():
    first, second = RIG.nodes[:2]
    record = replace(second.record, endpoints=first.record.endpoints)
    signed = SignedNode.sign(LOOPBACK, record, second.identity)
    return replace(DOCUMENT, nodes={**DOCUMENT.nodes, second.node_id: signed})


def _with_stolen_entry():
    first, second = RIG.nodes[:2]
    stolen = SignedNode(
        replace(first.record, operator=second.record.operator), first.signed.signature
    )
    return replace(DOCUMENT, nodes={**DOCUMENT.nodes, first.node_id: stolen})


BAD = {
    "endpoint shared": (_with_shared_endpoint(), "share an endpoint"),
    "entry copied to another operator": (_with_stolen_entry(), "not signed"),
    "unknown discovery node": (
        replace(DOCUMENT, discovery_nodes=(NodeId(bytes(32)),)),
        "not in the list",
    ),
    "unknown trusted node": (
        replace(DOCUMENT, trusted_nodes=(NodeId(bytes(32)),)),
        "not in the list",
    ),
    "discovery node twice": (
        replace(DOCUMENT, discovery_nodes=DOCUMENT.discovery_nodes[:1] * 2),
        "sorted and distinct",
    ),
    "user both active and revoked": (
        replace(DOCUMENT, revoked_users=DOCUMENT.users),
        "both active and revoked",
    ),
    "no life": (replace(DOCUMENT, expires=DOCUMENT.issued), "a life of 0 s"),
}


@pytest.mark.parametrize("name", BAD)
def test_partners_cannot_sign_nonsense(name, monkeypatch):
    document, message = BAD[name]
    data = unchecked(document, monkeypatch=monkeypatch)

    with pytest.raises(DecodeError, match=message):
        read(data)


def test_revoked_users_are_kept_apart():
    user = UserId(b"u" * 32)
    document = replace(DOCUMENT, revoked_users=frozenset({user}))

    again = read(trusted_file.encode(document, RIG.partners))

    assert again.revoked_users == {user}
    assert user not in again.users

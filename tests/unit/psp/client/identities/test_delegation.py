"""Keys made ahead for a host that never sees the identity key."""

import stat
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psp.client.errors import KeysEndedError
from psp.client.identities.delegation import MAX_DAYS, DelegatedIdentity
from psp.client.identities.identity import ClientIdentity
from psp.client.identities.identity_file import (
    create_delegation,
    create_identity,
    load_identity,
    open_identity,
)
from psp.crypto.blinding import PUBLIC_SECRET, Credential, blind_public
from psp.crypto.kdf import Label
from psp.errors import ConfigError, DecodeError
from psp.netdoc.presence_keys import Grant, is_signed_by_user
from psp.testing.entropy import SeededEntropy
from psp.wire.network import Network

NETWORK = Network(31_337, bytes(20))
OTHER = Network(1, bytes(20))
START = 20_000 * 86_400 + 50_000
ALICE = ClientIdentity.generate(SeededEntropy("alice"), "Alice")
DAY = 86_400


def made(days=3, **options) -> DelegatedIdentity:
    return DelegatedIdentity.make(
        ALICE, NETWORK, START, days, SeededEntropy(2), **options
    )


WEEK = made(7)
PUBLIC = made(2, with_public=True)


def is_alices(identity, unix_now, network=NETWORK) -> bool:
    signer = identity.signer(unix_now)
    options = {"network": network, "unix_now": unix_now}
    signature = signer.sign(b"text")
    return is_signed_by_user(ALICE.user_id, signer.grant, b"text", signature, **options)


@pytest.mark.parametrize("identity", [WEEK, PUBLIC], ids=["contacts", "public"])
def test_keys_made_ahead_come_back(identity):
    data = identity.encode()

    again = DelegatedIdentity.decode(data)

    assert again.encode() == data
    assert again.contact_card(NETWORK) == ALICE.contact_card(NETWORK)
    for label in (Label.CLIENT_STATE, Label.CHAIN_CACHE_KEY, Label.CONTACT_BOOK):
        assert again.sealing_key(label) == ALICE.sealing_key(label)
    assert again.ends == identity.ends


def test_neither_the_identity_key_nor_a_blinded_one_goes_along():
    data = PUBLIC.encode()

    assert ALICE.key.seed not in data
    assert ALICE.key.link_private not in data


def test_a_month_fits_a_key_file_and_more_is_refused():
    assert len(made(MAX_DAYS, with_public=True).encode()) <= 16_384
    for days in (0, -1, MAX_DAYS + 1):
        with pytest.raises(ConfigError, match="31 days"):
            made(days)


@pytest.mark.parametrize("after", [0, 1, DAY - 1, DAY, DAY + 1, 3 * DAY, 7 * DAY])
def test_at_every_time_a_key_in_force_signs(after):
    assert is_alices(WEEK, START + after)


def test_clocks_that_differ_a_little_find_a_key_at_either_end():
    assert is_alices(WEEK, START - 120)
    assert is_alices(WEEK, WEEK.ends + 120)


@pytest.mark.parametrize(("after", "day"), [(DAY - 60, 0), (DAY + 60, 1)])
def test_where_two_keys_are_in_force_the_one_that_is_by_itself_signs(after, day):
    grant = Grant.decode(WEEK.signer(START + after).grant)

    assert grant.not_before == START + day * DAY


@pytest.mark.parametrize("unix_now", [START - 121, START + 7 * DAY + 121, 0, 1 << 62])
def test_outside_its_time_it_says_what_to_do(unix_now):
    with pytest.raises(KeysEndedError, match="psp user delegate"):
        WEEK.signer(unix_now)
    with pytest.raises(KeysEndedError):
        WEEK.check(NETWORK, unix_now)


def test_no_signature_outlives_its_day():
    signer = WEEK.signer(START)
    grant, signature = signer.grant, signer.sign(b"text")

    def judged(unix_now):
        options = {"network": NETWORK, "unix_now": unix_now}
        return is_signed_by_user(ALICE.user_id, grant, b"text", signature, **options)

    assert judged(START + DAY + 120)
    assert not judged(START + DAY + 121)


def test_it_is_worth_nothing_on_another_network():
    assert not is_alices(WEEK, START, OTHER)
    with pytest.raises(ConfigError, match="another network"):
        WEEK.check(OTHER, START)
    with pytest.raises(ConfigError, match="another network"):
        WEEK.day_key(OTHER, 20_000, SeededEntropy())


def test_there_is_a_day_key_for_each_day_that_a_key_signs_in_and_no_other():
    for unix_now in range(START, WEEK.ends + 1, 21_600):
        period = unix_now // DAY
        day = WEEK.day_key(NETWORK, period, SeededEntropy())
        assert day.blinded == blind_public(ALICE.credential, period)
    for period in (20_000 - 1, WEEK.ends // DAY + 1):
        with pytest.raises(KeysEndedError):
            WEEK.day_key(NETWORK, period, SeededEntropy())


def test_public_presence_needs_keys_made_for_it():
    day = PUBLIC.day_key(NETWORK, 20_000, SeededEntropy(), as_public=True)

    assert day.blinded == blind_public(Credential.derive(ALICE.user_id), 20_000)
    with pytest.raises(ConfigError, match="--public"):
        WEEK.day_key(NETWORK, 20_000, SeededEntropy(), as_public=True)


def test_a_public_identitys_keys_are_public_as_they_are():
    public = ClientIdentity(ALICE.key, PUBLIC_SECRET)
    identity = DelegatedIdentity.make(
        public, NETWORK, START, 1, SeededEntropy(2), with_public=True
    )
    entropy = SeededEntropy()

    assert identity.is_public
    day = identity.day_key(NETWORK, 20_000, entropy, as_public=True)
    assert day is identity.day_key(NETWORK, 20_000, entropy)
    assert DelegatedIdentity.decode(identity.encode()).is_public


def test_the_discovery_secret_is_changed_where_the_identity_key_is():
    WEEK.new_secret(ALICE.discovery_secret)
    with pytest.raises(ConfigError, match="psp user delegate"):
        WEEK.new_secret(b"n" * 32)


def test_a_key_that_was_not_given_is_an_error():
    with pytest.raises(ConfigError, match="made ahead"):
        WEEK.sealing_key(Label.KEY_FILE)


def test_secrets_do_not_show():
    text = repr(WEEK)

    for secret in (
        WEEK.discovery_secret,
        WEEK.sealing_key(Label.CLIENT_STATE),
        WEEK.days[20_000].key.seed,
    ):
        assert repr(secret) not in text
        assert secret.hex() not in text


def test_whatever_was_changed_in_it_is_noticed():
    data = made(1).encode()
    keys, name = range(109, 205), range(206, 211)
    for position in range(len(data)):
        if position in keys or position in name:
            continue  # these may be any
        changed = bytearray(data)
        changed[position] ^= 1
        with pytest.raises(DecodeError):
            DelegatedIdentity.decode(bytes(changed))


def test_presence_keys_are_in_their_order_and_no_key_is_there_twice():
    one, other = made(2).presence_keys
    for keys in ((other, one), (one, one)):
        changed = replace(made(2), presence_keys=keys).encode()
        with pytest.raises(DecodeError):
            DelegatedIdentity.decode(changed)


def test_anothers_keys_are_not_taken_for_ones_own():
    bob = ClientIdentity.generate(SeededEntropy("bob"), "Alice")
    his = DelegatedIdentity.make(bob, NETWORK, START, 1, SeededEntropy(2)).encode()
    hers = made(1).encode()

    for cut in (17 + 28 + 32, 17 + 28 + 64, 205 + 6 + 1 + 144):
        with pytest.raises(DecodeError):
            DelegatedIdentity.decode(his[:cut] + hers[cut:])


@given(st.binary(max_size=600).map(lambda tail: Label.DELEGATION + tail) | st.binary())
def test_any_bytes_are_keys_made_ahead_or_refused(data):
    with pytest.raises(DecodeError):
        DelegatedIdentity.decode(data)


@given(st.integers(0, 700), st.binary(max_size=64))
def test_bytes_put_into_good_ones_are_refused_and_nothing_else(position, piece):
    data = PUBLIC.encode()
    changed = data[:position] + piece + data[position + len(piece) :]
    try:
        assert DelegatedIdentity.decode(changed).encode() == changed
    except DecodeError:
        assert changed != data


class TestFile:
    """On the disk (psp/client/identities/identity_file.py)."""

    async def test_a_host_opens_either_kind(self, tmp_path):
        entropy = SeededEntropy(5)
        keys = tmp_path / "keys"
        await create_identity(keys / "alice.key", entropy=entropy)
        await create_delegation(
            keys / "host.key", WEEK, entropy=entropy, passphrase="words"
        )

        whole = await open_identity(keys / "alice.key", display_name="Alice")
        made_ahead = await open_identity(keys / "host.key", passphrase="words")

        assert isinstance(whole, ClientIdentity)
        assert made_ahead.user_id == ALICE.user_id
        assert made_ahead.display_name == "Alice"
        assert stat.S_IMODE((keys / "host.key").stat().st_mode) == 0o600

    async def test_what_needs_the_identity_key_says_so(self, tmp_path):
        path = tmp_path / "keys" / "host.key"
        await create_delegation(path, WEEK, entropy=SeededEntropy(5))

        with pytest.raises(ConfigError, match="identity key itself"):
            await load_identity(path)

    async def test_damage_is_told_with_the_cure(self, tmp_path, monkeypatch):
        path = tmp_path / "keys" / "host.key"
        broken = WEEK.encode()[:-1]
        monkeypatch.setattr(DelegatedIdentity, "encode", lambda _: broken)
        await create_delegation(path, WEEK, entropy=SeededEntropy(5))

        with pytest.raises(ConfigError, match="psp user delegate"):
            await open_identity(path)

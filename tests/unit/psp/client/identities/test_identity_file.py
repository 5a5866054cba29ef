"""Identities in memory and on the disk (psp/client/identities/identity*.py)."""

import stat

import pytest

from psp.client.identities.identity import ClientIdentity
from psp.client.identities.identity_file import create_identity, load_identity
from psp.crypto.blinding import PUBLIC_SECRET
from psp.errors import ConfigError
from psp.runtime import keyfiles
from psp.testing.entropy import SeededEntropy
from psp.wire.network import Network

NETWORK = Network(31337, bytes(20))


async def test_an_identity_comes_back_from_its_file(tmp_path):
    path = tmp_path / "keys" / "alice.key"

    made = await create_identity(
        path, entropy=SeededEntropy(1), display_name="Alice", passphrase="words"
    )
    read = await load_identity(path, display_name="Alice", passphrase="words")

    assert read.contact_card(NETWORK) == made.contact_card(NETWORK)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(ConfigError, match="passphrase"):
        await load_identity(path, passphrase="other words")


async def test_an_identity_is_never_overwritten(tmp_path):
    path = tmp_path / "keys" / "alice.key"
    made = await create_identity(path, entropy=SeededEntropy(1))

    with pytest.raises(ConfigError, match="exists"):
        await create_identity(path, entropy=SeededEntropy(2))

    assert (await load_identity(path)).user_id == made.user_id


async def test_a_public_identity_has_no_secret(tmp_path):
    path = tmp_path / "keys" / "alice.key"

    made = await create_identity(path, is_public=True)

    assert made.is_public
    assert made.discovery_secret == PUBLIC_SECRET
    assert not ClientIdentity.generate(SeededEntropy(1)).is_public


async def test_another_kind_of_key_file_is_no_identity(tmp_path):
    path = tmp_path / "keys" / "relay.key"
    keyfiles.create(path, bytes(32), entropy=SeededEntropy(1))

    with pytest.raises(ConfigError, match="something else than a user"):
        await load_identity(path)
    with pytest.raises(ConfigError, match="missing"):
        await load_identity(tmp_path / "keys" / "absent.key")


def test_day_keys_are_made_once_and_old_ones_forgotten():
    identity = ClientIdentity.generate(SeededEntropy(1))
    entropy = SeededEntropy(2)

    first = identity.day_key(NETWORK, 100, entropy)
    assert identity.day_key(NETWORK, 100, entropy) is first
    for period in (101, 102, 103):
        identity.day_key(NETWORK, period, entropy)

    assert identity.day_key(NETWORK, 100, entropy) is not first


def test_secrets_do_not_show():
    identity = ClientIdentity.generate(SeededEntropy(1), "Alice")

    assert identity.discovery_secret.hex() not in repr(identity)
    assert repr(identity.discovery_secret) not in repr(identity)

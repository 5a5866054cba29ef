"""A new onion key takes the old one's place (cli/chain_work/onion.py)."""

import pytest

from cli.chain_work.onion import finish_rotation, new_onion_key, next_file
from cli.node_config import KeysConfig
from psp.errors import ConfigError
from psp.runtime import keyfiles
from psp.testing.entropy import SeededEntropy

ENTROPY = SeededEntropy("onion")


@pytest.fixture
def keys(tmp_path):
    tmp_path.chmod(0o700)
    made = KeysConfig(tmp_path / "identity.key", tmp_path / "onion.key")
    keyfiles.create(made.onion, b"\x01" * 32, entropy=ENTROPY)
    return made


def test_the_new_key_waits_beside_the_old_one_and_stays_the_same(keys):
    new = new_onion_key(keys, ENTROPY, None)

    assert new_onion_key(keys, ENTROPY, None) == new
    assert keyfiles.load_seed(keys.onion) == b"\x01" * 32


def test_the_old_key_is_kept_when_the_new_one_takes_its_place(keys):
    new = new_onion_key(keys, ENTROPY, None)

    previous = finish_rotation(keys)

    assert keyfiles.load_seed(keys.onion) == new
    assert keyfiles.load_seed(previous) == b"\x01" * 32
    assert not next_file(keys.onion).exists()


def test_only_one_earlier_key_is_kept(keys):
    first = new_onion_key(keys, ENTROPY, None)
    finish_rotation(keys)
    new_onion_key(keys, ENTROPY, None)

    previous = finish_rotation(keys)

    assert keyfiles.load_seed(previous) == first


def test_a_key_under_a_passphrase_gets_one_under_the_same(keys):
    new = new_onion_key(keys, ENTROPY, "secret")

    assert keyfiles.needs_passphrase(next_file(keys.onion))
    assert keyfiles.load_seed(next_file(keys.onion), passphrase="secret") == new


def test_without_a_new_key_nothing_is_replaced(keys):
    with pytest.raises(ConfigError, match="run the command again"):
        finish_rotation(keys)

    assert keyfiles.load_seed(keys.onion) == b"\x01" * 32

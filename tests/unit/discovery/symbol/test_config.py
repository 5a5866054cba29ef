from dataclasses import replace
from hashlib import sha3_256

import pytest

from discovery.symbol.config import ELECTED_KEYS, NODE_KEY, TRUSTED_KEY, USER_KEY
from psp.errors import ConfigError


def metadata_generate_key(name):
    """As the Symbol SDKs make a scoped key of a name."""
    first = bytearray(sha3_256(name.encode()).digest()[:8])
    first[7] |= 0x80
    return int.from_bytes(first, "little")


def test_our_keys_are_what_the_chains_tools_make_of_their_names():
    assert metadata_generate_key("psp-node-v1") == NODE_KEY
    assert metadata_generate_key("psp-user-v1") == USER_KEY
    assert metadata_generate_key("psp-trusted-v1") == TRUSTED_KEY
    for number, key in enumerate(ELECTED_KEYS):
        assert metadata_generate_key(f"psp-elected-v1-{number}") == key


def test_the_network_is_the_chain_and_the_partners_on_it(symbol):
    network = symbol.config.network

    assert network.registry == symbol.account("partners")
    assert network.chain_id.to_bytes(8) == symbol.config.generation_hash[:8]


@pytest.mark.parametrize(
    ("final", "epoch"),
    [(0, 0), (59, 0), (779, 0), (780, 1), (1499, 1), (1500, 2), (2219, 2), (2220, 3)],
)
def test_an_epoch_begins_when_its_seed_is_final(symbol, final, epoch):
    assert symbol.config.epoch_at(final) == epoch


def test_importances_are_fixed_before_the_seed_exists(symbol):
    assert symbol.config.start_of(2) == 1440
    assert symbol.config.seed_height(2) == 1500


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"generation_hash": bytes(31)}, "generation_hash has not 32 bytes"),
        ({"partners": bytes(24)}, "partners is not an account of 20 bytes"),
        ({"min_approval": 1}, "min_approval is 1; take 2 or more"),
        ({"seats": 0}, "seats is 0; take 1 to 31"),
        ({"seats": 32}, "seats is 32; take 1 to 31"),
        ({"seed_delay": 0}, "seed_delay is 0; take 1 to 719"),
        ({"seed_delay": 720}, "seed_delay is 720; take 1 to 719"),
    ],
)
def test_settings_that_cannot_work_are_refused_with_the_cure(symbol, change, text):
    with pytest.raises(ConfigError, match=text):
        replace(symbol.config, **change)

"""Which chain a command is about (cli/chain_work/target.py)."""

import pytest

from cli.chain_work.target import find_target, load_membership
from psp.errors import ConfigError
from psp.wire.network import Network

REGISTRY = "ab" * 20
URLS = ("http://one.example", "http://two.example", "http://three.example")
MEMBERSHIP = f"""
[membership]
chain_id = 7
registry = "{REGISTRY}"
rpc = {list(URLS)}
quorum = 3
max_head_age = 50.0
"""


def settings(tmp_path, text=MEMBERSHIP):
    path = tmp_path / "network.toml"
    path.write_text(text)
    return path


def test_settings_name_everything(tmp_path):
    target = find_target(settings(tmp_path))

    assert target.network == Network(7, bytes.fromhex(REGISTRY))
    assert (target.rpc, target.quorum, target.max_head_age) == (URLS, 3, 50.0)


def test_options_go_before_settings(tmp_path):
    target = find_target(
        settings(tmp_path),
        rpc=URLS[:2],
        chain_id=8,
        registry="0x" + "cd" * 20,
        quorum=1,
    )

    assert target.network == Network(8, b"\xcd" * 20)
    assert (target.rpc, target.quorum) == (URLS[:2], 1)


@pytest.mark.parametrize(("count", "quorum"), [(1, 1), (2, 2), (3, 2)])
def test_options_alone_need_more_than_half_to_agree(count, quorum):
    target = find_target(None, rpc=URLS[:count], chain_id=7)

    assert target.quorum == quorum
    with pytest.raises(ConfigError, match="which network"):
        _ = target.network


@pytest.mark.parametrize(
    "more",
    [
        'state_dir = "x"\n' + MEMBERSHIP,
        'state_dir = "x"\n'
        + MEMBERSHIP
        + '[keys]\nidentity = "a"\nonion = "b"\n[listen]\nport = 1\n',
    ],
)
def test_settings_of_clients_and_relays_name_their_network_too(tmp_path, more):
    assert load_membership(settings(tmp_path, more)).chain_id == 7


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"rpc": URLS}, "which chain"),
        ({"chain_id": 7}, "no endpoint of a chain is named"),
        ({"rpc": URLS, "chain_id": 0}, "no chain's id"),
        ({"rpc": URLS, "chain_id": 1 << 64}, "no chain's id"),
        ({"rpc": ("ftp://x",), "chain_id": 7}, "no http:// or https:// URL"),
        ({"rpc": (URLS[0], URLS[0]), "chain_id": 7}, "one endpoint twice"),
        ({"rpc": URLS, "chain_id": 7, "quorum": 4}, "a quorum of 4 among 3"),
        ({"rpc": URLS, "chain_id": 7, "quorum": 0}, "a quorum of 0"),
        ({"rpc": URLS, "chain_id": 7, "registry": "zz"}, "is no address"),
    ],
)
def test_what_is_not_enough_or_makes_no_sense_is_said(given, sentence):
    with pytest.raises(ConfigError, match=sentence):
        find_target(None, **given)


def test_a_url_is_in_no_message_and_no_repr():
    secret = "https://rpc.example/v3/topsecret"

    with pytest.raises(ConfigError) as refused:
        find_target(None, rpc=(secret, secret), chain_id=7)

    assert "topsecret" not in str(refused.value)
    assert "topsecret" not in repr(find_target(None, rpc=(secret,), chain_id=7))


@pytest.mark.parametrize("text", ["", "[membership", "[other]\nx = 1\n"])
def test_a_file_that_is_none_of_these_is_named(tmp_path, text):
    path = settings(tmp_path, text)

    with pytest.raises(ConfigError, match=r"network\.toml"):
        find_target(path)


def test_a_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.toml"):
        find_target(tmp_path / "nowhere.toml")

"""What a network is founded with (cli/chain_work/founding.py)."""

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from cli.chain_work.chain import Chain
from cli.chain_work.founding import Founding, membership_lines
from cli.chain_work.target import find_target, load_membership
from discovery.transactions.deploy import (
    DEPLOYMENT_GAS,
    NAMES_GAS,
    Deployment,
    RelaysParameters,
)
from psp.errors import ConfigError

CONTRACTS = Deployment(7, b"\x01" * 20, b"\x02" * 20, b"\x03" * 20)


def founding(tmp_path=Path("nowhere"), name_deposit=10**16, **changed):
    record = tmp_path / "contracts.json"
    return Founding(RelaysParameters(**changed), record, name_deposit)


def write_record(made, **more):
    addresses = {"users": CONTRACTS.users, "book": CONTRACTS.book}
    addresses |= {"relays": CONTRACTS.relays, **more}
    steps = {name: f"0x{address.hex()}" for name, address in addresses.items()}
    made.record.write_text(json.dumps({"chain_id": 7, **steps}))


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"epoch_length": 15}, "--epoch-length is 15"),
        ({"unbonding": 86_400}, "--unbonding is 86400; it goes from 172,800"),
        ({"seats": 0}, "--seats is 0; it goes from 1 to 256"),
        ({"seats": 257}, "--seats is 257"),
        ({"seed_delay": 0}, "--seed-delay is 0"),
        ({"min_stake": 0}, "--min-stake is 0"),
        ({"name_deposit": 1 << 96}, "--name-deposit"),
    ],
)
def test_what_the_contract_would_refuse_is_said_first(changed, sentence):
    with pytest.raises(ConfigError, match=sentence):
        founding(**changed).check()


def test_what_it_takes_passes():
    founding(epoch_length=16, unbonding=32, seats=256, seed_delay=1).check()


def test_people_see_what_cannot_be_changed_later():
    shown = dict(founding(seats=3, sortition=False, self_only=False).facts)

    assert shown["seats"] == "3, the largest stakes, nominated by anybody"
    assert shown["smallest stake"] == "0.1 ether"


def test_a_finished_record_is_known(tmp_path):
    made = founding(tmp_path)
    before = made.is_done, made.gas
    write_record(made, names=b"\x04" * 20)

    assert before == (False, DEPLOYMENT_GAS + NAMES_GAS)
    assert made.is_done


def test_names_are_added_to_a_record_without_them_unless_not_wanted(tmp_path):
    made, without = founding(tmp_path), founding(tmp_path, name_deposit=0)
    assert without.gas == DEPLOYMENT_GAS
    assert dict(without.facts)["names"] == "none; they can be added later"
    write_record(made)

    assert not made.is_done
    assert made.gas == NAMES_GAS
    assert made.title == "Add names to a network"
    assert [name for name, _ in made.facts] == ["names", "record"]
    assert without.is_done


def test_the_settings_that_are_printed_are_settings(tmp_path):
    target = find_target(None, rpc=("http://127.0.0.1:1", "http://x/"), chain_id=7)
    path = tmp_path / "network.toml"

    path.write_text(membership_lines(Chain(target, ()), CONTRACTS))
    assert "has no contract of names" in path.read_text()
    assert load_membership(path).names_address() is None
    named = replace(CONTRACTS, names=b"\x04" * 20)
    path.write_text(membership_lines(Chain(target, ()), named))

    membership = load_membership(path)
    assert membership.names_address() == named.names
    assert membership.network().registry == CONTRACTS.relays
    assert membership.rpc == target.rpc
    assert membership.quorum == 2


@pytest.mark.parametrize(
    "url", ["https://x/v3/key", "https://user:key@x", "https://x/?key=1"]
)
def test_a_url_that_may_hold_a_secret_is_not_printed(url):
    target = find_target(None, rpc=(url,), chain_id=7)

    text = membership_lines(Chain(target, ()), CONTRACTS)

    assert "key" not in text
    assert "rpc" not in tomllib.loads(text)["membership"]

"""psp name, run as a user would, against real chains."""

import json
import re

import pytest

from cli.exit_codes import ExitCode
from psp.directory.chain.names import GRACE, HOLD, LIFETIME
from tests.loopback.commands import founded_desk, psp, worked

pytestmark = pytest.mark.timeout(120)

DEPOSIT = 10**16


@pytest.fixture(scope="module", params=["embedded", "anvil"])
def desk(request, tmp_path_factory):
    """A network with two users, each with an account of its own."""
    with founded_desk(request.param, tmp_path_factory.mktemp("desk")) as made:
        for name in ("alice", "bob"):
            wallet = made.wallet(name)
            worked(
                *("user", "register", made.user(name), *made.network),
                *("--wallet", wallet, "--yes"),
            )
        made.settle()
        yield made


def show(desk, name):
    ran = psp("name", "show", name, *desk.network, "--json")
    assert ran.code in {ExitCode.OK, ExitCode.FAILED}, ran.err
    return ran.code, ran.json


def wait(desk, seconds):
    block = desk.rpc("eth_getBlockByNumber", "latest", bool(0))
    desk.rpc("evm_setNextBlockTimestamp", hex(int(block["timestamp"], 16) + seconds))
    desk.settle()


def money(desk, name):
    wallet = desk.folder / f"{name}.key"
    return worked("wallet", "show", wallet, *desk.chain, "--json").json["balance_wei"]


def test_a_names_life(desk):
    """One story, as its chapters need years between them."""
    made = worked("name", "register", "Alice", *desk.paying("alice"), "--json").json
    desk.settle()
    code, shown = show(desk, "ALICE")
    assert (made["name"], made["number"], made["value_wei"]) == ("alice", 1, DEPOSIT)
    assert code == ExitCode.OK
    assert shown["id"] == desk.user_ids["alice"]
    assert (shown["state"], shown["completeness"]) == ("counts", "proven")
    page = worked("name", "show", "alice", *desk.network).out
    assert desk.user_ids["alice"] in page
    assert "proven: the records make the storage root" in page

    taken = psp("name", "register", "alice", *desk.paying("bob"))
    second = psp("name", "register", "other", *desk.paying("alice"))
    foreign = psp("name", "release", "alice", *desk.paying("bob"))
    early = psp("name", "release", "alice", *desk.paying("alice"))
    assert "alice is taken, by user 1, until" in taken.err
    assert "has the name alice already" in second.err
    assert "belongs to" in foreign.err
    assert "can be given up from" in early.err
    codes = {ran.code for ran in (taken, second, early)}
    assert codes == {ExitCode.FAILED}
    assert foreign.code == ExitCode.CONFIG

    wait(desk, LIFETIME + 60)
    code, shown = show(desk, "alice")
    assert (code, shown["state"]) == (ExitCode.FAILED, "does not count: expired")
    kept = psp("name", "register", "alice", *desk.paying("bob"))
    assert "is kept for its owner until" in kept.err
    worked("name", "renew", "alice", *desk.paying("alice"))
    desk.settle()
    assert show(desk, "alice")[0] == ExitCode.OK

    wait(desk, HOLD)
    before = money(desk, "alice")
    given = worked("name", "release", "alice", *desk.paying("alice"), "--json").json
    desk.settle()
    assert money(desk, "alice") == before + DEPOSIT - given["fee_wei"]
    assert show(desk, "alice")[1]["state"] == "free: it was given up"

    user = desk.folder / "bob.user"
    worked("name", "register", "alice", *desk.paying("bob"), "--user", user)
    desk.settle()
    names = worked("name", "list", *desk.network, "--json").json["names"]
    assert [(n["name"], n["number"], n["user"]) for n in names] == [("alice", 2, 2)]
    listed = worked("name", "list", "--all", *desk.network).out
    assert "1 names" not in listed
    assert "released or replaced" in listed

    wait(desk, LIFETIME + GRACE + 60)
    worked("name", "register", "alice", *desk.paying("alice"))
    desk.settle()
    assert show(desk, "alice")[1]["id"] == desk.user_ids["alice"]


def test_a_dry_run_shows_what_a_name_costs(desk):
    wallet = desk.wallet("carol")
    paying = [*desk.paying("carol"), "--dry-run"]
    worked("user", "register", desk.user("carol"), *desk.network, *paying[2:-1])
    desk.settle()
    before = money(desk, "carol")

    dry = worked("name", "register", "never", *paying)

    assert wallet.exists()
    assert "this was a dry run" in dry.out
    assert "0.01 ether, comes back when it is given up" in dry.err
    assert money(desk, "carol") == before
    assert show(desk, "never")[1]["state"] == "free: nobody has ever registered it"


def test_what_can_be_no_name_is_said_before_anything_is_asked(desk):
    for name in ("al", "a--b", "\u0430lice", "a" * 32):
        ran = psp("name", "register", name, *desk.paying("alice"))
        assert ran.code == ExitCode.INPUT
        assert "can be no name: a name has 3 to 31 characters" in ran.err


def test_a_network_without_names_says_so_and_gets_them(desk, tmp_path):
    """As networks do that were founded before there were names."""
    tmp_path.chmod(0o700)
    record = tmp_path / "contracts.json"
    steps = json.loads((desk.folder / "contracts.json").read_text())
    names = steps.pop("names")
    record.write_text(json.dumps(steps))
    settings = tmp_path / "network.toml"
    lines = desk.settings.read_text().splitlines()
    settings.write_text("\n".join(line for line in lines if "names =" not in line))

    ran = psp("name", "list", "--settings", settings)
    assert ran.code == ExitCode.CONFIG
    status = psp("chain", "status", "--settings", settings, "--json").json
    assert status["names_state"] == "the settings name no contract of names"
    assert psp("chain", "status", *desk.network, "--json").json["names"] in {0, 1}
    assert "set membership.names, or give --names" in ran.err
    given = worked("name", "list", "--settings", settings, "--names", names, "--json")
    assert given.json["deposit_wei"] == DEPOSIT

    options = [*desk.chain, *desk.treasury]
    without = worked("chain", "deploy", record, *options, "--name-deposit", "0")
    assert "this network has no contract of names" in without.out
    added = worked("chain", "deploy", record, *options, "--name-deposit", "1", "--json")
    assert list(added.json["gas"]) == ["names"]
    assert added.json["names"] not in {None, names}
    assert added.json["relays"] == desk.registry
    desk.settle()
    other = ["--settings", settings, "--names", added.json["names"], "--json"]
    assert worked("name", "list", *other).json["deposit_wei"] == 10**18


def test_another_contract_is_refused(desk):
    users = json.loads((desk.folder / "contracts.json").read_text())["users"]

    settings = desk.folder / "wrong.toml"
    text = desk.settings.read_text()
    settings.write_text(re.sub('names = ".*"', f'names = "{users}"', text))
    status = psp("chain", "status", "--settings", settings, "--json")
    assert status.code == ExitCode.FAILED
    assert status.json["names"] is None
    assert "is not the contract of names" in status.json["names_state"]

    ran = psp("name", "list", *desk.network, "--names", users)
    paying = psp("name", "register", "bob", *desk.paying("bob"), "--names", users)

    assert ran.code == paying.code == ExitCode.CHAIN
    assert "is not the contract of names that this program knows" in ran.err

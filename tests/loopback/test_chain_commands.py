"""psp's commands on the chain, run as an operator would, against real chains."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cli.exit_codes import ExitCode
from discovery.devchain.process import call
from psp.runtime import keyfiles
from tests.loopback.commands import (
    CHAIN_ID,
    EPOCH,
    SEATS,
    fill,
    founded_desk,
    psp,
    worked,
)

pytestmark = pytest.mark.timeout(120)

ETHER = 10**18


@pytest.fixture(scope="module", params=["embedded", "anvil"])
def desk(request, tmp_path_factory):
    """A network of three relays and two users, its first list in force."""
    with founded_desk(request.param, tmp_path_factory.mktemp("desk")) as made:
        fill(made)
        yield made


def new_relay(desk, name, stake="2", **options):
    """Make a relay with an owner of its own and register it; its settings."""
    owner = desk.wallet(f"{name}-owner")
    settings = desk.relay(name, owner)
    worked("relay", "register", "--stake", stake, *own(desk, name))
    desk.settle()
    return settings


def own(desk, name):
    """Options that name a relay and pay from its owner's account, without asking."""
    wallet = desk.folder / f"{name}-owner.key"
    return ["--settings", desk.folder / f"{name}.toml", "--wallet", wallet, "--yes"]


def balance(desk, wallet):
    return worked("wallet", "show", wallet, *desk.chain, "--json").json


# ---- a network founded with commands alone


def test_its_state_is_shown_and_proven(desk):
    shown = worked("chain", "status", *desk.network, "--json").json

    assert shown["chain_id"] == CHAIN_ID
    assert shown["registry"] == desk.registry
    assert shown["endpoints"] == {f"endpoint {i}": "ok" for i in (1, 2, 3)}
    assert shown["agreed"] == 3
    assert shown["epoch"] == shown["list_epoch"] == 6
    assert (shown["seats"], shown["elected"]) == (SEATS, SEATS)
    assert shown["trusted"] == 1
    assert shown["nodes"] >= 3
    assert shown["users"] >= 2
    assert shown["code_shipped"] == {"Relays": True, "NodeBook": True, "Users": True}
    assert shown["completeness"] in {"proven", "quorum"}
    assert shown["alarms"] == []
    assert 0 < shown["next_phase_in_s"] <= EPOCH


def test_its_state_is_a_page_for_people(desk):
    shown = worked("chain", "status", *desk.network).out

    assert "final block" in shown
    assert "stakes change, election 7 not begun; next in" in shown
    assert f"{SEATS} of {SEATS} taken" in shown
    assert "as shipped" in shown


def test_its_list_is_the_draw_that_anybody_can_hold_again(desk):
    listed = worked("discovery", "list", *desk.network, "--verify", "--json").json
    drawn = worked("discovery", "elect", "--replay", 6, *desk.network, "--json").json

    assert listed["in_force"]
    assert listed["verified"]["draw_matches"]
    assert listed["verified"]["signed"] == len(listed["nodes"]) == SEATS
    assert drawn["matches"]
    assert drawn["elected"] == drawn["stored"]
    assert drawn["elected"] == [node["number"] for node in listed["nodes"]]
    assert drawn["elected_ids"] == [node["id"] for node in listed["nodes"]]


def test_list_and_draw_are_tables_for_people(desk):
    listed = worked("discovery", "list", *desk.network, "--verify").out
    drawn = worked("discovery", "elect", *desk.network).out

    assert "Discovery nodes of epoch 6, in force" in listed
    assert "10.1.0.1:7001" in listed or "10.2.0.1:7001" in listed
    assert "have signed their record" in listed
    assert "matches the list that the contract holds" in drawn
    assert "elected" in drawn
    assert "seed 0x" in drawn


def test_an_epoch_without_nominations_is_an_empty_match(desk):
    drawn = worked("discovery", "elect", "--replay", 5, *desk.network)
    listed = psp("discovery", "list", "--epoch", 5, *desk.network)

    assert "nobody was nominated" in drawn.out
    assert listed.code == ExitCode.FAILED
    assert listed.err == "error: nobody was elected for epoch 5\n"


def test_epochs_that_cannot_be_are_said(desk):
    later = psp("discovery", "elect", "--replay", 99, *desk.network)
    list_later = psp("discovery", "list", "--epoch", 99, *desk.network)
    first = psp("discovery", "elect", "--replay", 4, *desk.network)

    assert {later.code, list_later.code, first.code} == {ExitCode.FAILED}
    assert "not begun" in later.err
    assert "not begun" in list_later.err
    assert "the first one is that of epoch 5" in first.err


def test_a_relays_life(desk):
    new_relay(desk, "life", "2")
    voter = desk.wallet("life-voter")
    paying = [*desk.network, "--wallet", voter, "--yes", "--json"]

    worked("relay", "stake", "--add", "0.5", *own(desk, "life"))
    shown = worked("relay", "stake", *own(desk, "life"), "--json").json
    number = shown["number"]
    worked("relay", "vote", number, "1.25", *paying)
    worked("relay", "vote", number, "0.5", "--move", 1, *paying)
    taken = worked("relay", "vote", number, "0.75", "--remove", *paying).json
    worked("relay", "stake", "--remove", "0.25", *own(desk, "life"))
    early = psp("relay", "stake", "--withdraw", *own(desk, "life"))
    worked("relay", "update", "--endpoint", "10.99.0.1:7001", *own(desk, "life"))
    desk.settle()
    retired = worked("relay", "retire", *own(desk, "life"), "--json").json
    after = worked("relay", "stake", "--number", 1, *paying).json

    assert shown["stake_wei"] == 2.5 * ETHER
    assert taken["sent"]
    assert early.code == ExitCode.FAILED
    assert "nothing was sent: 0.25 ether, to be withdrawn from" in early.err
    assert retired["number"] == number
    assert after["stake_wei"] == 0.5 * ETHER
    assert after["unbonding_wei"] == 0.75 * ETHER


def test_a_hot_account_changes_the_onion_key(desk):
    settings = new_relay(desk, "rotating")
    hot = desk.wallet("rotating-hot", "1")
    folder = desk.folder / "rotating"
    before = keyfiles.load_seed(folder / "onion.key")
    worked("relay", "set-operator", "--operator-key", hot, *own(desk, "rotating"))
    paying = ["--settings", settings, "--wallet", hot, "--yes"]
    dry = worked("relay", "rotate-onion", *paying, "--dry-run")
    files = sorted(path.name for path in folder.iterdir())

    done = worked("relay", "rotate-onion", *paying)

    assert "dry run" in dry.out
    assert files == ["identity.key", "onion.key"]
    assert "previous-onion.key" in done.err
    assert keyfiles.load_seed(folder / "previous-onion.key") == before
    assert keyfiles.load_seed(folder / "onion.key") != before


def test_a_users_life(desk):
    first, second = desk.user("carol"), desk.user("carol-2")
    owner = desk.wallet("carol-owner")
    paying = [*desk.network, "--wallet", owner, "--yes"]

    registered = worked("user", "register", first, *paying, "--json").json
    desk.settle()
    shown = worked("user", "show", first, *desk.network, "--json").json
    worked("user", "rotate", desk.user_ids["carol"], second, *paying)
    desk.settle()
    gone = psp("user", "show", desk.user_ids["carol"], *desk.network)
    worked("user", "revoke", registered["number"], *paying)
    desk.settle()
    dead = psp("user", "show", registered["number"], *desk.network)
    again = psp("user", "register", second, *paying)

    (record,) = shown["records"]
    assert record["counts"]
    assert record["id"] == desk.user_ids["carol"]
    assert gone.code == ExitCode.FAILED
    assert dead.code == ExitCode.FAILED
    assert "no: revoked" in dead.out
    assert again.code == ExitCode.FAILED
    assert "was revoked and never counts again" in again.err


def test_a_sponsor_pays_for_one_change_each(desk):
    worked("wallet", "create", desk.folder / "dora.key")
    owner = [*desk.network, "--wallet", desk.folder / "dora.key", "--sponsored"]
    first, second = desk.user("dora"), desk.user("dora-2")
    sponsor = desk.paying("treasury")
    files = [desk.folder / f"dora-{i}.json" for i in range(3)]

    worked("user", "register", first, *owner, "--out", files[0])
    worked("user", "sponsor", files[0], *sponsor)
    twice = psp("user", "sponsor", files[0], *sponsor, "--json")
    desk.settle()
    worked("user", "rotate", first, second, *owner, "--out", files[1])
    worked("user", "sponsor", files[1], *sponsor)
    desk.settle()
    files[2].write_text(worked("user", "revoke", second, *owner).out)
    worked("user", "sponsor", files[2], *sponsor)
    desk.settle()
    dead = psp("user", "show", second, *desk.network)

    assert twice.code in {ExitCode.REFUSED, ExitCode.FAILED}
    assert dead.code == ExitCode.FAILED
    assert balance(desk, desk.folder / "dora.key")["balance_wei"] == 0


# ---- money


def test_a_dry_run_shows_the_cost_and_sends_nothing(desk):
    wallet = desk.wallet("careful")
    before = balance(desk, wallet)
    to = worked("wallet", "show", desk.folder / "treasury.key").out.strip()

    ran = worked(
        "wallet", "send", to, "1.5", *desk.chain, "--wallet", wallet, "--dry-run"
    )
    told = worked(
        *("wallet", "send", to, "1.5", *desk.chain, "--wallet", wallet),
        *("--dry-run", "--json"),
    ).json

    assert "dry run" in ran.out
    for text in ("Send 1.5 ether to", "gwei", "at most", "afterwards about 8.49"):
        assert text in ran.err
    assert told["sent"] is False
    assert told["value_wei"] == 1.5 * ETHER
    assert told["balance_wei"] == 10 * ETHER
    assert balance(desk, wallet) == before


def test_what_is_sent_costs_what_the_receipt_says(desk):
    wallet = desk.wallet("payer")
    to = "0x" + "77" * 20

    ran = worked(
        *("wallet", "send", to, "1.5", *desk.chain, "--wallet", wallet),
        *("--yes", "--json"),
    ).json

    left = balance(desk, wallet)
    told_value = 15 * ETHER // 10
    assert ran["sent"]
    assert ran["fee_wei"] <= ran["fee_maximum_wei"]
    assert left["balance_wei"] == 10 * ETHER - told_value - ran["fee_wei"]
    assert left["transactions"] == 1
    assert left["under_way"] is None


def test_nobody_is_asked_where_nobody_is(desk):
    ran = psp("wallet", "send", "0x" + "77" * 20, "1", *desk.chain, *wallet_of(desk))

    assert ran.code == ExitCode.USAGE
    assert "no terminal to confirm on; add --yes" in ran.err


def wallet_of(desk):
    return ["--wallet", desk.folder / "treasury.key"]


def test_too_little_money_and_too_dear_are_said_before_anything_is_sent(desk):
    poor = desk.wallet("beggar", "0.5")
    to = "0x" + "77" * 20
    paying = [*desk.chain, "--wallet", poor, "--yes"]

    short = psp("wallet", "send", to, "1", *paying)
    dear = psp("wallet", "send", to, "0.1", *paying, "--max-fee", "0.000001")
    costly = psp("wallet", "send", to, "0.1", *paying, "--max-cost", "0.000000001")

    assert {short.code, dear.code, costly.code} == {ExitCode.FUNDS}
    assert "the account has 0.5 ether, up to 1 ether are needed" in short.err
    assert "raise --max-fee" in dear.err
    assert "raise --max-cost" in costly.err
    assert balance(desk, poor)["transactions"] == 0


def test_a_refusal_of_the_contract_is_a_sentence_and_costs_nothing(desk):
    wallet = desk.wallet("nobody-special")

    ran = psp("chain", "trusted", 1, *desk.network, "--wallet", wallet, "--yes")

    assert ran.code == ExitCode.REFUSED
    assert "only the administrator may do this (admin). Nothing was sent" in ran.err
    assert balance(desk, wallet)["transactions"] == 0


def test_deploying_again_goes_on_from_the_record_and_changes_nothing(desk):
    record = desk.folder / "contracts.json"
    before = record.read_text()

    ran = worked("chain", "deploy", record, *desk.chain, *desk.treasury, "--json").json

    assert ran["sent"] is False
    assert ran["relays"] == json.loads(before)["relays"]
    assert record.read_text() == before


def test_stake_comes_back_when_its_time_is_over(tmp_path):
    with founded_desk("embedded", tmp_path) as desk:
        new_relay(desk, "leaving", "2")
        wallet = desk.folder / "leaving-owner.key"
        ran = worked("relay", "retire", *own(desk, "leaving"), "--json").json
        desk.rpc("evm_setNextBlockTimestamp", hex(ran["release"] + 1))
        desk.settle()
        before = balance(desk, wallet)["balance_wei"]

        paid = worked(
            *("relay", "stake", "--withdraw", *desk.network, "--wallet", wallet),
            *("--yes", "--json"),
        ).json
        again = psp("relay", "stake", "--withdraw", *own(desk, "leaving"))
        after = balance(desk, wallet)["balance_wei"]

    assert paid["withdrawn_wei"] == 2 * ETHER
    assert after == before + 2 * ETHER - paid["fee_wei"]
    assert again.code == ExitCode.FAILED
    assert "nothing is unbonding" in again.err


def test_what_hangs_is_left_with_ctrl_c_and_cancelled_later(tmp_path):
    with founded_desk("embedded", tmp_path) as desk:
        wallet, to = desk.wallet("hanging"), "0x" + "99" * 20
        desk.rpc("evm_setAutomine", *[False])
        sending = [*desk.chain, "--wallet", wallet, "--yes"]
        process = run_program("wallet", "send", to, "1", *sending)
        address = worked("wallet", "show", wallet).out.strip()
        waiting = ["eth_getTransactionCount", address, "pending"]
        wait_until(lambda: desk.rpc(*waiting) == "0x1")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
        under_way = balance(desk, wallet)["under_way"]

        name = re.search("0x[0-9a-f]{64}", err)[0]
        cancelling = run_program("wallet", "cancel", *sending, "--json")
        wait_until(lambda: desk.rpc("eth_getTransactionByHash", name) is None)
        desk.rpc("evm_mine")
        out, _ = cancelling.communicate(timeout=20)
        after = balance(desk, wallet)
        again = worked("wallet", "cancel", *sending)

    done = json.loads(out)
    assert process.returncode == ExitCode.INTERRUPTED
    assert "may be under way; the next command of this account takes it up" in err
    assert under_way == f"pay {ETHER} wei"
    assert done["cancelled"] is True
    assert after["balance_wei"] == 10 * ETHER - done["fee_wei"]
    assert after["under_way"] is None
    assert "Nothing is under way." in again.out


def wait_until(is_so, within=30.0):
    deadline = time.monotonic() + within
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def run_program(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "cli.main", *map(str, arguments)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def test_a_development_chain_says_where_it_is_until_ctrl_c(tmp_path):
    process = run_program("chain", "dev")
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "node-15" in line:
            break
    url = lines[1].split()[1]
    chain_id = call(url, "eth_chainId")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)

    assert chain_id == hex(CHAIN_ID)
    assert "deployer  0xf8a8589f10D89d59439a3Ed53717c6be70515ef4" in "".join(lines)
    assert "psp testnet faucet" in err
    assert process.returncode == ExitCode.OK

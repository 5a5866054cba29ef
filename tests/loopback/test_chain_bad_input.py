"""Bad input to psp's commands on the chain: a sentence and an exit code each."""

import asyncio
import dataclasses
import json
import socket
import time

import pytest

import cli.chain_work.chain
from cli.chain_work import shipped
from cli.chain_work.nodes import NodeKeys, sign_entry
from cli.exit_codes import ExitCode
from discovery.transactions.wallet import Wallet
from psp.crypto.keys import SigningKey
from psp.netdoc.node_entry import parse_endpoint
from psp.runtime import keyfiles
from psp.runtime.rpc import RpcLimits
from psp.units import Seconds
from psp.wire.link_specifiers import pack
from psp.wire.network import Network
from tests.loopback.chains import proxy
from tests.loopback.commands import (
    CHAIN_ID,
    Background,
    fill,
    founded_desk,
    psp,
    worked,
)

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A network of three relays and two users, its first list in force."""
    with founded_desk("embedded", tmp_path_factory.mktemp("desk")) as made:
        fill(made)
        yield made


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """A network in which nobody is registered."""
    with founded_desk("embedded", tmp_path_factory.mktemp("empty")) as made:
        yield made


@pytest.fixture
def background():
    running = Background()
    yield running
    running.close()


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Give an endpoint one second, not ten."""
    limits = RpcLimits(timeout=Seconds(1.0), retries=0)
    monkeypatch.setattr(cli.chain_work.chain, "_LIMITS", limits)


def through(desk, *urls):
    """Options that name the network and other endpoints."""
    return [
        *("--chain-id", CHAIN_ID, "--registry", desk.registry),
        *(option for url in urls for option in ("--rpc", url)),
    ]


# ---- endpoints


def dead(background, desk):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{held.getsockname()[1]}"


def lying(background, desk):
    def lie(method, params, result):
        if method == "eth_getBlockByNumber":
            result["stateRoot"] = "0x" + "11" * 32
        return result

    return background.enter(proxy(desk.urls[0], lie))


def stale(background, desk):
    """One that hangs behind: it has the first block only."""

    def lag(method, params, result):
        if method == "eth_getBlockByNumber" and params[0] not in {"0x0", "0x1"}:
            return desk.rpc("eth_getBlockByNumber", *["0x1", False])
        return result

    return background.enter(proxy(desk.urls[0], lag))


def slow(background, desk):
    async def stall(method, params, result):
        await asyncio.sleep(30)

    return background.enter(proxy(desk.urls[0], stall))


def huge(background, desk):
    def flood(method, params, result):
        return "0x" + "00" * (2 << 20)

    return background.enter(proxy(desk.urls[0], flood))


def foreign(background, desk):
    def elsewhere(method, params, result):
        return "0x1" if method == "eth_chainId" else result

    return background.enter(proxy(desk.urls[0], elsewhere))


ENDPOINTS = {
    dead: "cannot be reached",
    lying: "answers nonsense: a block header does not hash to its hash",
    slow: "no answer within 1 s",
    huge: "answers more than 1048576 bytes",
    foreign: "serves chain 1",
}


@pytest.mark.parametrize("bad", ENDPOINTS)
def test_one_bad_endpoint_of_three_is_named_and_changes_nothing(desk, background, bad):
    network = through(desk, bad(background, desk), *desk.urls[1:])

    shown = psp("chain", "status", *network, "--json")
    listed = worked("discovery", "list", *network, "--json").json
    truth = worked("discovery", "list", *desk.network, "--json").json
    dry = worked(
        *("relay", "vote", 1, "1", *network, "--dry-run", "--json"),
        *("--wallet", desk.folder / "treasury.key"),
    )

    assert shown.code == ExitCode.FAILED
    assert ENDPOINTS[bad] in shown.json["endpoints"]["endpoint 1"]
    assert shown.json["endpoints"]["endpoint 2"] == "ok"
    assert listed == truth
    assert dry.json["sent"] is False


def test_one_stale_endpoint_of_three_changes_nothing(desk, background):
    network = through(desk, stale(background, desk), *desk.urls[1:])

    listed = worked("discovery", "list", *network, "--json").json

    assert listed == worked("discovery", "list", *desk.network, "--json").json


@pytest.mark.parametrize("bad", [*ENDPOINTS, stale])
def test_two_bad_endpoints_of_three_are_a_sentence_and_bend_nothing(
    desk, background, bad
):
    network = through(desk, *(bad(background, desk) for _ in range(2)), desk.urls[2])

    shown = psp("chain", "status", *network)
    listed = psp("discovery", "list", *network, "--json")

    assert shown.code == listed.code == ExitCode.CHAIN
    assert listed.out == ""
    assert listed.err.startswith("error: ")
    assert listed.err.count("\n") == 1


@pytest.mark.parametrize("bad", [slow, huge])
def test_without_any_good_endpoint_nothing_is_shown_or_sent(desk, background, bad):
    network = through(desk, *(bad(background, desk) for _ in range(3)))
    wallet = ["--wallet", desk.folder / "treasury.key", "--yes"]

    listed = psp("discovery", "list", *network)
    voted = psp("relay", "vote", 1, "1", *network, *wallet)

    assert listed.code == voted.code == ExitCode.CHAIN
    assert listed.out == voted.out == ""
    assert listed.err.startswith("error: 0 of 3 chain endpoints gave a valid block")


def test_without_any_endpoint_every_command_says_so(desk, background):
    network = through(desk, *(dead(background, desk) for _ in range(3)))
    chain = [*network[:2], *network[4:]]
    wallet = ["--wallet", desk.folder / "treasury.key", "--yes"]

    for command in (
        ["chain", "status", *network],
        ["discovery", "list", *network],
        ["discovery", "elect", *network],
        ["relay", "vote", 1, "1", *network, *wallet],
        ["user", "show", 1, *network],
        ["wallet", "send", "0x" + "77" * 20, "1", *chain, *wallet],
        ["testnet", "faucet", "0x" + "77" * 20, *chain],
    ):
        ran = psp(*command)
        assert ran.code == ExitCode.CHAIN, (command, ran.err)
        assert ran.err.splitlines()[-1].startswith("error: ")
        assert ran.out == ""


def test_a_wrong_chain_id_is_named_with_the_right_one(desk):
    network = [*desk.network, "--chain-id", 5]
    wallet = ["--wallet", desk.folder / "treasury.key", "--yes"]

    shown = psp("chain", "status", *network)
    sent = psp("wallet", "send", "0x" + "77" * 20, "1", *network, *wallet)

    assert shown.code == sent.code == ExitCode.CHAIN
    assert "another chain than 5" in shown.err
    assert "serves chain 31337" in shown.err
    assert "the endpoints serve chain 31337, the settings say 5" in sent.err


def test_a_reorganisation_undoes_nothing_that_was_paid(desk):
    wallet = desk.wallet("reorganised")
    paying = [*desk.chain, "--wallet", wallet, "--yes", "--json"]
    to = ["0x" + f"{i:040x}" for i in (0xAAA1, 0xAAA2)]

    worked("wallet", "send", to[0], "1", *paying)
    desk.rpc("dev_reorg", *["0x1", False])
    dropped = int(desk.rpc("eth_getBalance", to[0], "latest"), 16)
    worked("wallet", "send", to[1], "1", *paying)

    assert dropped == 0
    assert [int(desk.rpc("eth_getBalance", who, "latest"), 16) for who in to] == [
        10**18
    ] * 2


# ---- this host's clock


@pytest.mark.parametrize(
    ("ahead", "sentence"),
    [(10**5, "s old"), (-(10**5), "s ahead of this host's clock; check the clock")],
)
def test_a_clock_that_is_wrong_is_said(desk, monkeypatch, ahead, sentence):
    now = int(time.time()) + ahead
    monkeypatch.setattr(cli.chain_work.chain, "unix_now", lambda: now)

    shown = psp("chain", "status", *desk.network)
    listed = psp("discovery", "list", *desk.network)
    dry = worked(
        *("relay", "vote", 1, "1", *desk.network, "--dry-run"),
        *("--wallet", desk.folder / "treasury.key"),
    )

    assert shown.code == ExitCode.FAILED
    assert sentence in shown.out
    assert "warning: the newest final block is" in dry.err
    assert sentence in listed.err
    # An old block is worth a warning, one from the future is not used.
    assert listed.code == (ExitCode.OK if ahead > 0 else ExitCode.FAILED)


# ---- contracts


def test_an_address_without_a_registry_is_said(desk):
    account = worked("wallet", "show", desk.folder / "hot-1.key").out.strip()
    for address in ("0x" + "77" * 20, account):
        ran = psp("chain", "status", *desk.chain, "--registry", address)
        assert ran.code == ExitCode.CHAIN
        assert "there is no contract at" in ran.err


def test_a_replaced_contract_gets_no_stake(desk, monkeypatch):
    def other(name):
        ours = real(name)
        return dataclasses.replace(ours, runtime=b"\0" + ours.runtime)

    real = shipped.artefact
    monkeypatch.setattr(shipped, "artefact", other)
    wallet = ["--wallet", desk.folder / "treasury.key", "--yes"]

    shown = psp("chain", "status", *desk.network)
    voted = psp("relay", "vote", 1, "1", *desk.network, *wallet)
    listed = psp("discovery", "list", *desk.network, "--verify")

    assert shown.code == voted.code == listed.code == ExitCode.FAILED
    assert "Relays, NodeBook, Users: not as shipped" in shown.out
    assert "is not what this program ships" in listed.err
    assert "it may keep what it is sent; nothing was sent" in voted.err


def test_an_empty_registry_is_no_error_and_has_no_list(empty):
    shown = worked("chain", "status", *empty.network, "--json").json
    listed = psp("discovery", "list", *empty.network)
    drawn = worked("discovery", "elect", "--replay", 5, *empty.network)
    user = psp("user", "show", 1, *empty.network)
    voted = psp(
        *("relay", "vote", 1, "1", *empty.network),
        *("--wallet", empty.folder / "treasury.key", "--yes"),
    )

    assert (shown["nodes"], shown["users"], shown["elected"]) == (0, 0, 0)
    assert "nobody was nominated" in drawn.out
    assert listed.code == user.code == voted.code == ExitCode.FAILED
    assert "no list is in force in epoch 4" in listed.err
    assert "there is no such user" in user.err
    assert "there is no node 1" in voted.err


def test_a_record_of_a_chain_that_is_no_more_is_said(empty, desk):
    record = desk.folder / "of-another.json"
    text = (empty.folder / "contracts.json").read_text()
    record.write_text(text)

    ran = psp("chain", "deploy", record, *desk.chain, *desk.treasury)

    assert ran.code == ExitCode.CONFIG
    assert f"names a contract at {json.loads(text)['users']}" in ran.err
    assert "if the chain was set up anew, move the file away" in ran.err
    assert record.read_text() == text


# ---- records


def enter_relay(desk, name, owner, key, *, signature=None):
    """Register a relay's identity by a raw call, perhaps with a wrong signature."""
    wallet = Wallet.open(owner)
    network = Network(CHAIN_ID, bytes.fromhex(desk.registry[2:]))
    keys = NodeKeys(key, bytes(range(32)))
    endpoints = (parse_endpoint("10.77.0.1:7001"),)
    entry = sign_entry(network, keys, endpoints, wallet.address)
    call = desk.calls.register(
        entry.record.node_id,
        entry.record.onion_key,
        signature or entry.signature,
        pack(endpoints),
        stake=10**18,
    )
    desk.send(name, call)
    desk.settle()


def test_a_record_with_a_wrong_signature_is_counted_apart(desk):
    owner = desk.wallet("forger")
    key = SigningKey.from_seed(b"\x05" * 32)
    before = worked("chain", "status", *desk.network, "--json").json

    enter_relay(desk, "forger", owner, key, signature=b"\x01" * 64)
    after = worked("chain", "status", *desk.network, "--json").json

    reason = "not signed by its identity"
    assert after["nodes"] == before["nodes"]
    count = before["nodes_refused"].get(reason, 0) + 1
    assert after["nodes_refused"][reason] == count


def test_a_copied_identity_does_not_stop_its_owner(desk):
    squatter, owner = desk.wallet("copier"), desk.wallet("copied")
    settings = desk.relay("copied-relay", owner)
    seed = keyfiles.load_seed(desk.folder / "copied-relay" / "identity.key")
    enter_relay(
        desk, "copier", squatter, SigningKey.from_seed(seed), signature=b"\x02" * 64
    )

    ran = worked(
        *("relay", "register", "--settings", settings, "--stake", "1"),
        *("--wallet", owner, "--dry-run"),
    )

    assert "1 others have entered this identity without its signature" in ran.err


def test_an_identity_that_somebody_else_has_registered_is_not_paid_for_again(desk):
    first, second = desk.wallet("first-owner"), desk.wallet("second-owner")
    settings = desk.relay("twice", first)
    worked(
        *("relay", "register", "--settings", settings, "--stake", "1"),
        *("--wallet", first, "--yes"),
    )
    desk.settle()
    again = ["relay", "register", "--settings", settings, "--stake", "1"]

    same = psp(*again, "--wallet", first, "--yes")
    other = psp(*again, "--wallet", second, "--yes")
    anyway = psp(*again, "--wallet", second, "--dry-run", "--anyway")

    assert same.code == other.code == ExitCode.FAILED
    assert "under the same account already, as number" in same.err
    assert "with its own valid signature" in other.err
    assert "Nothing was sent; --anyway" in other.err
    assert anyway.code == ExitCode.OK
    assert "warning: this identity is registered already" in anyway.err


def test_a_users_identity_that_is_taken_is_not_paid_for_again(desk):
    owner = desk.wallet("taker")

    ran = psp(
        *("user", "register", desk.folder / "alice.user", *desk.network),
        *("--wallet", owner, "--yes"),
    )

    assert ran.code == ExitCode.FAILED
    assert "is registered already, as number" in ran.err


def test_a_permission_that_was_used_or_has_run_out_is_refused(desk):
    worked("wallet", "create", desk.folder / "edith.key")
    owner = [*desk.network, "--wallet", desk.folder / "edith.key", "--sponsored"]
    permission = desk.folder / "edith.json"
    edith = desk.user("edith")
    worked("user", "register", edith, *owner, "--out", permission)
    sponsor = desk.paying("treasury")
    worked("user", "sponsor", permission, *sponsor)
    # The first record is revoked, so that nothing but the nonce stands in the way.
    used = psp("user", "sponsor", permission, *sponsor, "--anyway")
    spoilt = desk.folder / "spoilt.json"
    spoilt.write_text(permission.read_text().replace('"v": 2', '"v": 3'))
    bent = desk.folder / "bent.json"
    digits = desk.user_ids["edith"]
    bent.write_text(permission.read_text().replace(digits[:8], "00000000"))

    ran = {name: psp("user", "sponsor", name, *sponsor) for name in (spoilt, bent)}

    assert used.code in {ExitCode.FAILED, ExitCode.REFUSED}
    assert {each.code for each in ran.values()} == {ExitCode.INPUT}
    assert "has not signed this" in ran[bent].err
    assert "no permission that can be used" in ran[spoilt].err


def test_a_forged_permission_is_refused_by_the_contract_before_it_costs_anything(desk):
    worked("wallet", "create", desk.folder / "frank.key")
    permission = desk.folder / "frank.json"
    frank = desk.user("frank")
    worked(
        *("user", "register", frank, *desk.network, "--sponsored"),
        *("--wallet", desk.folder / "frank.key", "--out", permission),
    )
    fields = json.loads(permission.read_text())
    fields["deadline"] += 1
    permission.write_text(json.dumps(fields))

    ran = psp("user", "sponsor", permission, *desk.paying("treasury"))

    assert ran.code == ExitCode.REFUSED
    assert "not signed by the owner" in ran.err
    assert "Nothing was sent" in ran.err

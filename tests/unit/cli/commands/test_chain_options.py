"""Bundles of options, passphrases, and what a command line may not be."""

import pytest

from cli.commands.chain_options import open_wallet
from cli.exit_codes import ExitCode
from psp.errors import ConfigError
from psp.runtime import keyfiles
from psp.testing.entropy import SeededEntropy

ADDRESS = "0x" + "77" * 20
CHAIN = ["--chain-id", "31337", "--rpc", "http://127.0.0.1:9"]
SENDING = [
    ["wallet", "send", ADDRESS, "1"],
    ["wallet", "cancel"],
    ["chain", "deploy", "record.json"],
    ["chain", "trusted", "1"],
    ["relay", "register", "--stake", "1"],
    ["relay", "update"],
    ["relay", "rotate-onion"],
    ["relay", "set-operator"],
    ["relay", "stake"],
    ["relay", "vote", "1", "1"],
    ["relay", "retire"],
    ["user", "register", "user.key"],
    ["user", "rotate", "1", "user.key"],
    ["user", "revoke", "1"],
    ["user", "sponsor", "permission.json"],
]
READING = [
    ["chain", "status"],
    ["discovery", "list"],
    ["discovery", "elect"],
    ["user", "show", "1"],
    ["testnet", "faucet", ADDRESS],
    ["wallet", "show", "w.key"],
]


@pytest.fixture
def wallet(psp, tmp_path):
    tmp_path.chmod(0o700)
    path = tmp_path / "w.key"
    assert psp("wallet", "create", path).code == ExitCode.OK
    return path


@pytest.mark.parametrize("command", SENDING, ids=" ".join)
def test_everything_that_sends_takes_the_same_options(psp, command):
    shown = psp(*command[:2], "--help").out

    for option in ("--settings", "--rpc", "--chain-id", "--registry", "--quorum"):
        assert option in shown
    for option in ("--wallet", "--max-fee", "--max-cost", "--yes", "--dry-run"):
        assert option in shown
    assert "--json" in shown


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_everything_that_reads_takes_the_same_options(psp, command):
    shown = psp(*command[:2], "--help").out

    for option in ("--settings", "--rpc", "--chain-id", "--registry", "--quorum"):
        assert option in shown
    assert "--json" in shown
    assert "--yes" not in shown


@pytest.mark.parametrize("command", SENDING, ids=" ".join)
def test_nothing_is_sent_without_an_account(psp, command):
    ran = psp(*command, *CHAIN)

    assert ran.code == ExitCode.USAGE
    assert "--wallet" in ran.err


def test_no_option_takes_a_secret(psp):
    for command in (*SENDING, *READING, ["wallet", "create"]):
        shown = psp(*command[:2], "--help").out
        lines = [line for line in shown.splitlines() if "--passphrase" in line]
        assert all("<bool>" in line for line in lines), command


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], "which chain"),
        (["--chain-id", "7"], "no endpoint of a chain is named"),
        ([*CHAIN, "--registry", "0x12"], "is no address"),
        ([*CHAIN, "--quorum", "2"], "a quorum of 2 among 1 endpoints"),
        (["--settings", "nowhere.toml"], "nowhere.toml"),
        (CHAIN, "which network"),
    ],
)
def test_a_command_that_lacks_something_says_what(psp, options, sentence):
    ran = psp("discovery", "list", *options)

    assert ran.code == ExitCode.CONFIG
    assert sentence in ran.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["wallet", "send", ADDRESS, "much"], "write an amount in ether"),
        (["wallet", "send", "0x77", "1"], "is no address"),
        (["wallet", "send", ADDRESS, "1", "--max-fee", "x"], "--max-fee"),
        (["wallet", "send", ADDRESS, "1", "--max-cost", "-1"], "--max-cost"),
        (["chain", "deploy", "r.json", "--seats", "999"], "--seats is 999"),
        (["chain", "deploy", "r.json", "--min-stake", "0"], "--min-stake is 0"),
        (["relay", "register", "--stake", "1"], "which relay"),
        (["relay", "stake", "--add", "1", "--remove", "1"], "one at a time"),
        (["relay", "vote", "1", "1", "--remove", "--move", "2"], "one at a time"),
        (["relay", "retire"], "which relay"),
        (["relay", "set-operator", "--number", "1"], "whom?"),
        (["user", "revoke", "nobody"], "64 hex digits"),
        (["user", "register", "/nowhere/user.key"], "/nowhere/user.key is missing"),
    ],
)
def test_a_value_that_makes_no_sense_is_said_before_the_chain_is_asked(
    psp, wallet, arguments, sentence
):
    registry = ["--registry", ADDRESS]

    ran = psp(*arguments, *CHAIN, *registry, "--wallet", wallet, "--yes")

    assert ran.code == ExitCode.CONFIG
    assert sentence in ran.err
    assert ran.out == ""


def test_a_permission_that_cannot_be_read_is_bad_input(psp, wallet, tmp_path):
    for name in ("nowhere.json", "w.key"):
        ran = psp(
            *("user", "sponsor", tmp_path / name, *CHAIN, "--registry", ADDRESS),
            *("--wallet", wallet, "--yes"),
        )
        assert ran.code == ExitCode.INPUT
        assert "is no permission that can be used" in ran.err


def test_the_faucet_fills_one_account(psp, wallet):
    for arguments in ([], [ADDRESS, "--wallet", wallet]):
        ran = psp("testnet", "faucet", *arguments, *CHAIN)
        assert ran.code == ExitCode.CONFIG
        assert "who gets it?" in ran.err


def test_an_account_is_made_once_and_shown_without_a_chain(psp, wallet):
    shown = psp("wallet", "show", wallet)
    told = psp("wallet", "show", wallet, "--json")
    again = psp("wallet", "create", wallet)

    assert shown.out.strip() == open_wallet(wallet).address_text
    assert shown.out.strip() in told.out
    assert again.code == ExitCode.CONFIG
    assert "exists" in again.err


def test_an_account_of_a_development_chain_has_its_known_key(psp, tmp_path):
    tmp_path.chmod(0o700)

    ran = psp("wallet", "create", tmp_path / "dev.key", "--dev-account", "deployer")

    assert ran.out.strip() == "0xf8a8589f10D89d59439a3Ed53717c6be70515ef4"


def test_a_passphrase_is_asked_for_or_read_from_a_private_file(
    psp, tmp_path, monkeypatch
):
    tmp_path.chmod(0o700)
    words = iter(["open", "open", "open", "wrong"])
    monkeypatch.setattr("getpass.getpass", lambda _: next(words))
    path, secret = tmp_path / "locked.key", tmp_path / "passphrase"
    secret.write_text("open\n")
    secret.chmod(0o600)

    made = psp("wallet", "create", path, "--passphrase")
    asked = psp("wallet", "show", path)
    wrong = psp("wallet", "show", path)
    read = psp("wallet", "show", path, "--wallet-passphrase-file", secret)

    assert made.out == asked.out == read.out
    assert wrong.code == ExitCode.CONFIG
    assert "passphrase" in wrong.err


def test_passphrases_that_differ_make_no_account(psp, tmp_path, monkeypatch):
    words = iter(["one", "two"])
    monkeypatch.setattr("getpass.getpass", lambda _: next(words))

    ran = psp("wallet", "create", tmp_path / "w.key", "--passphrase")

    assert ran.code == ExitCode.USAGE
    assert not (tmp_path / "w.key").exists()


def test_nobody_to_ask_for_a_passphrase_is_said(tmp_path, monkeypatch):
    tmp_path.chmod(0o700)
    path = tmp_path / "locked.key"
    entropy = SeededEntropy("locked")
    keyfiles.create(path, b"\x01" * 32, entropy=entropy, passphrase="open")

    def nobody(_):
        raise EOFError

    monkeypatch.setattr("getpass.getpass", nobody)

    with pytest.raises(ConfigError, match="there is nobody to ask for it"):
        open_wallet(path)


def test_ports_of_a_development_chain_are_its_endpoints(psp):
    ran = psp("chain", "dev", "--port", "9001", "--endpoints", "2")

    assert ran.code == ExitCode.CONFIG
    assert "1 ports are no 2 endpoints" in ran.err

"""The psp program as its user sees it (cli/main.py)."""

import pytest

import psp as package
from cli.exit_codes import ExitCode

COMMANDS = [
    [],
    ["demo"],
    ["version"],
    ["user"],
    ["user", "create"],
    ["user", "card"],
    ["user", "lookup"],
    ["user", "status"],
    ["relay"],
    ["relay", "init"],
    ["relay", "run"],
    ["relay", "sample-settings"],
    *(["relay", verb] for verb in ("register", "update", "rotate-onion", "retire")),
    *(["relay", verb] for verb in ("set-operator", "stake", "vote")),
    *(["user", verb] for verb in ("register", "rotate", "revoke", "sponsor", "show")),
    ["chain"],
    *(["chain", verb] for verb in ("dev", "deploy", "trusted", "status")),
    ["discovery"],
    *(["discovery", verb] for verb in ("list", "elect")),
    ["wallet"],
    *(["wallet", verb] for verb in ("create", "show", "send", "cancel")),
    ["testnet"],
    ["testnet", "faucet"],
    ["trusted"],
    ["trusted", "keygen"],
    ["trusted", "sign"],
    ["bench"],
    ["bench", "relay"],
    ["bench", "circuit"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(psp, command):
    ran = psp(*command, "--help")

    assert ran.code == ExitCode.OK
    assert "Usage" in ran.out
    assert "demo-peer" not in ran.out


def test_the_version_is_printed(psp):
    ran = psp("version")

    assert (ran.code, ran.out) == (ExitCode.OK, f"psp {package.__version__}\n")


def test_an_unknown_command_is_answered_with_the_nearest(psp):
    ran = psp("demmo")

    assert ran.code == ExitCode.USAGE
    assert "Did you mean 'demo'?" in ran.err


def test_an_option_that_is_missing_is_named(psp, tmp_path):
    ran = psp("trusted", "sign", tmp_path / "key", tmp_path / "out")

    assert ran.code == ExitCode.USAGE
    assert "--node" in ran.err


def test_ctrl_c_ends_a_command_without_a_word(psp, monkeypatch, tmp_path):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("psp.runtime.keyfiles.create", interrupted)

    ran = psp("trusted", "keygen", tmp_path / "partner.key")

    assert (ran.code, ran.out, ran.err) == (ExitCode.INTERRUPTED, "", "")


def test_an_error_is_one_line_however_long_and_whatever_is_in_it(psp, tmp_path):
    path = tmp_path / ("[red]" + "x" * 200)

    ran = psp("relay", "init", *INIT, path, "--operator", "[/]")

    assert ran.code == ExitCode.CONFIG
    assert ran.err.count("\n") == 1
    assert "'[/]': 40 hex digits are needed" in ran.err


INIT = ["--endpoint", "192.0.2.1:443", "--chain-id", "1", "--registry", "0" * 40]

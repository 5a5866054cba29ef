"""psp client (cli/commands/client.py); the daemon runs in tests/loopback."""

import socket

import pytest

from cli.exit_codes import ExitCode
from cli.settings_file import to_toml
from psp.client.config import ClientConfig
from psp.client.gateway_config import GatewayConfig
from psp.runtime.membership import MembershipConfig


@pytest.fixture
def run(psp, tmp_path):
    """Run the daemon with settings of the test's."""

    def run(*options, **gateway):
        config = ClientConfig(
            MembershipConfig(31337, "ab" * 20, partners=("cd" * 32,)),
            tmp_path / "state",
            gateway=GatewayConfig(**gateway),
        )
        settings = tmp_path / "client.toml"
        settings.write_text(to_toml(config))
        return psp("client", "run", "--settings", settings, *options)

    return run


def test_a_sample_of_the_settings_has_the_gateways(psp):
    ran = psp("client", "sample-settings")

    assert ran.code == ExitCode.OK
    assert "[gateway]" in ran.out
    assert "# port = 8790" in ran.out
    assert "# origins = []" in ran.out


def test_being_reachable_needs_a_key(run):
    ran = run("--announce")

    assert ran.code == ExitCode.CONFIG
    assert "--identity" in ran.err


def test_a_wrong_setting_is_one_sentence(run, monkeypatch):
    monkeypatch.setenv("PSP_GATEWAY_ORIGINS", "*")

    ran = run()

    assert ran.code == ExitCode.CONFIG
    assert "gateway.origins has '*'" in ran.err


def test_a_network_that_cannot_be_read_is_told_before_anything_listens(run):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        ran = run(port=held.getsockname()[1])

    assert ran.code == ExitCode.CONFIG
    assert "in use" not in ran.err

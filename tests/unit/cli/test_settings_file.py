"""Settings written as TOML (cli/settings_file.py)."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cli.demo.plan import make_plan
from cli.node_config import NodeConfig
from cli.settings_file import to_toml
from psp.client.config import ClientConfig
from psp.runtime import settings
from psp.testing.entropy import SeededEntropy


@dataclass(frozen=True)
class Inner:
    flag: bool = True
    names: tuple[str, ...] = ('quote " and \\', "\u00e9\n")


@dataclass(frozen=True)
class Outer:
    path: Path = Path("/tmp/x")
    number: float = 0.25
    missing: str | None = None
    inner: Inner = field(default_factory=Inner)


@dataclass(frozen=True)
class Impossible:
    value: object = field(default_factory=object)


def test_toml_reads_back():
    assert tomllib.loads(to_toml(Outer())) == {
        "path": "/tmp/x",
        "number": 0.25,
        "inner": {"flag": True, "names": ['quote " and \\', "\u00e9\n"]},
    }


def test_settings_of_relays_and_clients_come_back_equal(tmp_path):
    plan = make_plan(
        tmp_path / "plan",
        [9001, 9002],
        ["alice"],
        discovery=1,
        entropy=SeededEntropy(1),
        unix_now=1_800_000_000.0,
    )
    relay, client = plan.relays[0].config, plan.client_config("alice")
    relay_file, client_file = tmp_path / "relay.toml", tmp_path / "client.toml"
    relay_file.write_text(to_toml(relay))
    client_file.write_text(to_toml(client))

    assert settings.load(NodeConfig, relay_file) == relay
    assert settings.load(ClientConfig, client_file) == client


@pytest.mark.parametrize("value", [Outer, 3, Impossible()])
def test_what_is_no_setting_is_refused(value):
    with pytest.raises(TypeError):
        to_toml(value)

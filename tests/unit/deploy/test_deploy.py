"""What operators copy (deploy/) is what the program takes."""

import re
import time
from dataclasses import replace
from pathlib import Path

import typer

import cli.commands.client
from cli.assembly import RelayNode
from cli.demo.plan import free_ports, make_plan
from cli.node_config import MetricsConfig, NodeConfig
from cli.workers.supervisor import Workers
from psp.client.config import ClientConfig
from psp.gateway.metrics import GAUGES, make_registry
from psp.gateway.stats import GatewayStats
from psp.runtime import settings
from psp.runtime.entropy import SystemEntropy
from psp.runtime.logs import logger

DEPLOY = Path(__file__).parents[3] / "deploy"


def test_the_sample_settings_load():
    relay = settings.load(NodeConfig, DEPLOY / "config" / "relay.toml")
    client = settings.load(ClientConfig, DEPLOY / "config" / "client.toml")

    assert relay.listen.port == 443
    assert client.path.subnet_rule
    assert client.gateway.port == 8790


def test_a_clients_unit_runs_a_command_that_exists():
    unit = (DEPLOY / "systemd" / "psp-client.service").read_text()
    (command,) = re.findall(r"^ExecStart=\S+/psp (.*)$", unit, re.MULTILINE)
    words = command.split()
    context = typer.main.get_command(cli.commands.client.app).commands[words[1]]

    known = {option for parameter in context.params for option in parameter.opts}
    assert words[:2] == ["client", "run"]
    assert {word for word in words if word.startswith("--")} <= known


def test_every_metric_of_the_gateway_has_its_row():
    gauges = dict.fromkeys(GAUGES, float)
    registry = make_registry(GatewayStats(), gauges)
    text = (DEPLOY / "README.md").read_text()
    names = [
        family.name + ("_total" if family.type == "counter" else "")
        for family in registry.collect()
    ]

    assert len(names) == 8
    assert [name for name in names if f"`{name}`" not in text] == []


async def test_every_metric_has_its_row(tmp_path):
    home = tmp_path / "network"
    home.mkdir(mode=0o700)
    plan = make_plan(
        home,
        free_ports(1),
        [],
        discovery=1,
        entropy=SystemEntropy(),
        unix_now=time.time(),
    )
    config = replace(plan.relays[0].config, metrics=MetricsConfig(port=0))
    node = RelayNode(config)
    await node.start()
    text = (DEPLOY / "README.md").read_text()

    missing = [name for name in node.metric_names() if f"`{name}`" not in text]
    await node.stop()

    assert missing == []


def test_every_metric_of_several_workers_has_its_row():
    text = (DEPLOY / "README.md").read_text()
    workers = Workers(
        2,
        [],
        MetricsConfig(),
        log=logger("relay"),
        entropy=SystemEntropy(),
    )
    names = [
        family.name + ("_total" if family.type == "counter" else "")
        for family in workers.collect()
    ]

    assert len(names) == 3
    assert [name for name in names if f"`{name}`" not in text] == []

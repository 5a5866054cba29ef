"""What operators copy (deploy/) is what the program takes."""

import time
from dataclasses import replace
from pathlib import Path

from cli.assembly import RelayNode
from cli.demo.plan import free_ports, make_plan
from cli.node_config import MetricsConfig, NodeConfig
from psp.client.config import ClientConfig
from psp.runtime import settings
from psp.runtime.entropy import SystemEntropy

DEPLOY = Path(__file__).parents[3] / "deploy"


def test_the_sample_settings_load():
    relay = settings.load(NodeConfig, DEPLOY / "config" / "relay.toml")
    client = settings.load(ClientConfig, DEPLOY / "config" / "client.toml")

    assert relay.listen.port == 443
    assert client.path.subnet_rule


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

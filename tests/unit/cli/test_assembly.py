"""What a relay refuses to start with (cli/assembly.py)."""

import asyncio
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from cli.assembly import RelayNode
from cli.demo.plan import HOST, NetworkPlan, make_plan
from cli.node_config import MetricsConfig, NodeConfig
from psp.errors import ConfigError
from psp.runtime import keyfiles
from psp.runtime.statefile import StateFile
from psp.testing.clock import EPOCH
from psp.testing.entropy import SeededEntropy
from psp.testing.hub import SimHub
from psp.testing.simloop import run_simulation


@pytest.fixture
def plan(tmp_path: Path) -> NetworkPlan:
    return make_plan(
        tmp_path / "network",
        [9001, 9002],
        ["alice"],
        discovery=1,
        entropy=SeededEntropy(1),
        unix_now=EPOCH,
    )


def start(config: NodeConfig) -> RelayNode:
    """Start a relay in virtual time, and stop it."""

    async def main(hub: SimHub) -> RelayNode:
        node = RelayNode(
            config,
            udp=hub.socket((HOST, config.listen.port)),
            unix_time=hub.unix_time,
            entropy=SeededEntropy(2),
        )
        await node.start()
        await asyncio.sleep(100.0)
        await node.stop()
        return node

    return run_simulation(main)


def test_a_relay_starts_and_leaves_its_state_behind(plan):
    config = plan.relays[0].config

    node = start(config)

    assert node.node_id == plan.relays[0].node_id
    assert node.is_discovery_node == (node.node_id in plan.discovery_nodes)
    assert (config.state_dir / "relay.json").exists()
    start(config)


def test_a_relay_that_is_not_in_the_registry_says_who_can_help(plan, tmp_path):
    other = make_plan(
        tmp_path / "other",
        [9001],
        [],
        discovery=1,
        entropy=SeededEntropy(9),
        unix_now=EPOCH,
    )
    config = replace(other.relays[0].config, membership=plan.membership)

    with pytest.raises(ConfigError, match="is not in the registry; have a trusted"):
        start(config)


def test_another_onion_key_than_the_registrys_is_refused(plan):
    keys = plan.relays[0].config.keys
    wrong = replace(keys, onion=plan.relays[1].config.keys.onion)

    with pytest.raises(ConfigError, match=r"keys\.onion is not the onion key"):
        start(replace(plan.relays[0].config, keys=wrong))


def test_a_port_that_nobody_would_find_is_refused(plan):
    config = plan.relays[0].config

    with pytest.raises(
        ConfigError, match=r"listen\.port is 9009, the registry says .9001"
    ):
        start(replace(config, listen=replace(config.listen, port=9009)))


def test_ports_of_workers_that_are_not_in_the_registry_are_refused(plan):
    config = plan.relays[0].config

    with pytest.raises(ConfigError, match=r"workers is 2, the registry has 1 port"):
        start(replace(config, workers=2))


@pytest.mark.parametrize("key", ["identity", "onion", "previous_onion"])
def test_a_key_file_of_another_kind_is_named(plan, tmp_path, key):
    config = plan.relays[0].config
    wrong = tmp_path / "keys" / "user.key"
    keyfiles.create(wrong, bytes(64), entropy=SeededEntropy(3))

    with pytest.raises(ConfigError, match=r"user.key holds 64 bytes"):
        start(replace(config, keys=replace(config.keys, **{key: wrong})))


def test_a_key_that_others_may_read_is_refused_with_the_cure(plan):
    config = plan.relays[0].config
    config.keys.identity.chmod(0o640)

    with pytest.raises(ConfigError, match=r"run: chmod 0600 .*identity.key"):
        start(config)


def test_keys_under_a_passphrase_open_with_its_file(plan, tmp_path):
    config = plan.relays[0].config
    secret = tmp_path / "secret"
    secret.mkdir(mode=0o700)
    (secret / "words").write_text("open sesame\n")
    (secret / "words").chmod(0o600)
    keyfiles.change_passphrase(
        config.keys.identity, entropy=SeededEntropy(4), old=None, new="open sesame"
    )

    with pytest.raises(ConfigError, match="passphrase"):
        start(config)
    keys = replace(config.keys, passphrase_file=secret / "words")
    assert start(replace(config, keys=keys)).node_id == plan.relays[0].node_id


@pytest.mark.parametrize("saved", ["%%%", "\u00e9", "AAAA", 7])
def test_saved_timestamps_that_are_none_are_refused_with_the_cure(plan, saved):
    config = plan.relays[0].config
    file = StateFile(config.state_dir / "relay.json", form="psp-relay", version=1)
    file.save({"link_timestamps": saved})

    with pytest.raises(ConfigError, match=r"relay.json"):
        start(config)


async def test_a_busy_metrics_port_is_named(plan):
    with socket.socket() as held, socket.socket(type=socket.SOCK_DGRAM) as free:
        held.bind((HOST, 0))
        held.listen()
        free.bind((HOST, 0))
        port = held.getsockname()[1]
        config = replace(
            plan.relays[0].config, metrics=MetricsConfig(enabled=True, port=port)
        )
        hub = SimHub(asyncio.get_running_loop())
        node = RelayNode(config, udp=hub.socket((HOST, 9001)), unix_time=lambda: EPOCH)

        with pytest.raises(ConfigError, match=str(port)):
            await node.start()
        await node.stop()

"""The gateway before real clients and relays: its daemon, curl, psp presence."""

import asyncio
import json
import os
import shutil
import signal
import sys
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

import psp.testing
from cli.settings_file import to_toml
from psp.client.gateway_config import GatewayConfig
from psp.gateway.service import Gateway
from psp.runtime import keyfiles
from psp.runtime.entropy import SystemEntropy
from psp.runtime.logs import logger
from tests.unit.psp.gateway.rig import TOKEN, Program, read_events

EXAMPLES = Path(__file__).parents[2] / "deploy" / "examples"

pytestmark = pytest.mark.timeout(90)


async def gateway_before(client):
    config = GatewayConfig(port=0)
    gateway = Gateway(
        client, config, TOKEN, entropy=SystemEntropy(), log=logger("gateway")
    )
    await gateway.start()
    return gateway


@asynccontextmanager
async def program_before(client):
    """A program that asks a real client."""
    gateway = await gateway_before(client)
    try:
        async with aiohttp.ClientSession() as session:
            yield Program(gateway, client, session)
    finally:
        await gateway.close()


async def test_what_programs_do_reaches_real_clients():
    """Two gateways before two clients of one network in memory."""
    async with psp.testing.network() as net:
        alice, bob = await net.client("alice"), await net.client("bob")
        async with program_before(alice) as at_alice, program_before(bob) as at_bob:
            card = await at_alice.ask("POST", "/v1/invitations", {"name": "bob"})
            added = await at_bob.ask(
                "POST", "/v1/contacts", {"card": card.body["card"], "name": "alice"}
            )
            away = await at_bob.ask("GET", "/v1/presence/alice")
            watch = await at_bob.ask("POST", "/v1/watches", {"who": ["alice"]})
            async with at_bob.stream("/v1/events") as events:
                (first,) = await read_events(events, 1)
                announced = await at_alice.ask(
                    "PUT",
                    "/v1/announcement",
                    {"status": "in the garden", "capabilities": ["audio"]},
                )
                found = await at_bob.ask("GET", "/v1/presence/alice")
                many = await at_bob.ask("POST", "/v1/presence", {"who": ["alice"]})
                withdrawn = await at_alice.ask("DELETE", "/v1/announcement")
            status = await at_bob.ask("GET", "/v1/status")

    assert [added.status, watch.status, announced.status] == [201, 201, 200]
    assert announced.body["points"] >= 1
    assert away.body["state"] == first["data"]["state"] == "offline"
    assert found.body["state"] == "online"
    assert found.body["status"] == "in the garden"
    assert found.body["capabilities"] == ["audio"]
    assert many.body["results"][0]["presence"]["state"] == "online"
    assert withdrawn.status == 204
    assert status.body["relays"] == len(net.relays)


async def test_a_program_hears_a_call_and_refuses_it():
    async with psp.testing.network() as net:
        alice, bob = await net.client("alice"), await net.client("bob")
        async with program_before(alice) as at_alice:
            card = await at_alice.ask("POST", "/v1/invitations", {"name": "bob"})
            bob.contacts.add(card.body["card"], "alice")
            await alice.announce()
            async with at_alice.stream("/v1/calls/incoming") as events:
                calling = asyncio.create_task(bob.call("alice"))
                (rings,) = await read_events(events, 1)
                path = f"/v1/calls/incoming/{rings['data']['call']}/refuse"
                refused = await at_alice.ask("POST", path)
                (ended,) = await read_events(events, 1)
            calling.cancel()
            await asyncio.gather(calling, return_exceptions=True)

    assert rings["data"]["contact"] == "bob"
    assert refused.status == 204
    assert ended["event"] == "call-ended"


class Shell:
    """Somebody who runs commands on this host."""

    def __init__(self, folder, net):
        self.folder = folder
        self._net = net

    def settle(self, name):
        """Write the settings and the key of a user."""
        config = replace(self._net.config(name), gateway=GatewayConfig(port=0))
        identity = self._net.identity(name)
        (self.folder / f"{name}.toml").write_text(to_toml(config))
        keyfiles.create(
            self.folder / f"{name}.key",
            identity.key.seed + identity.discovery_secret,
            entropy=SystemEntropy(),
        )
        return config

    async def start(self, name, *command):
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "cli.main", *command),
            *("--settings", str(self.folder / f"{name}.toml")),
            *("--identity", str(self.folder / f"{name}.key")),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "NO_COLOR": "1", "COLUMNS": "200"},
        )

    async def run(self, name, *command, stdin=""):
        process = await self.start(name, *command)
        out, err = await process.communicate(stdin.encode())
        assert b"Traceback" not in err, err.decode()
        return process.returncode, out.decode(), err.decode()


async def run_curl(url, token_file, *who):
    script = await asyncio.create_subprocess_exec(
        *("sh", str(EXAMPLES / "presence.sh"), str(token_file), *who),
        stdout=asyncio.subprocess.PIPE,
        env={"PSP_URL": url, "PATH": os.environ["PATH"]},
    )
    out, _ = await script.communicate()
    return script.returncode, out


async def test_a_daemon_serves_curl_and_psp_presence_finds_its_user(tmp_path):
    """Real relays on loopback, every client a process of its own."""
    if shutil.which("curl") is None:
        pytest.skip("no curl here: make browser installs it")
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    async with psp.testing.network(loopback=True, folder=tmp_path / "net") as net:
        shell = Shell(home, net)
        config = shell.settle("alice")
        shell.settle("bob")
        _, card, _ = await shell.run("alice", "presence", "contacts", "invite", "bob")
        await shell.run("bob", "presence", "contacts", "add", "alice", stdin=card)
        daemon = await shell.start(
            "alice", "client", "run", "--log-json", "--announce", "--status", "here"
        )
        try:
            started = json.loads(await daemon.stdout.readline())
            url = f"http://127.0.0.1:{started['port']}"
            token_file = config.state_dir / "gateway.token"
            token = token_file.read_text().strip()
            asked = await run_curl(url, token_file, "nobody", bob_id(net))
            async with aiohttp.ClientSession() as session:
                headers = {"Authorization": f"Bearer {token}"}
                points = 0
                while points == 0:
                    async with session.get(
                        f"{url}/v1/announcement", headers=headers
                    ) as answer:
                        points = (await answer.json())["points"]
            found = await shell.run("bob", "presence", "lookup", "alice", "--json")
            refused = await shell.run("alice", "presence", "lookup", "bob")
            daemon.send_signal(signal.SIGTERM)
            out, err = await daemon.communicate()
        finally:
            if daemon.returncode is None:
                daemon.kill()
        left = await shell.run("bob", "presence", "lookup", "alice")

    assert (daemon.returncode, b"Traceback" in err) == (0, False)
    assert json.loads(out.splitlines()[-1])["event"] == "gateway_stopped"
    assert token not in (out + err).decode()
    code, text = asked
    problems = [each["problem"]["type"] for each in json.loads(text)["results"]]
    assert code == 0
    assert problems == ["urn:psp:problem:unknown-contact"] * 2
    assert found[0] == 0
    assert json.loads(found[1])["presence"]["status"] == "here"
    assert refused[0] == 3
    assert "another psp program uses" in refused[2]
    assert left[0] == 1
    assert "offline" in left[1]


def bob_id(net):
    return net.identity("bob").user_id.hex()

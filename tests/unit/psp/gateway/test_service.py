"""The gateway as a service (psp/gateway/service.py)."""

import asyncio
import socket

import aiohttp
import pytest

from psp.client.gateway_config import GatewayConfig
from psp.errors import ConfigError
from psp.gateway.service import Gateway
from psp.runtime.logs import logger
from psp.testing.entropy import SeededEntropy
from psp.testing.presence_client import FakePresenceClient
from tests.unit.psp.gateway.rig import TOKEN


def make(folder, **settings):
    (folder / "state").mkdir(mode=0o700)
    entropy = SeededEntropy("service")
    client = FakePresenceClient(folder / "state", entropy, with_identity=False)
    config = GatewayConfig(**{"port": 0, **settings})
    return Gateway(client, config, TOKEN, entropy=entropy, log=logger("gateway"))


async def test_it_listens_on_loopback_alone(program):
    port = int(program.gateway.url.rpartition(":")[2])

    assert program.gateway.url == f"http://127.0.0.1:{port}"
    with socket.socket() as other, pytest.raises(ConnectionRefusedError):
        # Another address of this host that is loopback, too, and not listened on.
        other.connect(("127.0.0.2", port))


async def test_a_taken_port_is_named(tmp_path):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        port = held.getsockname()[1]
        gateway = make(tmp_path, port=port)

        with pytest.raises(ConfigError, match=f"port {port} on 127.0.0.1 is in use"):
            await gateway.start()

    await gateway.close()


async def test_closing_ends_streams_and_leaves_nothing(program):
    tasks = asyncio.all_tasks()
    async with program.stream("/v1/events") as answer:
        await answer.content.readline()
        closing = asyncio.create_task(program.gateway.close())
        rest = await answer.content.read()
        await closing

    assert rest == b"\n"
    with pytest.raises(aiohttp.ClientConnectorError):
        await program.ask("GET", "/healthz")
    assert asyncio.all_tasks() <= tasks


async def test_status_tells_what_the_client_does(program):
    program.befriend("alice")
    await program.ask("POST", "/v1/watches", {"who": ["alice"]})

    async with program.stream("/v1/events"):
        answer = await program.ask("GET", "/v1/status")

    assert answer.body == {
        "version": "0.1.0",
        "user": program.client.identity.user_id.hex(),
        "source": "trusted",
        "registry": "file 1 of the trusted partners, fresh",
        "directory": "12 of 12 relays",
        "relays": 12,
        "points": 0,
        "watches": 1,
        "streams": 1,
    }


async def test_a_client_without_an_identity_is_served_as_far_as_that_goes(tmp_path):
    gateway = make(tmp_path)
    await gateway.start()
    try:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with aiohttp.ClientSession(gateway.url, headers=headers) as session:
            status = await (await session.get("/v1/status")).json()
            shown = await (await session.get("/v1/announcement")).json()
            refused = await session.put("/v1/announcement", json={})
            problem = await refused.json(content_type=None)
    finally:
        await gateway.close()

    assert status["user"] is None
    assert shown["is_announced"] is False
    assert (refused.status, problem["type"]) == (409, "urn:psp:problem:not-possible")

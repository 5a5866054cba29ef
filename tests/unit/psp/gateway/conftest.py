"""A gateway on a real port before a client of the test's, and a program that asks it."""

import io

import aiohttp
import pytest

from psp.client.gateway_config import GatewayConfig
from psp.gateway.service import Gateway
from psp.runtime.logs import LogOutput, logger
from psp.testing.entropy import SeededEntropy
from psp.testing.presence_client import FakePresenceClient
from tests.unit.psp.gateway.rig import PAGE, TOKEN, Program


@pytest.fixture
def settings():
    """Settings of the gateway; a test overrides the fixture by parametrizing it."""
    return {}


@pytest.fixture
def logged(monkeypatch):
    """What was logged; a log of the test's own, so that nothing is left out."""
    stream = io.StringIO()
    monkeypatch.setattr("psp.runtime.logs._output", LogOutput(stream=stream))
    return stream


@pytest.fixture
async def program(tmp_path, settings):
    entropy = SeededEntropy("gateway")
    (tmp_path / "state").mkdir(mode=0o700)
    client = FakePresenceClient(tmp_path / "state", entropy)
    config = GatewayConfig(**{"port": 0, "origins": (PAGE,), **settings})
    gateway = Gateway(client, config, TOKEN, entropy=entropy, log=logger("gateway"))
    await gateway.start()
    async with aiohttp.ClientSession() as session:
        yield Program(gateway, client, session)
    await gateway.close()

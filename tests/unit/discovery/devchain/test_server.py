"""A node on ports: HTTP, compression, limits, blocks in time."""

import asyncio
import gzip
import json

import aiohttp
import pytest

from discovery.devchain.config import DevChainConfig, RpcLimits
from discovery.devchain.node import DevNode
from discovery.devchain.server import ChainServer
from psp.errors import ConfigError
from psp.units import Seconds
from tests.unit.discovery.devchain.rig import Clock

LIMITS = RpcLimits(body=2_000, compress_from=1_000)


@pytest.fixture
async def server():
    def make_node():
        return DevNode(DevChainConfig(), Clock(), LIMITS)

    server = ChainServer(make_node, lambda *fault: pytest.fail(repr(fault)))
    server.urls = await server.start("127.0.0.1", [0, 0], strict=True)
    yield server
    await server.close()


@pytest.fixture
async def http():
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        yield session


def request(method, *params):
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


async def test_every_port_serves_the_same_chain(server, http):
    async with http.post(server.urls[0], json=request("evm_mine")) as response:
        assert response.status == 200
    async with http.post(server.urls[1], json=request("eth_blockNumber")) as response:
        assert (await response.json())["result"] == "0x1"
        assert response.content_type == "application/json"


@pytest.mark.parametrize(
    ("accepts", "encoding"), [("gzip, deflate", "gzip"), ("identity", None)]
)
async def test_long_answer_is_compressed_for_who_takes_it(
    server, http, accepts, encoding
):
    headers = {"Accept-Encoding": accepts}
    body = request("eth_getBlockByNumber", "latest")

    async with http.post(server.urls[0], json=body, headers=headers) as response:
        answer = await response.read()

    assert response.headers.get("Content-Encoding") == encoding
    plain = gzip.decompress(answer) if encoding else answer
    assert json.loads(plain)["result"]["number"] == "0x0"


async def test_short_answer_is_not_compressed(server, http):
    headers = {"Accept-Encoding": "gzip"}
    body = request("eth_chainId")

    async with http.post(server.urls[0], json=body, headers=headers) as response:
        assert "Content-Encoding" not in response.headers


async def test_long_request_is_refused_before_it_is_read(server, http):
    async with http.post(server.urls[0], data=b"[" * 3_000) as response:
        assert response.status == 413


async def test_only_posts_are_answered(server, http):
    async with http.get(server.urls[0]) as response:
        assert response.status == 405


async def test_bad_request_does_not_stop_the_server(server, http):
    async with http.post(server.urls[0], data=b"nonsense") as response:
        assert (await response.json())["error"]["code"] == -32700
    async with http.post(server.urls[0], json=request("eth_chainId")) as response:
        assert (await response.json())["result"] == "0x7a69"


async def test_taken_port_is_an_error_only_when_it_was_asked_for(server):
    port = int(server.urls[0].rsplit(":", 1)[1])
    other = ChainServer(lambda: DevNode(DevChainConfig(), Clock()), print)

    with pytest.raises(ConfigError, match=f"port {port}"):
        await other.start("127.0.0.1", [port], strict=True)

    other = ChainServer(lambda: DevNode(DevChainConfig(), Clock()), print)
    urls = await other.start("127.0.0.1", [port], strict=False)
    assert urls != [server.urls[0]]
    await other.close()


async def test_blocks_are_made_in_time_and_a_fault_does_not_end_that(monkeypatch):
    faults, mined = [], asyncio.Event()
    server = ChainServer(
        lambda: DevNode(DevChainConfig(block_time=Seconds(1)), Clock()),
        lambda name, error: faults.append((name, str(error))),
    )
    await server.start("127.0.0.1", [0], strict=True)
    loop = asyncio.get_running_loop()
    mine = server.node.mine

    def broken_once():
        if not faults:
            raise ZeroDivisionError("once")
        loop.call_soon_threadsafe(mined.set)
        return mine()

    monkeypatch.setattr(server.node, "mine", broken_once)
    server.mine_every(Seconds(0.001))
    await mined.wait()
    await server.close()

    assert faults == [("block", "once")]

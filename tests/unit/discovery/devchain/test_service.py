"""A chain is served by whoever has its file; the others find and succeed it."""

import asyncio
import time

import pytest

from discovery.devchain import service
from discovery.devchain.config import DevChainConfig
from discovery.devchain.ownership import Lock, read_endpoints
from discovery.devchain.process import call
from discovery.devchain.service import DevChain
from psp.errors import ConfigError
from psp.units import Seconds


@pytest.fixture
def config(tmp_path):
    return DevChainConfig(path=tmp_path / "chain.db")


async def test_chain_in_memory_is_served_until_it_is_closed():
    chain = DevChain(DevChainConfig(endpoints=3))
    await chain.start()

    heads = [
        await asyncio.to_thread(call, url, "eth_blockNumber") for url in chain.urls
    ]

    assert heads == ["0x0"] * 3
    assert chain.chain_id == 31_337
    assert len(chain.accounts) == 20
    await chain.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.to_thread(call, chain.urls[0], "eth_blockNumber")


async def test_methods_can_be_called_without_http():
    chain = DevChain()
    await chain.start()

    assert await chain.rpc("eth_chainId") == "0x7a69"
    with pytest.raises(RuntimeError, match="-32601"):
        await chain.rpc("eth_unheard")
    await chain.close()


async def test_second_process_finds_the_first(config):
    first, second = DevChain(config), DevChain(config)
    await first.start()

    await second.start()

    await first.wait_until_owner()
    assert first.is_owner
    assert not second.is_owner
    assert second.urls == first.urls
    assert second.chain_id == first.chain_id
    with pytest.raises(RuntimeError, match="does not serve"):
        await second.rpc("eth_chainId")
    await second.close()
    await first.close()


async def test_second_process_takes_over_on_the_same_ports(config, monkeypatch):
    monkeypatch.setattr(service, "POLL", 0.001)
    first, second = DevChain(config), DevChain(config)
    await first.start()
    await first.rpc("evm_mine")
    await second.start()
    urls = first.urls

    await first.close()
    await second.wait_until_owner()

    assert second.is_owner
    assert second.urls == urls
    assert await second.rpc("eth_blockNumber") == "0x1"
    await second.close()


async def test_chain_opened_again_has_its_ports_and_blocks(config):
    first = DevChain(config)
    await first.start()
    await first.rpc("evm_mine")
    await first.close()
    assert not read_endpoints(config.path).is_alive

    second = DevChain(config)
    await second.start()

    assert second.urls == first.urls
    assert await second.rpc("eth_blockNumber") == "0x1"
    await second.close()


async def test_lock_of_a_silent_process_is_an_error_in_time(config, monkeypatch):
    monkeypatch.setattr(service, "WAIT_FOR_OWNER", 0.01)
    lock = Lock.take(config.path)

    with pytest.raises(ConfigError, match=r"chain\.db is locked"):
        await DevChain(config).start()

    lock.release()


async def test_file_that_is_no_chain_is_named(config):
    config.path.write_bytes(b"no database" * 100)

    with pytest.raises(ConfigError, match="not a chain file"):
        await DevChain(config).start()


async def test_chain_that_cannot_listen_lets_the_file_go(config):
    other = DevChain()
    await other.start()
    port = int(other.urls[0].rsplit(":", 1)[1])

    with pytest.raises(ConfigError, match=f"port {port}"):
        await DevChain(DevChainConfig(path=config.path, ports=(port,))).start()

    lock = Lock.take(config.path)
    assert lock is not None
    lock.release()
    await other.close()


async def test_blocks_are_made_in_time():
    chain = DevChain(DevChainConfig(block_time=Seconds(0.01)))
    await chain.start()
    deadline = time.monotonic() + 10

    while await chain.rpc("eth_blockNumber") == "0x0":
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)

    await chain.close()

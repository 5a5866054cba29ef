"""Real chains with a small network on them, and endpoints in front of them that lie."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from aiohttp import web

from cli.demo.chain import Account, FoundedChain, Founder, make_accounts
from discovery.devchain.accounts import dev_account
from discovery.devchain.anvil import AnvilProcess, find_anvil
from discovery.devchain.process import DevChainProcess
from discovery.transactions.wallet import Wallet
from psp.client.identities.identity import ClientIdentity
from psp.crypto.keys import SigningKey
from psp.crypto.primitives import x25519_generate, x25519_public
from psp.ids import NodeId
from psp.netdoc.node_entry import SignedNode
from psp.netdoc.node_record import NodeRecord
from psp.runtime.chain_reader import ChainReader
from psp.runtime.quorum import QuorumRpc
from psp.runtime.rpc import RpcEndpoint, RpcLimits, new_session
from psp.testing.entropy import SeededEntropy
from psp.units import Seconds
from psp.wire.endpoint import Endpoint

CHAIN_ID = 31_337
EPOCH = 600
SEATS = 4
NODES = 12
KINDS = ("embedded", "anvil")
SETTLE = 3
"""Blocks after which anvil calls one final here; the embedded chain does at once."""
LIMITS = RpcLimits(timeout=Seconds(5), retries=0)


@dataclass
class Network:
    """A network on a chain that runs.

    Attributes:
        chain: The process.
        founded: Its contracts and stakes.
        relays: Accounts and entry of each relay; numbers count from 1.
        users: Registered identities.
    """

    chain: DevChainProcess | AnvilProcess
    founded: FoundedChain
    relays: list[tuple[Account, SignedNode]]
    users: list[ClientIdentity]

    @property
    def url(self) -> str:
        return self.chain.url

    def rpc(self, method, *params):
        return self.chain.rpc(method, *params)

    def settle(self, blocks: int = SETTLE) -> None:
        """Make what has happened final."""
        for _ in range(blocks):
            self.rpc("evm_mine")

    def deployer(self) -> Wallet:
        """An account with money that owns no relay."""
        return Wallet(dev_account("deployer").key)

    def do(self, wallet: Wallet, call, settle: int = SETTLE, **options):
        """Have an account do something, and make it final; return the receipt."""

        async def work():
            async with new_session(1) as session:
                rpc = RpcEndpoint(self.url, session)
                address = "0x" + wallet.address.hex()
                nonce = await rpc.call("eth_getTransactionCount", address, "latest")
                founder = Founder(rpc.call, self.founded.epoch_length, 0, wallet)
                founder.nonces[wallet.address] = int(str(nonce), 16)
                return await founder.block([(wallet, call)], **options)

        # In a thread of its own: the test may have a loop already.
        with ThreadPoolExecutor(1) as thread:
            (receipt,) = thread.submit(asyncio.run, work()).result()
        self.settle(settle)
        return receipt

    def owner(self, user: int) -> Wallet:
        """The account of a registered user, by number."""
        return Wallet(bytes([user]) * 32)


@contextmanager
def running_network(
    kind: str, folder: Path, *, finality: int = 0, nodes: int = NODES
) -> Iterator[Network]:
    """Run a chain and found a network on it, with its first list in force."""
    now = time.time()
    genesis = Founder.genesis_time(EPOCH, now)
    chain: DevChainProcess | AnvilProcess
    if kind == "anvil":
        binary = find_anvil()
        assert binary is not None, "no anvil here: run `make anvil`"
        chain = AnvilProcess(
            binary, [f"--timestamp={genesis}", "--slots-in-an-epoch=1"]
        )
    else:
        chain = DevChainProcess(
            [
                str(folder / "chain"),
                f"--genesis-time={genesis}",
                f"--finality={finality}",
            ]
        )
    try:
        # In a thread of its own: the test may have a loop already.
        with ThreadPoolExecutor(1) as thread:
            founding = _found(chain, folder, int(now), nodes)
            network = thread.submit(asyncio.run, founding).result()
        yield network
    finally:
        chain.stop()


async def _found(chain, folder: Path, now: int, nodes: int) -> Network:
    entropy = SeededEntropy("chains")
    async with new_session(1) as session:
        founder = Founder(RpcEndpoint(chain.url, session).call, EPOCH, now)
        founded = await founder.deploy(SEATS)
        accounts = make_accounts([folder / f"relay-{i}" for i in range(nodes)], entropy)
        relays = [
            (account, sign_node(founded, account.owner.address, i, entropy))
            for i, account in enumerate(accounts)
        ]
        users = [ClientIdentity.generate(entropy, name) for name in ("alice", "bob")]
        owners = [Wallet(bytes([i]) * 32) for i in range(1, len(users) + 1)]
        if relays:
            founded = await founder.fill(
                founded, relays, zip(owners, users, strict=True), [nodes - 1, nodes]
            )
    network = Network(chain, founded, relays, users)
    network.settle()
    return network


def sign_node(founded: FoundedChain, owner: bytes, i: int, entropy) -> SignedNode:
    """Make a relay's keys and entry."""
    key = SigningKey.generate(entropy)
    record = NodeRecord(
        NodeId(key.public),
        x25519_public(x25519_generate(entropy)),
        (Endpoint(f"10.{i}.0.1", 9001),),
        owner,
    )
    return SignedNode.sign(founded.network, record, key)


# ---- endpoints in front of a chain

Change = Callable[[str, list, object], object]
"""Takes a method, its parameters and the true result; returns what is said instead."""


def honest(method, params, result):
    return result


@asynccontextmanager
async def proxy(url: str, change: Change = honest):
    """An endpoint that asks the chain and says what ``change`` makes of the answer."""

    async def handle(request):
        asked = json.loads(await request.read())
        async with session.post(url, json=asked) as answer:
            said = await answer.json()
        if "result" in said:
            said["result"] = change(asked["method"], asked["params"], said["result"])
            if isinstance(said["result"], Awaitable):
                said["result"] = await said["result"]
        return web.json_response(said)

    app = web.Application()
    app.router.add_post("/", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    async with aiohttp.ClientSession() as session:
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            host, port = runner.addresses[0]
            yield f"http://{host}:{port}"
        finally:
            await runner.cleanup()


@asynccontextmanager
async def reader(network: Network, *urls: str, quorum: int = 2, **settings):
    """A reader over these endpoints."""
    async with new_session(len(urls)) as session:
        endpoints = [
            RpcEndpoint(url, session, name=f"endpoint {i}", limits=LIMITS)
            for i, url in enumerate(urls, 1)
        ]
        rpc = QuorumRpc(
            endpoints,
            chain_id=settings.get("chain_id", CHAIN_ID),
            quorum=quorum,
            entropy=SeededEntropy("reader"),
            patience=Seconds(0.2),
        )
        yield ChainReader(rpc, settings.get("name", network.founded.network))

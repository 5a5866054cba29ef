"""Sets a whole network up on an embedded chain, before any of its processes starts."""

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cli.demo.chain import (
    CHAIN_FILE,
    OPERATOR_KEY,
    FoundedChain,
    Founder,
    make_accounts,
)
from cli.demo.plan import HOST, ChainPlan, NetworkPlan, make_plan, relay_home
from cli.demo.processes import Process
from cli.demo.report_chain import Replayed
from discovery.devchain.config import DevChainConfig
from discovery.devchain.service import DevChain
from discovery.replay.client import replay
from discovery.transactions.wallet import Wallet
from psp.entropy import Entropy
from psp.runtime.rpc import RpcEndpoint, new_session
from psp.units import Seconds

ENDPOINTS = 3
SEATS = 4
BLOCK_TIME = 1
_POLLS_PER_EPOCH = 20
_LONGEST_POLL = 4.0
_PARTNERS = 2
"""The last relays are the trusted partners'."""
_START_WITHIN = 30.0


@dataclass(frozen=True, slots=True)
class Founding:
    """A network that is ready to be started.

    Attributes:
        plan: Its processes and settings.
        chain: Its contracts.
        chain_file: The chain itself.
        chain_ports: TCP ports on which it is to be served.
    """

    plan: NetworkPlan
    chain: FoundedChain
    chain_file: Path
    chain_ports: tuple[int, ...]


async def found_network(
    folder: Path,
    ports: Sequence[int],
    users: Sequence[str],
    *,
    epoch_length: int,
    entropy: Entropy,
    unix_now: float,
) -> Founding:
    """Deploy contracts, register relays and users, hold the first election.

    Args:
        folder: For everything, private.
        ports: UDP port of each relay.
        users: Their names.
        epoch_length: Seconds.
        entropy: For all keys.
        unix_now: The present.

    Raises:
        ChainSetupError: If the chain refuses something.
    """
    chain_file = folder / CHAIN_FILE
    genesis = Founder.genesis_time(epoch_length, unix_now)
    chain = DevChain(DevChainConfig(path=chain_file, genesis_time=genesis))
    await chain.start()
    try:
        founder = Founder(chain.rpc, epoch_length, int(unix_now))
        founded = await founder.deploy(SEATS)
        homes = [relay_home(folder, number) for number in range(len(ports))]
        accounts = await asyncio.to_thread(make_accounts, homes, entropy)
        rpc_ports = _free_tcp_ports(ENDPOINTS)
        place = ChainPlan(
            founded.network,
            tuple(account.owner.address for account in accounts),
            OPERATOR_KEY,
            tuple(f"http://{HOST}:{port}" for port in rpc_ports),
            Seconds(min(_LONGEST_POLL, epoch_length / _POLLS_PER_EPOCH)),
        )
        plan = await asyncio.to_thread(
            make_plan,
            folder,
            list(ports),
            list(users),
            discovery=SEATS,
            entropy=entropy,
            unix_now=unix_now,
            chain=place,
        )
        relays = [
            (account, relay.signed)
            for account, relay in zip(accounts, plan.relays, strict=True)
        ]
        owners = [
            await asyncio.to_thread(
                Wallet.create, folder / name / "owner.key", entropy=entropy
            )
            for name in plan.users
        ]
        founded = await founder.fill(
            founded,
            relays,
            zip(owners, plan.users.values(), strict=True),
            list(range(len(relays) - _PARTNERS + 1, len(relays) + 1)),
        )
    finally:
        await chain.close()
    return Founding(plan, founded, chain_file, rpc_ports)


async def start_chain(founding: Founding) -> Process:
    """Serve the chain in a process of its own, a block each second."""
    arguments = [str(founding.chain_file), f"--block-time={BLOCK_TIME}"]
    arguments.append("--ends-with-stdin")
    arguments += [f"--port={port}" for port in founding.chain_ports]
    log = founding.plan.folder / "chain.log"
    process = await Process.start("chain", arguments, log, module="discovery.devchain")
    await process.wait_for("chain_started", _START_WITHIN)
    return process


async def replay_epoch(founding: Founding, epoch: int) -> Replayed:
    """Draw a list again from what the chain shows to anybody.

    Raises:
        PspError: If the chain cannot be read.
    """
    network = founding.chain.network
    async with new_session(ENDPOINTS) as session:
        endpoints = [
            RpcEndpoint(f"http://{HOST}:{port}", session, name=f"endpoint {number}")
            for number, port in enumerate(founding.chain_ports, 1)
        ]
        drawn = await replay(endpoints, network, epoch)
    return Replayed(epoch, drawn.elected, drawn.matches)


def _free_tcp_ports(count: int) -> tuple[int, ...]:
    held = [socket.socket() for _ in range(count)]
    try:
        for each in held:
            each.bind((HOST, 0))
        return tuple(each.getsockname()[1] for each in held)
    finally:
        for each in held:
            each.close()

"""Settings of the development chain."""

from dataclasses import dataclass
from pathlib import Path

from discovery.devchain.accounts import DEFAULT_NAMES
from psp.units import Seconds, UnixTime

CHAIN_ID = 31_337
"""What anvil and hardhat use: wallets know it as a chain without value."""

GAS_LIMIT = 60_000_000
"""Of a block; Ethereum's own in 2026. A view over 240 nodes takes about 6,000,000."""

WEI = 10**18
"""Wei in one ether."""


@dataclass(frozen=True, slots=True)
class DevChainConfig:
    """One development chain.

    Attributes:
        path: The SQLite file; None keeps the chain in memory.
        chain_id: EIP-155 number; that of an existing file wins over this one.
        accounts: Names of the accounts with a balance at the start.
        balance: Of each of them, in wei.
        block_time: Seconds between blocks; 0 makes a block of every transaction. Time
            stamps rise by a second at least, so with less they run ahead of the clock.
        genesis_time: Time stamp of block 0 of a new chain; None for now. The chain's
            clock starts there and runs from it.
        finality: Blocks by which ``finalized`` and ``safe`` lag behind ``latest``.
        gas_limit: Of a block.
        host: The address to listen on.
        ports: One for each endpoint; empty: those used before, else any free ones.
        endpoints: TCP ports that serve this chain, so that a quorum can be configured.
    """

    path: Path | None = None
    chain_id: int = CHAIN_ID
    accounts: tuple[str, ...] = DEFAULT_NAMES
    balance: int = 10_000 * WEI
    block_time: Seconds = Seconds(0)
    genesis_time: UnixTime | None = None
    finality: int = 0
    gas_limit: int = GAS_LIMIT
    host: str = "127.0.0.1"
    ports: tuple[int, ...] = ()
    endpoints: int = 1


@dataclass(frozen=True, slots=True)
class RpcLimits:
    """What one request may ask for.

    Attributes:
        body: Bytes of a request.
        batch: Calls in one request.
        logs: Rows that eth_getLogs returns at most.
        slots: Storage slots proven by one eth_getProof.
        mine: Blocks made by one anvil_mine or dev_reorg.
        compress_from: Bytes from which an answer is compressed, if that is accepted.
    """

    body: int = 4 << 20
    batch: int = 256
    logs: int = 10_000
    slots: int = 1_024
    mine: int = 10_000
    compress_from: int = 4_096

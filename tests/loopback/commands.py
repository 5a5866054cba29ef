"""A network founded with psp's own commands, on a real chain of either kind."""

import asyncio
import contextlib
import io
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

from cli.demo.chain import Founder
from cli.main import main
from discovery.devchain.anvil import AnvilProcess, find_anvil
from discovery.devchain.process import call, end_process, read_line
from discovery.transactions.abi import call_data, decode_result
from discovery.transactions.calls import Relays
from discovery.transactions.wallet import Wallet, parse_address
from psp.directory.chain.layout import epoch_start
from psp.runtime.rpc import RpcEndpoint, new_session

CHAIN_ID = 31_337
EPOCH = 600
SEATS = 2
STAKES = ("1", "2", "4")
SETTLE = 3
"""Blocks after which anvil calls one final here; the embedded chain does at once."""


@dataclass(frozen=True)
class Ran:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


def psp(*arguments: object) -> Ran:
    """Run psp in this process as a shell would, without a terminal."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with (
        patch.object(sys, "argv", ["psp", *map(str, arguments)]),
        patch.object(sys, "stdin", io.StringIO()),
        patch.dict(os.environ, {"COLUMNS": "200", "NO_COLOR": "1"}),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 1
    assert "Traceback" not in err.getvalue()
    return Ran(code, out.getvalue(), err.getvalue())


def worked(*arguments: object) -> Ran:
    """Run a command that has to work."""
    ran = psp(*arguments)
    assert ran.code == 0, ran.err
    return ran


@contextmanager
def dev_chain(folder: Path, genesis: int) -> Iterator[list[str]]:
    """Run ``psp chain dev`` in a process of its own; yields its URLs."""
    command = [sys.executable, "-m", "cli.main", "chain", "dev", "chain.sqlite"]
    process = subprocess.Popen(
        [*command, "--log-json", "--endpoints=3", f"--genesis-time={genesis}"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
    )
    try:
        yield json.loads(read_line(process, 60))["urls"]
    finally:
        end_process(process)


@contextmanager
def anvil(folder: Path, genesis: int) -> Iterator[list[str]]:
    """Run anvil; yields three names of its one endpoint."""
    binary = find_anvil()
    assert binary is not None, "no anvil here: run `make anvil`"
    process = AnvilProcess(binary, [f"--timestamp={genesis}", "--slots-in-an-epoch=1"])
    try:
        yield [process.url, f"{process.url}/?2", f"{process.url}/?3"]
    finally:
        process.stop()


STARTS = {"embedded": dev_chain, "anvil": anvil}


@dataclass
class Desk:
    """Everything an operator has made with commands.

    Attributes:
        folder: Key files and settings, mode 0700.
        urls: The chain's endpoints.
        settings: What ``psp chain deploy`` printed.
        registry: Address of Relays, in hex.
        relays: Settings of each relay; numbers count from 1.
        user_ids: Registered identities, by name.
    """

    folder: Path
    urls: list[str]
    settings: Path
    registry: str = ""
    relays: list[Path] = field(default_factory=list)
    user_ids: dict[str, str] = field(default_factory=dict)

    @property
    def chain(self) -> list[object]:
        """Options that name the chain."""
        return [
            "--chain-id",
            CHAIN_ID,
            *(o for url in self.urls for o in ("--rpc", url)),
        ]

    @property
    def network(self) -> list[object]:
        """Options that name the network."""
        return ["--settings", self.settings]

    @property
    def treasury(self) -> list[object]:
        """Options that pay from an account with much money, without asking."""
        return ["--wallet", self.folder / "treasury.key", "--yes"]

    def rpc(self, method, *params):
        return call(self.urls[0], method, *params)

    def settle(self):
        """Make what has happened final."""
        for _ in range(SETTLE):
            self.rpc("evm_mine")

    def wallet(self, name: str, ether: str = "10") -> Path:
        """Make an account with money; its key file."""
        path = self.folder / f"{name}.key"
        worked("wallet", "create", path)
        worked("testnet", "faucet", "--wallet", path, "--amount", ether, *self.chain)
        # On anvil this changes the newest block's state and not its root: go past it.
        self.settle()
        return path

    def relay(self, name: str, owner: Path, port: int = 7001) -> Path:
        """Make keys and settings of a relay; its settings."""
        address = worked("wallet", "show", owner).out.strip()
        endpoint = f"10.{len(self.relays)}.0.1:{port}"
        worked(
            *("relay", "init", self.folder / name, "--operator", address),
            *("--chain-id", CHAIN_ID, "--registry", self.registry),
            *("--endpoint", endpoint),
        )
        path = self.folder / f"{name}.toml"
        path.write_text(
            f'state_dir = "{name}-state"\n{self.settings.read_text()}\n[keys]\n'
            f'identity = "{name}/identity.key"\nonion = "{name}/onion.key"\n'
            f'[listen]\nhost = "10.{len(self.relays)}.0.1"\nport = {port}\n'
        )
        return path

    def user(self, name: str) -> Path:
        """Make an identity; its key file."""
        path = self.folder / f"{name}.user"
        self.user_ids[name] = worked("user", "create", path).out.strip()
        return path

    def paying(self, name: str) -> list[object]:
        """Options that name the network and pay from an account, without asking."""
        return [*self.network, "--wallet", self.folder / f"{name}.key", "--yes"]

    def send(self, name: str, *calls) -> None:
        """Have an account do what no command does."""
        wallet = Wallet.open(self.folder / f"{name}.key")

        async def work():
            async with new_session(1) as session:
                rpc = RpcEndpoint(self.urls[0], session)
                address = "0x" + wallet.address.hex()
                nonce = await rpc.call("eth_getTransactionCount", address, "latest")
                founder = Founder(rpc.call, EPOCH, 0, wallet)
                founder.nonces[wallet.address] = int(str(nonce), 16)
                await founder.block([(wallet, each) for each in calls])

        asyncio.run(work())

    def genesis(self) -> int:
        """Return when the registry's first epoch began."""
        request = {
            "to": self.registry,
            "data": "0x" + call_data("Relays", "parameters").hex(),
        }
        answer = bytes.fromhex(self.rpc("eth_call", request, "latest")[2:])
        return int(decode_result("Relays", "parameters", answer)[0])

    @property
    def calls(self) -> Relays:
        return Relays(parse_address(self.registry))

    def jump(self, genesis: int, epoch: int, share: float) -> None:
        """Go to a place in a later epoch."""
        start = epoch_start(epoch, genesis, EPOCH)
        at = hex(start + round(share * EPOCH) + 1)
        self.rpc("evm_setNextBlockTimestamp", at)
        self.settle()


@contextmanager
def founded_desk(kind: str, folder: Path) -> Iterator[Desk]:
    """Run a chain and found an empty network on it, with commands alone."""
    folder.chmod(0o700)
    # Two epochs and a bit ago, so that elections can be held up to the present.
    genesis = int(time.time()) - 2 * EPOCH - 60
    with STARTS[kind](folder, genesis) as urls:
        desk = Desk(folder, urls, folder / "network.toml")
        desk.wallet("treasury", "1000")
        ran = worked(
            *("chain", "deploy", folder / "contracts.json", *desk.chain),
            *desk.treasury,
            *("--epoch-length", EPOCH, "--seats", SEATS, "--min-stake", "1"),
            *("--seed-delay", 1),
        )
        # URLs with more than a host in them are not printed: they may hold a secret.
        lines = ran.out.splitlines()
        lines = [line for line in lines if "rpc =" not in line]
        desk.settings.write_text("\n".join([*lines, f"rpc = {json.dumps(urls)}\n"]))
        record = json.loads((folder / "contracts.json").read_text())
        desk.registry = record["relays"]
        desk.settle()
        yield desk


def fill(desk: Desk) -> None:
    """Register three relays and two users, and have a first list, with commands."""
    for i, stake in enumerate(STAKES, 1):
        owner = desk.wallet(f"owner-{i}")
        hot = desk.wallet(f"hot-{i}", "1")
        settings = desk.relay(f"relay-{i}", owner)
        desk.relays.append(settings)
        worked(
            *("relay", "register", "--settings", settings, "--stake", stake),
            *("--wallet", owner, "--yes", "--operator-key", hot),
        )
    worked("user", "register", desk.user("alice"), *desk.paying("treasury"))
    worked("wallet", "create", desk.folder / "poor.key")
    permission = desk.folder / "permission.json"
    worked(
        *("user", "register", desk.user("bob"), *desk.network),
        *("--wallet", desk.folder / "poor.key", "--sponsored", "--out", permission),
    )
    worked("user", "sponsor", permission, *desk.paying("treasury"))
    desk.settle()
    worked("chain", "trusted", 3, *desk.paying("treasury"))
    genesis = desk.genesis()
    desk.jump(genesis, 5, 0.5)
    desk.send("hot-1", desk.calls.request_seed())
    desk.settle()
    desk.send("hot-1", desk.calls.reveal_seed())
    for i in range(1, len(STAKES) + 1):
        with contextlib.suppress(Exception):  # outbid: the list is full of better ones
            desk.send(f"hot-{i}", desk.calls.nominate(i))
    desk.jump(genesis, 6, 0.01)


class Background:
    """A loop in a thread of its own, for endpoints that serve while psp runs."""

    def __init__(self):
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._open = []

    def enter(self, manager):
        """Enter an asynchronous context manager; it is left at the end."""
        self._open.append(manager)
        return self._run(manager.__aenter__())

    def close(self):
        for manager in reversed(self._open):
            self._run(manager.__aexit__(None, None, None))
        self._run(_end_tasks())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)


async def _end_tasks():
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

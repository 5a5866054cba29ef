"""The development chain as a service.

::

    chain = DevChain(DevChainConfig(path=Path("chain.db"), endpoints=3))
    await chain.start()
    chain.urls  # three, all of the same chain
    await chain.close()

If another process has the file, `urls` are its, and this one takes over on the same
ports should the other die.
"""

import asyncio
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from discovery.devchain.accounts import dev_account
from discovery.devchain.config import DevChainConfig, RpcLimits
from discovery.devchain.node import DevNode
from discovery.devchain.ownership import (
    Endpoints,
    Lock,
    read_endpoints,
    write_endpoints,
)
from discovery.devchain.server import ChainServer
from discovery.devchain.views import address
from psp.errors import ConfigError
from psp.runtime.logs import logger

WAIT_FOR_OWNER = 10.0
"""Seconds within which the process that has the lock must say where it listens."""

POLL = 0.1
"""Seconds between looks for the owner's file or death."""

_log = logger("devchain")


class DevChain:
    """A development chain served by this process, or by the one that has its file.

    Attributes:
        urls: Where it is served; empty before `start`.
        chain_id: Of the chain; 0 before `start`.
        accounts: Addresses of the configured accounts.
    """

    def __init__(
        self, config: DevChainConfig | None = None, limits: RpcLimits | None = None
    ) -> None:
        """Nothing happens before `start`."""
        self.config = config or DevChainConfig()
        self.urls: list[str] = []
        self.chain_id = 0
        self.accounts = [
            address(dev_account(name).address) for name in self.config.accounts
        ]
        self._limits = limits
        self._lock: Lock | None = None
        self._server: ChainServer | None = None
        self._stand_by: asyncio.Task[None] | None = None

    @property
    def is_owner(self) -> bool:
        """Whether this process serves the chain."""
        return self._server is not None

    async def start(self) -> None:
        """Serve the chain, or find who does.

        Raises:
            ConfigError: If the file is no chain, the other process does not say where
                it listens, or a port that was asked for is taken.
        """
        path = self.config.path
        if path is None:
            await self._serve(())
        elif not await self._take_over(path):
            await self._follow(path)
            self._stand_by = asyncio.create_task(self._wait_for_lock(path))

    async def wait_until_owner(self) -> None:
        """Return once this process serves the chain; at once if it does."""
        if self._stand_by is not None:
            await asyncio.wait([self._stand_by])

    async def close(self) -> None:
        """Stop serving; what was acknowledged is in the file."""
        if self._stand_by is not None:
            self._stand_by.cancel()
            with suppress(asyncio.CancelledError):
                await self._stand_by
        if self._server is not None:
            await self._server.close()
            self._write_endpoints(pid=0)
        if self._lock is not None:
            self._lock.release()

    async def rpc(self, method: str, *params: object) -> Any:  # noqa: ANN401 - JSON
        """Call a method of the chain this process serves, without HTTP.

        Raises:
            RuntimeError: If it fails, with the error object; or another one serves.
        """
        if self._server is None:
            raise RuntimeError("this process does not serve the chain")
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = await self._server.answer(msgspec.json.encode(request))
        response = msgspec.json.decode(answer)
        if "error" in response:
            raise RuntimeError(response["error"])
        return response["result"]

    async def _serve(self, ports_before: tuple[int, ...]) -> None:
        config = self.config
        server = ChainServer(
            lambda: DevNode(config, time.time, self._limits), _report_fault
        )
        ports = (*ports_before, *[0] * config.endpoints)[: config.endpoints]
        self.urls = await server.start(
            config.host, config.ports or ports, strict=bool(config.ports)
        )
        self.chain_id = server.node.chain.evm.chain_id
        if config.block_time > 0:
            server.mine_every(config.block_time)
        self._server = server

    async def _take_over(self, path: Path) -> bool:
        self._lock = Lock.take(path)
        if self._lock is None:
            return False
        before = read_endpoints(path)
        try:
            await self._serve(() if before is None else before.ports)
        except BaseException:
            self._lock.release()
            self._lock = None
            raise
        self._write_endpoints(pid=os.getpid())
        return True

    def _write_endpoints(self, *, pid: int) -> None:
        if self.config.path is not None:
            here = Endpoints(pid, self.chain_id, tuple(self.urls))
            write_endpoints(self.config.path, here)

    async def _follow(self, path: Path) -> None:
        deadline = time.monotonic() + WAIT_FOR_OWNER
        while time.monotonic() < deadline:
            endpoints = read_endpoints(path)
            if endpoints is not None and endpoints.is_alive:
                self.urls = list(endpoints.urls)
                self.chain_id = endpoints.chain_id
                return
            await asyncio.sleep(POLL)
        raise ConfigError(
            f"{path.name} is locked by a process that did not say where it listens "
            f"within {WAIT_FOR_OWNER:.0f} s: stop it"
        )

    async def _wait_for_lock(self, path: Path) -> None:
        while True:
            await asyncio.sleep(POLL)
            try:
                if await self._take_over(path):
                    _log.info("devchain_taken_over")
                    return
            except ConfigError as error:
                _log.error("devchain_takeover_failed", error=repr(error))


async def run_until_signal(
    config: DevChainConfig,
    limits: RpcLimits | None = None,
    *,
    ends_with_stdin: bool = False,
) -> None:
    """Serve a chain until SIGTERM or SIGINT; say in one line of JSON that it is up.

    Args:
        config: The chain.
        limits: What one request may ask for.
        ends_with_stdin: Whether to stop, too, when standard input is closed: the end of
            the process that started this one, however it came.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if ends_with_stdin:
        loop.add_reader(sys.stdin.fileno(), stop.set)
    chain = DevChain(config, limits)
    await chain.start()
    started = {
        "event": "chain_started",
        "urls": chain.urls,
        "chain_id": chain.chain_id,
        "accounts": chain.accounts,
    }
    sys.stdout.write(msgspec.json.encode(started).decode() + "\n")
    sys.stdout.flush()
    await stop.wait()
    if ends_with_stdin:
        loop.remove_reader(sys.stdin.fileno())
    await chain.close()


def _report_fault(name: str, error: Exception) -> None:
    _log.error("devchain_fault", kind=name, text=repr(error), exc_info=error)

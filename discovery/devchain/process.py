"""A chain as a child process, for tests and the demo. Everything here blocks.

::

    with running_devchain(path, block_time=1, endpoints=3) as chain:
        chain.rpc("eth_blockNumber")  # "0x0"
        Web3(Web3.HTTPProvider(chain.url))
"""

import http.client
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

START_WITHIN = 30.0
"""Seconds a chain may take to say that it serves; 1 to 2 on an idle machine."""

STOP_WITHIN = 10.0
"""Seconds after SIGTERM; then it is killed."""


class ChainError(Exception):
    """The chain answered with an error, or did not start.

    Attributes:
        error: The error object of the response; empty if it did not start.
    """

    def __init__(self, message: str, error: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.error = error or {}


class ChainProcess(Protocol):
    """A chain in a process of its own."""

    @property
    def urls(self) -> list[str]:
        """Where it is served."""
        ...

    @property
    def url(self) -> str:
        """The first of them."""
        ...

    def rpc(self, method: str, *params: object) -> Any:  # noqa: ANN401 - JSON
        """Call a method and return its result.

        Raises:
            ChainError: If the answer is an error.
        """
        ...

    def stop(self) -> None:
        """Ask the process to end, and wait until it has."""

    def kill(self) -> None:
        """End the process at once, as a power cut would."""


class DevChainProcess:
    """``python -m discovery.devchain`` running."""

    def __init__(self, arguments: Sequence[str], *, log: Path | None = None) -> None:
        """Start it and wait until it serves.

        Args:
            arguments: Of the program.
            log: Where its messages go; None: to this process's.

        Raises:
            ChainError: If it ends instead, or takes longer than `START_WITHIN`.
        """
        with open_log(log) as messages:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [
                    sys.executable,
                    "-m",
                    "discovery.devchain",
                    "--ends-with-stdin",
                    *arguments,
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=messages,
                cwd=Path(__file__).parents[2],
            )
        try:
            started = json.loads(read_line(self._process, START_WITHIN))
        except BaseException:
            self.kill()
            raise
        self._urls: list[str] = started["urls"]
        self.chain_id: int = started["chain_id"]
        self.accounts: list[str] = started["accounts"]

    @property
    def urls(self) -> list[str]:
        """Where it is served."""
        return self._urls

    @property
    def url(self) -> str:
        """The first of them."""
        return self._urls[0]

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def rpc(self, method: str, *params: object) -> Any:  # noqa: ANN401 - JSON
        """Call a method and return its result.

        Raises:
            ChainError: If the answer is an error.
        """
        return call(self.url, method, *params)

    def stop(self) -> None:
        """Ask the process to end, and wait until it has."""
        end_process(self._process)

    def kill(self) -> None:
        """End the process at once, as a power cut would."""
        self._process.kill()
        end_process(self._process)


@contextmanager
def running_devchain(
    path: Path | None = None,
    *,
    block_time: float = 0,
    genesis_time: int | None = None,
    finality: int = 0,
    endpoints: int = 1,
    ports: Sequence[int] = (),
    log: Path | None = None,
) -> Iterator[DevChainProcess]:
    """Run a development chain for as long as the block lasts.

    Args:
        path: Its file; None keeps it in memory.
        block_time: Seconds between blocks; 0 makes one of every transaction.
        genesis_time: Time stamp of block 0; None for now.
        finality: Blocks by which ``finalized`` lags.
        endpoints: Number of ports.
        ports: Or these.
        log: Where its messages go.
    """
    arguments = [] if path is None else [str(path.resolve())]
    arguments += [f"--block-time={block_time}", f"--finality={finality}"]
    arguments += [f"--endpoints={endpoints}", *(f"--port={port}" for port in ports)]
    if genesis_time is not None:
        arguments.append(f"--genesis-time={genesis_time}")
    chain = DevChainProcess(arguments, log=log)
    try:
        yield chain
    finally:
        chain.stop()


def call(url: str, method: str, *params: object, within: float = 30.0) -> Any:  # noqa: ANN401 - JSON
    """Call a method of any chain and return its result.

    Raises:
        ChainError: If the answer is an error.
        OSError: If there is no answer.
    """
    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
    response = post(url, request, within=within)
    if "error" in response:
        raise ChainError(str(response["error"]), response["error"])
    return response.get("result")


def post(url: str, request: object, *, within: float) -> Any:  # noqa: ANN401 - JSON
    """Send one request, or a batch of them, and return what is answered.

    Raises:
        OSError: If there is no answer within so many seconds.
    """
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, within)
    try:
        headers = {"Content-Type": "application/json"}
        connection.request("POST", where.path or "/", json.dumps(request), headers)
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


@contextmanager
def open_log(log: Path | None) -> Iterator[Any]:
    """Open a file for a child's messages; None for this process's own."""
    if log is None:
        yield None
        return
    with log.open("ab") as file:
        yield file


def read_line(process: subprocess.Popen[bytes], within: float) -> bytes:
    """Return a child's first line.

    Raises:
        ChainError: If it ends first, or says nothing in time.
    """
    if process.stdout is None:
        raise ChainError("the child's output is not a pipe")
    deadline = time.monotonic() + within
    line = b""
    while not line.endswith(b"\n"):
        left = deadline - time.monotonic()
        ready, _, _ = select.select([process.stdout], [], [], max(0.0, left))
        chunk = os.read(process.stdout.fileno(), 65_536) if ready else b""
        if not chunk:
            raise ChainError(f"the chain did not start within {within:.0f} s")
        line += chunk
    return line


def end_process(process: subprocess.Popen[bytes]) -> None:
    """Ask a child to end, wait, and kill it if it does not."""
    process.terminate()
    close_input(process, STOP_WITHIN)


def close_input(process: subprocess.Popen[bytes], within: float) -> None:
    """Close the input of a child that ends with it; wait, kill it if it does not."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(within)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()

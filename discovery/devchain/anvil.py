"""anvil, Foundry's development chain: the second chain our contracts are tested on.

A prebuilt binary, never a requirement. It is looked for, in this order, at
``PSP_ANVIL``, on ``PATH``, and where ``npm install --prefix <venv>/node
@foundry-rs/anvil`` puts it.

What differs from ours (1.7.1): a receipt may be missing right after sending; nothing
survives a kill; zero words stay in its storage trie, so its storageHash is not the
canonical one; two blocks may have one time stamp.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from discovery.devchain.accounts import DEFAULT_NAMES, dev_account
from discovery.devchain.config import CHAIN_ID, GAS_LIMIT, WEI
from discovery.devchain.process import (
    START_WITHIN,
    ChainError,
    call,
    end_process,
    open_log,
    read_line,
)

VARIABLE = "PSP_ANVIL"

_POLL = 0.02


def find_anvil() -> Path | None:
    """Return anvil's binary, or None if this machine has none."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named) if os.access(named, os.X_OK) else None
    on_path = shutil.which("anvil")
    if on_path is not None:
        return Path(on_path)
    modules = Path(sys.prefix, "node", "node_modules", "@foundry-rs")
    for binary in sorted(modules.glob("anvil-*/bin/anvil")):
        if os.access(binary, os.X_OK):
            return binary
    return None


class AnvilProcess:
    """anvil running, with our development accounts funded."""

    def __init__(
        self, binary: Path, arguments: Sequence[str] = (), *, log: Path | None = None
    ) -> None:
        """Start it and wait until it serves.

        Raises:
            ChainError: If it ends instead, or takes longer than `START_WITHIN`.
        """
        with open_log(log) as messages:
            self._process = subprocess.Popen(  # noqa: S603 - a binary the user chose
                [
                    binary,
                    "--port=0",
                    f"--chain-id={CHAIN_ID}",
                    f"--gas-limit={GAS_LIMIT}",
                    *arguments,
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=messages,
            )
        try:
            self._url = self._find_url()
            # else it logs each call into our pipe, which nobody empties
            self.rpc("anvil_setLoggingEnabled", *[False])
            self._fund()
        except BaseException:
            self.kill()
            raise

    @property
    def urls(self) -> list[str]:
        """Where it is served."""
        return [self._url]

    @property
    def url(self) -> str:
        """The only one of them."""
        return self._url

    def rpc(self, method: str, *params: object) -> Any:  # noqa: ANN401 - JSON
        """Call a method and return its result.

        Raises:
            ChainError: If the answer is an error.
        """
        return call(self._url, method, *params)

    def stop(self) -> None:
        """Ask the process to end, and wait until it has."""
        end_process(self._process)

    def kill(self) -> None:
        """End the process at once, as a power cut would."""
        self._process.kill()
        end_process(self._process)

    def _find_url(self) -> str:
        deadline = time.monotonic() + START_WITHIN
        text = b""
        while b"Listening on " not in text:
            text += read_line(self._process, deadline - time.monotonic())
        return "http://" + text.split(b"Listening on ")[1].split()[0].decode()

    def _fund(self) -> None:
        for name in DEFAULT_NAMES:
            address = "0x" + dev_account(name).address.hex()
            self.rpc("anvil_setBalance", address, hex(10_000 * WEI))


@contextmanager
def running_anvil(
    *,
    block_time: float = 0,
    genesis_time: int | None = None,
    log: Path | None = None,
) -> Iterator[AnvilProcess]:
    """Run anvil for as long as the block lasts.

    Args:
        block_time: Seconds between blocks; 0 makes one of every transaction.
        genesis_time: Time stamp of block 0; None for now.
        log: Where its messages go.

    Raises:
        ChainError: If this machine has no anvil.
    """
    binary = find_anvil()
    if binary is None:
        raise ChainError(f"no anvil on PATH; set {VARIABLE} to its binary")
    arguments = [f"--block-time={block_time}"] if block_time else []
    if genesis_time is not None:
        arguments.append(f"--timestamp={genesis_time}")
    chain = AnvilProcess(binary, arguments, log=log)
    try:
        yield chain
    finally:
        chain.stop()

"""Runs `cli.bench.directory_reader` as a child; use as a context manager."""

import subprocess
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Self, TypeVar

import msgspec

from cli.bench.directory_reader import FirstReading, Parts, Weights
from discovery.devchain.process import close_input
from psp.errors import PspError
from psp.wire.network import Network

AnswerT = TypeVar("AnswerT", FirstReading, Parts, Weights)

_STOP_WITHIN = 5.0


class ReaderError(PspError):
    """The reader could not read; it says why on its standard error output."""


class ReaderProcess:
    """A reader in a process of its own. It ends with its input, so with this process."""

    def __init__(self, network: Network, quorum: int, urls: Sequence[str]) -> None:
        """Start it."""
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [
                sys.executable,
                "-m",
                "cli.bench.directory_reader",
                str(network.chain_id),
                network.registry.hex(),
                str(quorum),
                *urls,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def first(self) -> FirstReading:
        """Read everything."""
        return self._ask("first", FirstReading)

    def parts(self) -> Parts:
        """Verify and rebuild alone."""
        return self._ask("parts", Parts)

    def weigh(self) -> Weights:
        """Read everything again and weigh it."""
        return self._ask("weigh", Weights)

    def next(self) -> Weights:
        """Read and weigh what has changed."""
        return self._ask("next", Weights)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        close_input(self._process, _STOP_WITHIN)

    def _ask(self, word: str, kind: type[AnswerT]) -> AnswerT:
        if self._process.stdin is None or self._process.stdout is None:
            raise ReaderError("the reader has no pipes")
        self._process.stdin.write(f"{word}\n".encode())
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise ReaderError("the reader has ended; it said why")
        return msgspec.json.decode(line, type=kind)

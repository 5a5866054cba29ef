"""Several endpoints of one chain, of which some may lie: what do enough of them agree on?

A block counts when ``quorum`` endpoints give a header with the same hash at one height,
and the header's fields make that hash. Everything below it is proven against its state
root, so any single endpoint can supply it (`QuorumRpc.ask_any`).

Endpoints that agreed with the others are asked first, those that did not last; none is
given up for good, as it may be mended.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from psp.directory.chain.header import BlockHeader
from psp.directory.chain.json_values import quantity
from psp.entropy import Entropy
from psp.errors import DecodeError, PspError
from psp.runtime.rpc import RpcError, RpcUnavailableError
from psp.units import Seconds

ResultT = TypeVar("ResultT")

_MAX_STRIKES = 10
FINALIZED = "finalized"


class ChainReadError(PspError):
    """The chain could not be read; what is known stays in use."""


class NoQuorumError(ChainReadError):
    """Too few endpoints answered, or too few of them agree."""


class ForeignChainError(ChainReadError):
    """Endpoints serve another chain than the one in the settings."""


class Rpc(Protocol):
    """One endpoint (`psp.runtime.rpc.RpcEndpoint`)."""

    @property
    def name(self) -> str:
        """For messages; never the URL."""
        ...

    async def call(self, method: str, *params: object) -> object:
        """Ask; return any JSON value."""
        ...


@dataclass(frozen=True, slots=True)
class Agreed:
    """A block that enough endpoints agree on.

    Attributes:
        header: The block.
        voices: How many endpoints gave it.
        is_full: Whether that is all there are.
    """

    header: BlockHeader
    voices: int
    is_full: bool


@dataclass(slots=True)
class _Voice:
    """One endpoint, and how it has behaved."""

    rpc: Rpc
    is_on_chain: bool = False
    strikes: int = 0

    def judge(self, *, is_good: bool) -> None:
        self.strikes = 0 if is_good else min(self.strikes + 1, _MAX_STRIKES)


class QuorumRpc:
    """The endpoints of one chain."""

    def __init__(
        self,
        endpoints: Sequence[Rpc],
        *,
        chain_id: int,
        quorum: int,
        entropy: Entropy,
        patience: Seconds = Seconds(1.0),
    ) -> None:
        """Name the endpoints.

        Args:
            endpoints: Of different owners.
            chain_id: What they must all serve.
            quorum: How many must agree.
            entropy: For the order in which they are asked.
            patience: Seconds to wait for the others once a quorum has answered.
        """
        self.quorum = quorum
        self._voices = [_Voice(rpc) for rpc in endpoints]
        self._chain_id = chain_id
        self._entropy = entropy
        self._patience = patience

    def __len__(self) -> int:
        return len(self._voices)

    def ordered(self) -> list[Rpc]:
        """Return the endpoints, those that behaved first, in random order."""
        keyed = [(v.strikes, self._entropy.uniform(), v) for v in self._voices]
        return [voice.rpc for _, _, voice in sorted(keyed, key=lambda item: item[:2])]

    async def newest(self) -> Agreed:
        """Return the newest finalised block that a quorum agrees on.

        Raises:
            NoQuorumError: If there is none; it may come with the next block.
            ForeignChainError: If what answers serves another chain.
        """
        try:
            return await self._newest(self._patience)
        except NoQuorumError:
            # A liar and a slow honest endpoint: the slow one settles it.
            return await self._newest(None)

    async def _newest(self, patience: Seconds | None) -> Agreed:
        heads = await self._gather(self._voices, FINALIZED, patience)
        heights = sorted((head.number for _, head in heads), reverse=True)
        for height in dict.fromkeys(heights[self.quorum - 1 :]):
            # A liar may claim any height: only those who have reached it are asked.
            asked = [voice for voice, head in heads if head.number >= height]
            known = {id(v): head for v, head in heads if head.number == height}
            missing = [voice for voice in asked if id(voice) not in known]
            found = await self._gather(missing, hex(height), patience)
            votes = [(v, known[id(v)]) for v in asked if id(v) in known] + found
            agreed = self._count(votes)
            if agreed is not None:
                return agreed
        raise self._disagreement(len(heads))

    async def at(self, height: int) -> Agreed:
        """Return the block of a height that a quorum agrees on.

        Raises:
            NoQuorumError: If there is none.
            ForeignChainError: If what answers serves another chain.
        """
        heads = await self._gather(self._voices, hex(height), None)
        agreed = self._count([(v, head) for v, head in heads if head.number == height])
        if agreed is None:
            raise self._disagreement(len(heads))
        return agreed

    async def ask_any(
        self, work: Callable[[Rpc], Awaitable[ResultT]], what: str
    ) -> ResultT:
        """Return what the first endpoint gives that gives something valid.

        Args:
            work: Asks one endpoint and checks all it says; raises `DecodeError`,
                `RpcError` or `RpcUnavailableError` if it is no good.
            what: For the message if nobody does.

        Raises:
            ChainReadError: If no endpoint does.
        """
        reasons: list[str] = []
        for rpc in self.ordered():
            try:
                result = await work(rpc)
            except (DecodeError, RpcError, RpcUnavailableError) as error:
                self.judge(rpc, is_good=False)
                reasons.append(_named(rpc, error))
            else:
                self.judge(rpc, is_good=True)
                return result
        raise ChainReadError(f"no endpoint can show {what}: {'; '.join(reasons)}")

    def judge(self, rpc: Rpc, *, is_good: bool) -> None:
        """Note how an endpoint behaved."""
        for voice in self._voices:
            if voice.rpc is rpc:
                voice.judge(is_good=is_good)

    async def _gather(
        self, voices: Sequence[_Voice], block: str, patience: Seconds | None
    ) -> list[tuple[_Voice, BlockHeader]]:
        """Ask for one block; once a quorum has answered, wait no longer than patience."""
        work = [self._header(v, block) for v in voices]
        results = await self._answers(work, patience)
        headers: list[tuple[_Voice, BlockHeader]] = []
        foreign = 0
        for voice, result in zip(voices, results, strict=True):
            if isinstance(result, BlockHeader):
                headers.append((voice, result))
            elif result is not None:
                foreign += isinstance(result, ForeignChainError)
                voice.judge(is_good=False)
        if foreign and len(headers) < self.quorum:
            raise ForeignChainError(
                f"{foreign} of {len(voices)} chain endpoints serve another chain than "
                f"{self._chain_id}; check membership.chain_id and membership.rpc"
            )
        return headers

    async def _answers(
        self,
        work: Sequence[Coroutine[object, object, BlockHeader]],
        patience: Seconds | None,
    ) -> list[BlockHeader | PspError | None]:
        """Return each one's result, its error, or None if it was too slow."""
        tasks = [asyncio.ensure_future(each) for each in work]
        waiting = set(tasks)
        try:
            while waiting:
                good = sum(t.done() and t.exception() is None for t in tasks)
                done, waiting = await asyncio.wait(
                    waiting,
                    timeout=patience if good >= self.quorum else None,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if not done:
                    break
        finally:
            for task in waiting:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        results: list[BlockHeader | PspError | None] = []
        for each in ended:
            if isinstance(each, asyncio.CancelledError):
                results.append(None)
            elif isinstance(each, BlockHeader | PspError):
                results.append(each)
            else:
                raise each
        return results

    async def _header(self, voice: _Voice, block: str) -> BlockHeader:
        if not voice.is_on_chain:
            found = quantity(await voice.rpc.call("eth_chainId"))
            if found != self._chain_id:
                raise ForeignChainError(f"{voice.rpc.name}: chain {found}")
            voice.is_on_chain = True
        answer = await voice.rpc.call("eth_getBlockByNumber", block, False)  # noqa: FBT003
        return BlockHeader.from_json(answer)

    def _count(self, votes: Sequence[tuple[_Voice, BlockHeader]]) -> Agreed | None:
        counts = Counter(header.hash for _, header in votes)
        if not counts:
            return None
        winner, voices = counts.most_common(1)[0]
        if voices < self.quorum:
            return None
        for voice, header in votes:
            voice.judge(is_good=header.hash == winner)
        header = next(header for _, header in votes if header.hash == winner)
        return Agreed(header, voices, voices == len(self._voices))

    def _disagreement(self, answered: int) -> NoQuorumError:
        total = len(self._voices)
        if answered < self.quorum:
            return NoQuorumError(
                f"{answered} of {total} chain endpoints gave a valid block, "
                f"{self.quorum} are needed"
            )
        return NoQuorumError(
            f"{answered} of {total} chain endpoints answered and no {self.quorum} of "
            "them agree on a block: one lies, or the chain is being reorganised"
        )


def _named(rpc: Rpc, error: PspError) -> str:
    text = str(error)
    return text if text.startswith(rpc.name) else f"{rpc.name}: {text}"

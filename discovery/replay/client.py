"""Gathers what it takes to recompute an election, from several endpoints.

::

    quorum --> newest final block --> parameters and the ring of lists, proven
           --> first blocks of two epochs and of the registry, their headers agreed upon
           --> Seed and Nominated of the list, Vote of the nominated: the same events from
               a quorum
           --> header of the block that drew the seed

Whoever has endpoints and the network's name can do it; no registry need be believed.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from discovery.replay import events
from discovery.replay.draw import Drawing, Nomination, Replay, Rules, Vote, recompute
from discovery.replay.logs import ChainLog, LogLimits, Wanted, read_logs
from psp.directory.chain import layout
from psp.directory.chain.header import BlockHeader
from psp.directory.chain.layout import FIRST_EPOCH, MAX_SEATS, RING, epoch_start
from psp.directory.chain.proof import ProvenAccount
from psp.directory.chain.state import ElectionState
from psp.errors import DecodeError
from psp.runtime.chain_reader import ChainReader, checked_state
from psp.runtime.entropy import SystemEntropy
from psp.runtime.quorum import ChainReadError, NoQuorumError, QuorumRpc, Rpc
from psp.runtime.rpc import RpcError, RpcUnavailableError
from psp.wire.network import Network

ItemT = TypeVar("ItemT")

_NUMBERS_AT_ONCE = 64
"""Nodes in one filter of events: endpoints bound the alternatives."""


class ReplayError(ChainReadError):
    """There is no such election to replay."""


async def replay(
    rpcs: Sequence[Rpc],
    network: Network,
    epoch: int,
    *,
    quorum: int | None = None,
    limits: LogLimits | None = None,
    on_progress: Callable[[str], None] = lambda _: None,
) -> Replay:
    """Recompute the list of an epoch and compare it with the contract's.

    Args:
        rpcs: Endpoints of the chain.
        network: The chain, and the address of Relays on it.
        epoch: Of the list; it was made in the epoch before. That of the next epoch is
            replayed as it stands.
        quorum: How many endpoints must agree; None for more than half.
        limits: What looking for events may cost.
        on_progress: Told what is being done, in a few words.

    Raises:
        ReplayError: If there is no such list.
        ChainReadError: If the chain cannot be read now.
    """
    voices = len(rpcs) // 2 + 1 if quorum is None else quorum
    asked = QuorumRpc(
        rpcs, chain_id=network.chain_id, quorum=voices, entropy=SystemEntropy()
    )
    return await _Gathering(asked, network, limits or LogLimits(), on_progress).replay(
        epoch
    )


async def held_keys(
    reader: ChainReader,
    header: BlockHeader,
    relays: ProvenAccount,
    registry: bytes,
    epoch: int,
) -> tuple[int, ...] | None:
    """Return the keys on the list of an epoch, proven; None if it is not held.

    Args:
        reader: Of the network.
        header: The block.
        relays: What `ChainReader.prove_relays` returned for it.
        registry: Address of Relays.
        epoch: Of the list; four are held, less before the first elections.

    Raises:
        ChainReadError: If no endpoint can show it.
    """
    ring = epoch % RING
    tag, size = divmod(relays.words[layout.RELAYS_HEAP_META + ring], 1 << 32)
    if tag != epoch or not size:
        return None
    first = layout.RELAYS_HEAPS + ring * MAX_SEATS
    slots = range(first, first + size)
    proven = await reader.prove(header, registry, slots)
    return tuple(proven.words[slot] for slot in slots)


class _Gathering:
    """One replay's questions."""

    def __init__(
        self,
        rpc: QuorumRpc,
        network: Network,
        limits: LogLimits,
        on_progress: Callable[[str], None],
    ) -> None:
        self._rpc = rpc
        self._network = network
        self._limits = limits
        self._say = on_progress
        self._reader = ChainReader(rpc, network, reads_users=False)

    async def replay(self, epoch: int) -> Replay:
        self._say("reading the newest block")
        newest = (await self._rpc.newest()).header
        relays = await self._reader.prove_relays(newest)
        state = checked_state(relays, newest)
        _check_epoch(epoch, state)
        rules = Rules(
            self._network.registry,
            epoch,
            state.seats,
            state.min_stake,
            state.sortition,
        )
        held = await held_keys(
            self._reader, newest, relays, self._network.registry, epoch
        )
        self._say(f"looking for the blocks of epoch {epoch - 1}")
        first, last = await self._blocks(newest, state, epoch - 1)
        logs = await self._logs(
            ((events.SEED, events.NOMINATED), (_word(epoch),)), first, last
        )
        drawing = await self._drawing(_decoded(events.seeds, logs))
        nominations = _decoded(events.nominations, logs)
        votes = await self._votes(newest, state, nominations, last)
        return recompute(
            rules,
            drawing,
            votes,
            nominations,
            held=held,
            is_final=epoch <= state.epoch,
        )

    # ---- what is proven

    async def _drawing(self, found: Sequence[tuple[int, bytes]]) -> Drawing | None:
        if not found:
            return None
        if len(found) > 1:
            raise ReplayError("two seeds were drawn for one list: not our contract")
        height, seed = found[0]
        header = (await self._rpc.at(height)).header
        return Drawing(height, header.prevrandao, header.parent_hash, seed)

    # ---- blocks

    async def _blocks(
        self, newest: BlockHeader, state: ElectionState, epoch: int
    ) -> tuple[int, int]:
        """Return the first and the last block of an epoch, as far as it is."""
        starts = (
            epoch_start(each, state.genesis, state.epoch_length)
            for each in (epoch, epoch + 1)
        )
        first, after = [await self._first(start, newest) for start in starts]
        return first, after - 1

    async def _first(self, start: int, newest: BlockHeader) -> int:
        """Return the first block not before a time; the one after the newest if none."""
        if newest.timestamp < start:
            return newest.number + 1
        height = await self._reader.first_block(start, newest)
        here = (await self._rpc.at(height)).header
        before = (await self._rpc.at(height - 1)).header if height else None
        if here.timestamp < start or (before is not None and before.timestamp >= start):
            raise NoQuorumError("the endpoints do not agree on when an epoch began")
        return height

    # ---- events

    async def _votes(
        self,
        newest: BlockHeader,
        state: ElectionState,
        nominations: Iterable[Nomination],
        last: int,
    ) -> list[Vote]:
        numbers = sorted({nomination.number for nomination in nominations})
        if not numbers:
            return []
        self._say("looking for the registry's first block")
        founded = await self._first(state.genesis, newest)
        found: list[Vote] = []
        for i in range(0, len(numbers), _NUMBERS_AT_ONCE):
            some = tuple(map(_word, numbers[i : i + _NUMBERS_AT_ONCE]))
            logs = await self._logs(((events.VOTE,), (), some), founded, last)
            found += _decoded(events.votes, logs)
        return found

    async def _logs(
        self, topics: tuple[tuple[bytes, ...], ...], first: int, last: int
    ) -> tuple[ChainLog, ...]:
        """Return events that a quorum of endpoints shows alike."""
        wanted = Wanted(self._network.registry, topics, first, last)
        counts: Counter[tuple[ChainLog, ...]] = Counter()
        reasons: list[str] = []

        def say(block: int) -> None:
            self._say(f"reading events, block {block} of {last}")

        for rpc in self._rpc.ordered():
            try:
                logs = await read_logs(rpc, wanted, self._limits, say)
            except (DecodeError, RpcError, RpcUnavailableError) as error:
                self._rpc.judge(rpc, is_good=False)
                text = str(error).removeprefix(f"{rpc.name}: ")
                reasons.append(f"{rpc.name}: {text}")
                continue
            counts[logs] += 1
            if counts[logs] >= self._rpc.quorum:
                return logs
        raise NoQuorumError(
            f"{counts.total()} of {len(self._rpc)} endpoints showed events, no "
            f"{self._rpc.quorum} the same {'; '.join(reasons)}".rstrip()
        )


def _check_epoch(epoch: int, state: ElectionState) -> None:
    if epoch <= FIRST_EPOCH:
        raise ReplayError(
            f"epoch {epoch} has no list: the first one is that of epoch "
            f"{FIRST_EPOCH + 1}"
        )
    if epoch > state.epoch + 1:
        raise ReplayError(
            f"the list of epoch {epoch} is not begun; the chain is in epoch "
            f"{state.epoch}"
        )


def _decoded(
    read: Callable[[Iterable[ChainLog]], list[ItemT]], logs: Sequence[ChainLog]
) -> list[ItemT]:
    try:
        return read(logs)
    except DecodeError as error:
        raise ReplayError(f"{error}: not our contract") from None


def _word(number: int) -> bytes:
    return number.to_bytes(layout.WORD)

"""How a chain and the network on it stand."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from cli.chain_work.chain import COMPLETENESS, Chain, unix_now
from cli.chain_work.shipped import shipped
from psp.directory.chain.alarms import Alarm
from psp.directory.chain.header import BlockHeader
from psp.directory.chain.json_values import quantity
from psp.directory.chain.layout import epoch_start
from psp.directory.chain.listed import NotCounted
from psp.directory.chain.state import ElectionState
from psp.errors import DecodeError
from psp.runtime.chain_reader import Reading
from psp.runtime.quorum import FINALIZED
from psp.runtime.rpc import RpcEndpoint, RpcError, RpcUnavailableError


@dataclass(frozen=True, slots=True)
class EndpointReport:
    """What one endpoint says of itself.

    Attributes:
        name: Its number; never its URL.
        block: Its newest final block; None if it gives none.
        trouble: Why it gives none, or which chain it serves instead; empty if all is well.
    """

    name: str
    block: BlockHeader | None = None
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Phase:
    """Where an election stands.

    Attributes:
        name: In words.
        next_in: Seconds to the next phase, by the chain's clock.
    """

    name: str
    next_in: int


@dataclass(frozen=True, slots=True)
class NetworkReport:
    """Everything that `psp chain status` shows of the network.

    Attributes:
        reading: The registry, proven.
        alarms: What is out of the ordinary.
        age: Seconds since its block, by this host's clock.
        phase: Of the present election.
    """

    reading: Reading
    alarms: list[Alarm]
    age: int
    phase: Phase

    @property
    def figures(self) -> dict[str, object]:
        """The same for programs."""
        view, agreed = self.reading.view, self.reading.agreed
        state, users = view.state, view.users
        return {
            "block": view.height,
            "block_hash": f"0x{view.block_hash.hex()}",
            "age_s": self.age,
            "agreed": agreed.voices,
            "epoch": state.epoch,
            "phase": self.phase.name,
            "next_phase_in_s": self.phase.next_in,
            "list_epoch": state.list_epoch,
            "seats": state.seats,
            "elected": len(state.elected),
            "elected_active": len(view.elected()),
            "trusted": len(view.trusted()),
            "nodes": len(view.nodes.nodes),
            "nodes_refused": _named(view.nodes.refused),
            "users": 0 if users is None else len(users.users),
            "users_refused": {} if users is None else _named(users.refused),
            "completeness": self.reading.completeness.value,
            "code_shipped": shipped(view),
            "min_stake_wei": state.min_stake,
            "alarms": [alarm.sentence for alarm in self.alarms],
        }

    @property
    def rows(self) -> list[list[str]]:
        """The same for people."""
        view, agreed = self.reading.view, self.reading.agreed
        state, users = view.state, view.users
        users_refused: Mapping[NotCounted, int] = {}
        if users is not None:
            users_refused = users.refused
        full = " (all)" if agreed.is_full else ""
        in_force = f"epoch {state.list_epoch}'s" if state.list_epoch else "none"
        rows = [
            ["block", f"{view.height:,}, {self.age} s old"],
            ["agreement", f"{agreed.voices} endpoints{full}"],
            ["epoch", f"{state.epoch}, {duration(state.epoch_length)} long"],
            ["phase", f"{self.phase.name}; next in {duration(self.phase.next_in)}"],
            ["list in force", in_force],
            ["seats", f"{len(view.elected())} of {state.seats} taken"],
            ["trusted nodes", str(len(view.trusted()))],
            ["nodes", str(len(view.nodes.nodes))],
            *_refusals(view.nodes.refused),
            ["users", "not read" if users is None else str(len(users.users))],
            *_refusals(users_refused),
            ["complete", COMPLETENESS[self.reading.completeness]],
            ["code", _code(shipped(view))],
        ]
        return rows + [["alarm", alarm.sentence] for alarm in self.alarms]


async def ask_endpoints(chain: Chain) -> list[EndpointReport]:
    """Ask each endpoint for itself; never fails."""
    return await asyncio.gather(
        *(_ask(rpc, chain.target.chain_id) for rpc in chain.rpcs)
    )


async def look(chain: Chain) -> NetworkReport:
    """Read the network.

    Raises:
        ChainReadError: If it cannot be read now.
    """
    reading = await chain.read()
    view = reading.view
    return NetworkReport(
        reading,
        chain.alarms(view, is_full=reading.agreed.is_full),
        unix_now() - view.timestamp,
        phase_of(view.state, view.timestamp),
    )


def phase_of(state: ElectionState, timestamp: int) -> Phase:
    """Return where the election of the next list stands.

    Args:
        state: At a block.
        timestamp: Of the block.
    """
    start = epoch_start(state.epoch, state.genesis, state.epoch_length)
    end = start + state.epoch_length
    half = start + state.epoch_length // 2
    upcoming = state.epoch + 1
    if timestamp < half:
        return Phase(f"stakes change, election {upcoming} not begun", half - timestamp)
    if state.sortition and not state.seed_target:
        return Phase(f"waiting for the seed of {upcoming}", end - timestamp)
    if state.sortition and not state.next_seed:
        return Phase(f"the seed of {upcoming} is being drawn", end - timestamp)
    return Phase(f"nominations for {upcoming}", end - timestamp)


def endpoint_rows(reports: list[EndpointReport]) -> list[list[str]]:
    """Return the endpoints for people."""
    rows: list[list[str]] = []
    for report in reports:
        state = report.trouble
        if report.block is not None:
            name = report.block.hash.hex()[:8]
            state = f"final block {report.block.number:,} (0x{name}…)"
        rows.append([report.name, state])
    return rows


def duration(seconds: int) -> str:
    """Return a length of time in its two largest units.

    >>> duration(86_400 + 7_200 + 5)
    '1 d 2 h'
    """
    parts: list[str] = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count or parts:
            parts.append(f"{count} {unit}")
    return " ".join(part for part in parts[:2] if not part.startswith("0 ")) or "0 s"


async def _ask(rpc: RpcEndpoint, chain_id: int) -> EndpointReport:
    try:
        found = quantity(await rpc.call("eth_chainId"))
        if found != chain_id:
            return EndpointReport(rpc.name, trouble=f"serves chain {found}")
        answer = await rpc.call("eth_getBlockByNumber", FINALIZED, False)  # noqa: FBT003
        return EndpointReport(rpc.name, BlockHeader.from_json(answer))
    except DecodeError as error:
        return EndpointReport(rpc.name, trouble=f"answers nonsense: {error}")
    except (RpcError, RpcUnavailableError) as error:
        return EndpointReport(
            rpc.name, trouble=str(error).removeprefix(f"{rpc.name}: ")
        )


def _named(refused: Mapping[NotCounted, int]) -> dict[str, int]:
    return {str(reason): count for reason, count in sorted(refused.items())}


def _refusals(refused: Mapping[NotCounted, int]) -> list[list[str]]:
    return [
        ["", f"not counted: {count}, {reason}"]
        for reason, count in _named(refused).items()
    ]


def _code(shipped_contracts: Mapping[str, bool]) -> str:
    foreign = [name for name, is_ours in shipped_contracts.items() if not is_ours]
    return f"{', '.join(foreign)}: not as shipped" if foreign else "as shipped"

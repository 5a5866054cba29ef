"""What a directory on a chain costs: electing it, reading it, following it for a day.

::

    anvil, or the embedded chain <-- a registry of real records (`chain_registry`)
          |
    three endpoints, two must agree; in fact one, whose answers are what is measured
          |
    a reader in a process of its own: seconds, memory, bytes (`directory_reader`)
    the directory server and a client's gathering: bytes (`descriptor_traffic`)

Assumptions: in an epoch, a day, a tenth of all records changes (onion keys live one to
four weeks) and so does the list; descriptors are renewed every hour; a client looks at
the chain as often as its budget allows (`psp.directory.chain.looks`), and always finds
a vote and an hour's changes. Bytes are those of answers and messages, answers of the
chain compressed by gzip, whether or not the chain does so: HTTP, TLS and the padding of
packets are left out (but see ``…_packet_bytes``). So is the list of users, which those
who are registered read as well: 128 bytes for each, packed to a good half.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cli.bench import descriptor_traffic
from cli.bench.chain_blocks import BlockMaker
from cli.bench.chain_registry import BenchRegistry, ElectionGas
from cli.bench.descriptor_traffic import DAY, DescriptorTraffic
from cli.bench.directory_reader import FirstReading, Parts, Weights
from cli.bench.reader_process import ReaderProcess
from discovery.devchain.anvil import AnvilProcess
from discovery.devchain.process import ChainProcess, DevChainProcess
from psp.directory.chain.looks import CLIENT_DAY_BYTES, LookConfig, next_look
from psp.entropy import Entropy
from psp.errors import ConfigError
from psp.runtime.entropy import SystemEntropy
from psp.runtime.membership import MembershipConfig

NODES = 10_000
NODES_EMBEDDED = 400
"""The embedded chain takes 10 ms for a registration and 0.6 s for a page of 240."""
MIN_NODES = 40
"""More than there are seats."""
SEATS = 32
CHANGED = 0.1
"""Part of all records that changes in an epoch."""

_QUORUM, _ENDPOINTS = 2, 3
_GAS_SIZES = (100, 1_000)
_BUSY_LOOKS = 24
"""Parts of a day whose changes one look finds."""
_STARTS = 3
_SMALL = 100
"""Nodes on the embedded chain whose memory is taken."""
_ANVIL = (
    "--slots-in-an-epoch=1",
    "--prune-history=64",
    "--transaction-block-keeper=64",
)
"""Blocks are final after two; old states are dropped, else they would take gigabytes."""

Say = Callable[[str], None]
Figures = dict[str, float | str]


@dataclass(frozen=True, slots=True)
class _Followed:
    """What one reader read."""

    first: FirstReading
    parts: Parts
    whole: Weights
    idle: Weights
    busy: Weights
    epoch: Weights


def run(
    nodes: int | None = None,
    *,
    anvil: Path | None = None,
    starts: int = _STARTS,
    say: Say = lambda _: None,
) -> Figures:
    """Measure; return figures by name. Takes some minutes.

    Keys, beside ``chain`` and ``nodes``:

    * ``elected_s``: until the elected list and the counts are proven under an agreed
      block. ``read_s``: until one endpoint has given all records, that included.
      ``verify_s``: self-signatures of all. ``root_s``: rebuilding the storage root.
      ``first_reading_s``: from nothing to a view; where the root proves nothing (anvil
      keeps zeros) that is two listings, and ``completeness`` is not "proven".
    * ``bytes``, compressed: what is fetched until ``read_s``. ``wire_bytes``: as the
      chain sent the first reading, listings of all that were asked.
    * ``reader_rss_mb``, ``reader_peak_mb``: memory of a reader process that holds all.
    * ``bootstrap_bytes``, ``steady_day_bytes`` and their parts: what a client fetches.
      ``idle_look_bytes``: a look at the chain when nothing but blocks has come.
    * ``election_gas``: nominating 32 in one transaction, into used words, at the full
      size; ``…_at_100`` and ``…_at_1000``; ``…_spread``: the largest over the
      smallest, less 1. ``nominate_gas`` in the same way: a single nomination.
    * ``devchain_start_s``, ``devchain_rss_mb``: of the embedded chain, the memory with
      100 nodes registered.

    Args:
        nodes: How many; None for 10,000, on the embedded chain 400.
        anvil: Its binary; None for the embedded chain.
        starts: How often the embedded chain is started; the median counts.
        say: Told what goes on.

    Raises:
        ConfigError: If there are fewer nodes than an election needs.
        ChainError: If the chain did not do as it was told.
        ReaderError: If it could not be read.
    """
    count = nodes or (NODES_EMBEDDED if anvil is None else NODES)
    if count < MIN_NODES:
        raise ConfigError(f"--nodes is {count}; an election needs {MIN_NODES}")
    entropy = SystemEntropy()
    figures: Figures = {"chain": "embedded" if anvil is None else "anvil"}
    with _chain(anvil) as chain, BlockMaker(chain) as blocks:
        started = time.monotonic()
        registry = BenchRegistry(blocks, seats=SEATS, entropy=entropy, say=say)
        gas = _fill(registry, count, say)
        figures |= {"nodes": count, "fill_s": time.monotonic() - started}
        followed = _follow(registry, _three(chain.urls), say)
        network = registry.network
    say(f"counting the descriptors of {count} nodes")
    traffic = descriptor_traffic.measure(count, network, entropy)
    return {
        **figures,
        **_reading(followed),
        **_bootstrap(followed, traffic),
        **_day(followed, traffic),
        **_gas("election_gas", {size: each.all_seats for size, each in gas.items()}),
        **_gas("nominate_gas", {size: each.one_seat for size, each in gas.items()}),
        "seed_gas": gas[count].seed,
        **_devchain(starts, min(count, _SMALL), entropy, say),
    }


def _fill(registry: BenchRegistry, count: int, say: Say) -> dict[int, ElectionGas]:
    """Register nodes; return what an election costs at each size."""
    gas: dict[int, ElectionGas] = {}
    for size in sorted({*_GAS_SIZES, count}):
        if size <= count:
            registry.fill(size)
            if not gas:
                say("electing into every place of the ring")
                registry.warm_up()
            say(f"electing among {size} nodes")
            gas[size] = registry.elect()
    registry.begin_epoch()
    return gas


def _follow(registry: BenchRegistry, urls: list[str], say: Say) -> _Followed:
    with ReaderProcess(registry.network, _QUORUM, urls) as reader:
        say(f"reading {len(registry)} nodes")
        first = reader.first()
        say("verifying")
        parts = reader.parts()
        say("reading again, to weigh it")
        whole = reader.weigh()
        registry.settle()
        idle = reader.next()
        registry.vote()
        registry.rotate(max(1, round(CHANGED * len(registry) / _BUSY_LOOKS)))
        registry.settle()
        busy = reader.next()
        registry.rotate(max(1, round(CHANGED * len(registry))))
        registry.elect()
        registry.begin_epoch()
        say("reading the next epoch")
        return _Followed(first, parts, whole, idle, busy, epoch=reader.next())


def _reading(followed: _Followed) -> Figures:
    first, parts = followed.first, followed.parts
    return {
        "elected_s": first.elected,
        "read_s": first.listed,
        "verify_s": parts.verify,
        "root_s": parts.root,
        "first_reading_s": first.whole,
        "completeness": first.completeness,
        "nodes_counted": first.nodes,
        "elected": first.list_size,
        "bytes": followed.whole.packed_once,
        "wire_bytes": followed.whole.wire,
        "reader_rss_mb": first.resident / 1e6,
        "reader_peak_mb": first.peak / 1e6,
    }


def _bootstrap(followed: _Followed, traffic: DescriptorTraffic) -> Figures:
    """All listings that were fetched count, also those that a proof makes needless."""
    chain = followed.whole.packed
    return {
        "bootstrap_bytes": chain + traffic.first.message_bytes,
        "bootstrap_chain_bytes": chain,
        "bootstrap_descriptor_bytes": traffic.first.message_bytes,
        "bootstrap_packet_bytes": chain + traffic.first.packet_bytes,
    }


def _day(followed: _Followed, traffic: DescriptorTraffic) -> Figures:
    every = MembershipConfig(chain_id=0, registry="").poll_every
    when = LookConfig(every, day_bytes=CLIENT_DAY_BYTES)
    looks = DAY / next_look(when, None, followed.busy.packed, uniform=0.5)
    looks_bytes = looks * followed.busy.packed
    descriptor_bytes = traffic.looks * traffic.later.message_bytes
    return {
        "steady_day_bytes": looks_bytes + followed.epoch.packed + descriptor_bytes,
        "day_look_bytes": looks_bytes,
        "day_looks": looks,
        "idle_look_bytes": followed.idle.packed,
        "busy_look_bytes": followed.busy.packed,
        "day_epoch_bytes": followed.epoch.packed,
        "day_changed_part": CHANGED,
        "day_descriptor_bytes": descriptor_bytes,
        "day_descriptor_looks": traffic.looks,
        "day_descriptor_packet_bytes": traffic.looks * traffic.later.packet_bytes,
    }


def _gas(name: str, by_size: dict[int, int]) -> Figures:
    *smaller, full = by_size
    return {
        name: by_size[full],
        **{f"{name}_at_{size}": by_size[size] for size in smaller},
        f"{name}_spread": max(by_size.values()) / min(by_size.values()) - 1,
    }


# ---- chains


@contextmanager
def _chain(anvil: Path | None) -> Iterator[ChainProcess]:
    chain: ChainProcess
    if anvil is None:
        chain = DevChainProcess([f"--endpoints={_ENDPOINTS}"])
    else:
        chain = AnvilProcess(anvil, _ANVIL)
    try:
        yield chain
    finally:
        chain.stop()


def _devchain(starts: int, nodes: int, entropy: Entropy, say: Say) -> Figures:
    """Start the embedded chain a few times, and use the last one a little."""
    say("starting the embedded chain")
    times: list[float] = []
    resident = 0.0
    with tempfile.TemporaryDirectory(prefix="psp-bench-") as folder:
        for number in range(starts):
            path = str(Path(folder, f"chain-{number}"))
            started = time.monotonic()
            chain = DevChainProcess([path, f"--endpoints={_ENDPOINTS}"])
            times.append(time.monotonic() - started)
            try:
                if number == starts - 1:
                    resident = _used(chain, nodes, entropy, say)
            finally:
                chain.stop()
    return {"devchain_start_s": statistics.median(times), "devchain_rss_mb": resident}


def _used(chain: DevChainProcess, nodes: int, entropy: Entropy, say: Say) -> float:
    """Register some nodes and elect; return the megabytes that the chain takes then."""
    with BlockMaker(chain) as blocks:
        registry = BenchRegistry(blocks, seats=SEATS, entropy=entropy, say=say)
        registry.fill(nodes)
        registry.elect()
    status = Path(f"/proc/{chain.pid}/status").read_text("ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024 / 1e6


def _three(urls: Sequence[str]) -> list[str]:
    """Return three endpoints, the same one again if there are fewer."""
    return [urls[i % len(urls)] for i in range(_ENDPOINTS)]

"""Builds circuits for a purpose: picks the path, races slow builds, learns from failure.

* A build that takes longer than twice the usual time gets company: at most 3 run for
  one wish, the first that is built wins (R-PATH-6).
* A relay that did not answer is a *suspect* for a minute and stays off paths, as long
  as a path without it exists.
* A relay that has not the bandwidth that a call needs is left out of calls' circuits for
  a minute; it is no suspect, and never a reason to leave the primary guards.
* Guards are told what worked and what did not (R-PATH-4, R-TAG-6).
* A circuit that stands ready is a build that is nearly done (`ReadyCircuits`).
"""

import asyncio
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from statistics import median

from psp.bandwidth import NO_BANDWIDTH, Bandwidth
from psp.client.build_race import BandwidthError, Race, Wish
from psp.client.circuit import Circuit, CircuitError
from psp.client.context import ClientContext
from psp.client.network import ClientNetwork
from psp.client.ready_circuits import Kind, ReadyCircuits
from psp.directory.trusted import CLOCK_TOLERANCE
from psp.errors import PspError
from psp.ids import NodeId
from psp.netdoc.node_record import NodeRecord
from psp.path.guards import BIAS_ATTEMPTS, BIAS_FAILING, BIAS_SCALE
from psp.path.selection import NoPathError, Path, PathSelector, Purpose
from psp.units import Monotonic, Seconds, UnixTime
from psp.wire.cell import Reason
from psp.wire.endpoint import Endpoint

__all__ = ["BandwidthError", "BuilderConfig", "CircuitBuilder", "RegistryExpiredError"]

MAX_SUSPECTS = 256
"""Relays that are remembered for having failed; as many for being full."""
_MEDIA = frozenset({Purpose.RENDEZVOUS_CALLER, Purpose.RENDEZVOUS_CALLEE})
_BUILD_TIMES = 32


@dataclass(frozen=True, slots=True)
class BuilderConfig:
    """Timing of builds.

    Attributes:
        within: A wish not fulfilled by then fails.
        race_after: Least time before a slow build gets company.
        racers: Builds at the same time for one wish.
        attempts: Builds in all for one wish.
        suspect_for: How long a silent relay stays off paths, and a full one off calls'.
        ping_within: Least time a hop has to answer a ping.
        network_up_for: A sign of life this recent says that our own network works.
    """

    within: Seconds = Seconds(10.0)
    race_after: Seconds = Seconds(0.4)
    racers: int = 3
    attempts: int = 6
    suspect_for: Seconds = Seconds(60.0)
    ping_within: Seconds = Seconds(0.3)
    network_up_for: Seconds = Seconds(10.0)


class RegistryExpiredError(PspError):
    """No new circuits: what is known of the relays is too old (R-RPC-2)."""


class CircuitBuilder:
    """Opens circuits for one client.

    Attributes:
        ready: Where circuits stand ready; None for nowhere.
    """

    def __init__(
        self,
        context: ClientContext,
        network: ClientNetwork,
        selector: PathSelector,
        config: BuilderConfig | None = None,
        *,
        call_bandwidth: Bandwidth = NO_BANDWIDTH,
    ) -> None:
        """Be ready to build.

        Args:
            context: What the client shares.
            network: Runs the circuits.
            selector: Chooses their relays.
            config: Timing.
            call_bandwidth: What circuits of calls ask of each relay; others ask for
                nothing. Of a last hop that is given no least rate is asked: nobody
                else would do in its place.
        """
        self.config = config or BuilderConfig()
        self.call_bandwidth = call_bandwidth
        self._context = context
        self._network = network
        self._selector = selector
        self._suspects: dict[NodeId, Monotonic] = {}
        self._full: dict[NodeId, Monotonic] = {}
        self._build_times: deque[float] = deque(maxlen=_BUILD_TIMES)
        self._standing: dict[NodeId, tuple[int, int]] = {}
        self._alive_at = network.now()
        self.ready: ReadyCircuits | None = None

    async def open(
        self,
        purpose: Purpose,
        *,
        last: NodeId | None = None,
        endpoint: Endpoint | None = None,
        avoid: Collection[NodeId] = (),
        second_guard: bool = False,
        length: int | None = None,
        is_fresh: bool = False,
    ) -> Circuit:
        """Return a built circuit.

        Args:
            purpose: What it is for; it must serve nothing else.
            last: The last hop, where it is given.
            endpoint: Its endpoint, where somebody waits at that.
            avoid: Relays to leave out where possible.
            second_guard: Enter by the second guard: for hot spares.
            length: Hops, where it is not what the purpose asks for.
            is_fresh: Build all of it: among the hops of one that stood ready are none of
                ``avoid``, but perhaps others of their operators.

        Raises:
            NoPathError: If there is no path.
            CircuitError: If no build succeeded in time.
            BandwidthError: If it was for want of bandwidth.
            RegistryExpiredError: If nobody vouches for the relays any more.
        """
        expires = self._context.registry.expires + CLOCK_TOLERANCE
        if self._context.unix_time() >= expires:
            raise RegistryExpiredError("the registry has expired; fetch a newer file")
        wish = Wish(purpose, last, frozenset(avoid), second_guard, length, endpoint)
        begun = None if is_fresh or second_guard else self._take_ready(wish)
        return await self._run(Race(self, wish, begun))

    async def open_ready(self, kind: Kind) -> Circuit:
        """Return a circuit but for its last hop, to stand ready (`ReadyCircuits`).

        Raises:
            PspError: As `open` does.
        """
        wish = Wish(kind.purpose, None, frozenset(), length=kind.length)
        race = Race(self, wish)
        race.is_for_later = True
        return await self._run(race)

    async def _run(self, race: Race) -> Circuit:
        try:
            async with asyncio.timeout(self.config.within):
                return await race.run()
        except TimeoutError:
            raise CircuitError(Reason.TIMEOUT) from None
        finally:
            race.close()

    def retire_ready(self, circuit: Circuit) -> None:
        """Take note of how a circuit ended that stood ready and served nothing.

        A guard could end all whose middle is none of its friends (R-TAG-6). Where so
        many are ended, each counts as a failure; fewer may be a middle's doing, and
        those that stood until we closed them must not make up for builds that fail.
        """
        guard = circuit.path[0].node_id
        stood, cut = self._standing.get(guard, (0, 0))
        if circuit.was_cut:
            cut += 1
            if stood + cut >= BIAS_ATTEMPTS and cut > BIAS_FAILING * (stood + cut):
                self._selector.guards.record_attempt(guard)
        elif circuit.is_open:
            stood += 1
        if stood + cut >= BIAS_SCALE:
            stood, cut = stood // 2, cut // 2
        self._standing[guard] = stood, cut

    def _take_ready(self, wish: Wish) -> Circuit | None:
        """Return a build that is nearly done, if one that fits stood ready."""
        if self.ready is None:
            return None
        shunned = self._shunned(wish, self._network.now())
        registry = self._context.registry

        def last_of(circuit: Circuit) -> NodeRecord | None:
            guard, *between = hops = [node.node_id for node in circuit.path]
            if any(registry.node(hop) is None for hop in hops):
                return None  # revoked since
            if guard in shunned or not (shunned | wish.avoid).isdisjoint(between):
                return None
            return self._selector.choose_last(
                wish.purpose,
                circuit.path,
                self._context.entropy,
                last=wish.last,
                endpoint=wish.endpoint,
                exclude=shunned,
                avoid=wish.avoid,
            )

        kind = Kind(wish.purpose, wish.length or wish.purpose.length)
        taken = self.ready.take(kind, last_of)
        if taken is None:
            return None
        circuit, last = taken
        asked = self.asked(wish, Path((*circuit.path, last)))
        self._network.extend(circuit, last, *asked[-1:])
        return circuit

    def rendezvous(self, avoid: Collection[NodeId]) -> NodeRecord:
        """Draw a rendezvous relay without building to it.

        Raises:
            NoPathError: If there is none.
        """
        wish = Wish(Purpose.RENDEZVOUS_CALLER, None, frozenset(avoid))
        return self.choose(wish, ()).hops[-1]

    async def blame_silence(self, circuit: Circuit) -> None:
        """Ping every hop of a silent circuit; suspect the first that is silent."""
        # A build takes about twice the round trip to its last hop.
        within = Seconds(max(self.config.ping_within, 0.8 * circuit.build_time))
        answers = await asyncio.gather(
            *(circuit.ping(hop, within) for hop in range(1, len(circuit.path) + 1))
        )
        if any(answer is not None for answer in answers):
            self._alive_at = self._network.now()
        if not circuit.is_open:
            return  # it ended meanwhile: the silence says nothing
        for hop, answer in enumerate(answers, 1):
            if answer is None:
                self.suspect(circuit.path, hop)
                return

    def suspect(self, path: Collection[NodeRecord], hop: int) -> None:
        """Keep the relay at ``hop`` (from 1) off paths for a while."""
        node_id = list(path)[hop - 1].node_id
        now = self._network.now()
        if hop == 1:
            is_up = now - self._alive_at < self.config.network_up_for
            self._selector.guards.record_failure(node_id, now, is_network_up=is_up)
            if not is_up:
                return
        self._shun(self._suspects, node_id, now)

    # -- for the race

    def choose(self, wish: Wish, besides: Collection[NodeId]) -> Path:
        """Choose a path without suspects and ``besides``, or with them if need be."""
        now = self._network.now()
        shunned = self._shunned(wish, now)
        for exclude in (shunned | set(besides), shunned, set()):
            try:
                return self._selector.choose_path(
                    wish.purpose,
                    self._context.entropy,
                    now,
                    last=wish.last,
                    endpoint=wish.endpoint,
                    exclude=exclude,
                    avoid=wish.avoid,
                    length=wish.length,
                    use_second_guard=wish.second_guard,
                )
            except NoPathError:
                if not exclude:
                    raise
        raise AssertionError("the last attempt excludes nothing and raises")

    def start(self, path: Path, asked: Sequence[Bandwidth] = ()) -> Circuit:
        """Start one build; ``asked`` is for each relay, if for any."""
        return self._network.open(path.hops, asked)

    def asked(self, wish: Wish, path: Path) -> list[Bandwidth]:
        """Return what each relay is asked for."""
        if wish.purpose not in _MEDIA:
            return []
        asked = [self.call_bandwidth] * len(path.hops)
        if wish.last is not None:
            asked[-1] = replace(asked[-1], min_kbit_per_s=0)
        return asked

    @property
    def most(self) -> tuple[int, int]:
        """How many builds there are for one wish at the same time, and in all."""
        return self.config.racers, self.config.attempts

    @property
    def race_after(self) -> float:
        """Seconds after which a build counts as slow."""
        usual = 2 * median(self._build_times) if self._build_times else 0.0
        return max(self.config.race_after, usual)

    def learn(self, circuit: Circuit, *, is_for_later: bool = False) -> None:
        """Take note of how a build ended.

        One that lacks its last hop says nothing for its guard yet: a guard that lets
        through what ends at friends of its own waits for that hop (R-TAG-6).
        """
        guard, now = circuit.path[0].node_id, self._network.now()
        guards = self._selector.guards
        is_built = circuit.built.done() and circuit.built.exception() is None
        counts = not (is_for_later and is_built)
        if circuit.hops_added:
            self._alive_at = now
            unix_now = UnixTime(int(self._context.unix_time()))
            guards.record_success(guard, now, unix_now, self._context.entropy)
            if counts:
                guards.record_attempt(guard)
        if is_built:
            if counts:
                guards.record_built(guard)
            self._build_times.append(circuit.build_time)
        elif _is_for_bandwidth(circuit):
            refused = circuit.path[circuit.hops_added].node_id
            self._shun(self._full, refused, now)
        elif circuit.failed_hop is not None:
            self.suspect(circuit.path, circuit.failed_hop)

    def _shunned(self, wish: Wish, now: Monotonic) -> set[NodeId]:
        shunned = _still(self._suspects, now)
        if wish.purpose in _MEDIA:
            shunned |= self._full_relays(shunned, now)
        shunned.discard(wish.last or NodeId(b""))
        return shunned

    def _full_relays(self, suspects: set[NodeId], now: Monotonic) -> set[NodeId]:
        """Return who has lately refused; no primary guard unless another one serves."""
        guards, full = self._selector.guards, _still(self._full, now)
        primary = set(guards.primary())
        usable = primary - full - suspects
        if any(guards.is_reachable(guard, now) for guard in usable):
            return full
        return full - primary

    def _shun(
        self, shunned: dict[NodeId, Monotonic], node_id: NodeId, now: Monotonic
    ) -> None:
        shunned.pop(node_id, None)
        shunned[node_id] = Monotonic(now + self.config.suspect_for)
        while len(shunned) > MAX_SUSPECTS:
            del shunned[next(iter(shunned))]


def _is_for_bandwidth(circuit: Circuit) -> bool:
    """Tell whether a build has failed because a relay has not the bandwidth."""
    if not circuit.closed.done() or circuit.hops_added == len(circuit.path):
        return False
    return circuit.closed.result() is Reason.BANDWIDTH


def _still(shunned: dict[NodeId, Monotonic], now: Monotonic) -> set[NodeId]:
    return {node_id for node_id, until in shunned.items() if until > now}

"""Builds circuits for a purpose: picks the path, races slow builds, learns from failure.

* A build that takes longer than twice the usual time gets company: at most 3 run for
  one wish, the first that is built wins (R-PATH-6).
* A relay that did not answer is a *suspect* for a minute and stays off paths, as long
  as a path without it exists.
* A relay that has not the bandwidth that a call needs is left out of calls' circuits for
  a minute; it is no suspect, and never a reason to leave the primary guards.
* Guards are told what worked and what did not (R-PATH-4, R-TAG-6).
"""

import asyncio
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from statistics import median

from psp.bandwidth import NO_BANDWIDTH, Bandwidth
from psp.client.circuit import Circuit, CircuitError
from psp.client.context import ClientContext
from psp.client.network import ClientNetwork
from psp.directory.trusted import CLOCK_TOLERANCE
from psp.errors import PspError
from psp.ids import NodeId
from psp.netdoc.node_record import NodeRecord
from psp.path.selection import NoPathError, Path, PathSelector, Purpose
from psp.units import Monotonic, Seconds, UnixTime
from psp.wire.cell import Reason
from psp.wire.endpoint import Endpoint

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


class BandwidthError(CircuitError):
    """Relays on every path tried have promised their bandwidth to others."""

    def __init__(self, least: int) -> None:
        """Say how much was needed, in kbit/s."""
        super().__init__(Reason.BANDWIDTH)
        self._least = least

    def __str__(self) -> str:
        return (
            f"no relay on the path grants {self._least} kbit/s; try again in a minute, "
            "or ask for less (min_kbit_per_s in [call])"
        )


class CircuitBuilder:
    """Opens circuits for one client."""

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
        self._alive_at = network.now()

    async def open(
        self,
        purpose: Purpose,
        *,
        last: NodeId | None = None,
        endpoint: Endpoint | None = None,
        avoid: Collection[NodeId] = (),
        second_guard: bool = False,
        length: int | None = None,
    ) -> Circuit:
        """Return a built circuit.

        Args:
            purpose: What it is for; it must serve nothing else.
            last: The last hop, where it is given.
            endpoint: Its endpoint, where somebody waits at that.
            avoid: Relays to leave out where possible.
            second_guard: Enter by the second guard: for hot spares.
            length: Hops, where it is not what the purpose asks for.

        Raises:
            NoPathError: If there is no path.
            CircuitError: If no build succeeded in time.
            BandwidthError: If it was for want of bandwidth.
            RegistryExpiredError: If nobody vouches for the relays any more.
        """
        expires = self._context.registry.expires + CLOCK_TOLERANCE
        if self._context.unix_time() >= expires:
            raise RegistryExpiredError("the registry has expired; fetch a newer file")
        wish = _Wish(purpose, last, frozenset(avoid), second_guard, length, endpoint)
        race = _Race(self, wish)
        try:
            async with asyncio.timeout(self.config.within):
                return await race.run()
        except TimeoutError:
            raise CircuitError(Reason.TIMEOUT) from None
        finally:
            race.close()

    def rendezvous(self, avoid: Collection[NodeId]) -> NodeRecord:
        """Draw a rendezvous relay without building to it.

        Raises:
            NoPathError: If there is none.
        """
        wish = _Wish(Purpose.RENDEZVOUS_CALLER, None, frozenset(avoid))
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

    def choose(self, wish: "_Wish", besides: Collection[NodeId]) -> Path:
        """Choose a path without suspects and ``besides``, or with them if need be."""
        now = self._network.now()
        shunned = _still(self._suspects, now)
        if wish.purpose in _MEDIA:
            shunned |= self._full_relays(shunned, now)
        shunned.discard(wish.last or NodeId(b""))
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

    def asked(self, wish: "_Wish", path: Path) -> list[Bandwidth]:
        """Return what each relay is asked for."""
        if wish.purpose not in _MEDIA:
            return []
        asked = [self.call_bandwidth] * len(path.hops)
        if wish.last is not None:
            asked[-1] = replace(asked[-1], min_kbit_per_s=0)
        return asked

    @property
    def race_after(self) -> float:
        """Seconds after which a build counts as slow."""
        usual = 2 * median(self._build_times) if self._build_times else 0.0
        return max(self.config.race_after, usual)

    def learn(self, circuit: Circuit) -> None:
        """Take note of how a build ended."""
        guard, now = circuit.path[0].node_id, self._network.now()
        guards = self._selector.guards
        if circuit.hops_added:
            self._alive_at = now
            unix_now = UnixTime(int(self._context.unix_time()))
            guards.record_success(guard, now, unix_now, self._context.entropy)
            guards.record_attempt(guard)
        if circuit.built.done() and circuit.built.exception() is None:
            guards.record_built(guard)
            self._build_times.append(circuit.build_time)
        elif _is_for_bandwidth(circuit):
            refused = circuit.path[circuit.hops_added].node_id
            self._shun(self._full, refused, now)
        elif circuit.failed_hop is not None:
            self.suspect(circuit.path, circuit.failed_hop)

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


@dataclass(frozen=True, slots=True)
class _Wish:
    purpose: Purpose
    last: NodeId | None
    avoid: frozenset[NodeId]
    second_guard: bool = False
    length: int | None = None
    endpoint: Endpoint | None = None


class _Race:
    """Builds for one wish."""

    def __init__(self, builder: CircuitBuilder, wish: _Wish) -> None:
        self._builder = builder
        self._wish = wish
        self._running: list[Circuit] = []
        self._started = 0
        self._last_error = CircuitError(Reason.TIMEOUT)

    async def run(self) -> Circuit:
        """Return the first circuit that is built."""
        while True:
            if self._may_start():
                self._start()
            if not self._running:
                raise self._last_error
            await asyncio.wait(
                [circuit.built for circuit in self._running],
                timeout=self._builder.race_after if self._may_start() else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for circuit in list(self._running):
                if circuit.built.done():
                    self._running.remove(circuit)
                    self._builder.learn(circuit)
                    error = circuit.built.exception()
                    if error is None:
                        return circuit
                    if isinstance(error, CircuitError):
                        self._last_error = self._explain(error)

    def close(self) -> None:
        """Give up the builds that lost."""
        for circuit in self._running:
            circuit.close()
        self._running.clear()

    def _may_start(self) -> bool:
        config = self._builder.config
        return len(self._running) < config.racers and self._started < config.attempts

    def _start(self) -> None:
        # The guard stays: a slow build must not move the client to another one.
        besides = {
            node.node_id for circuit in self._running for node in circuit.path[1:-1]
        }
        path = self._builder.choose(self._wish, besides)
        asked = self._builder.asked(self._wish, path)
        self._running.append(self._builder.start(path, asked))
        self._started += 1

    def _explain(self, error: CircuitError) -> CircuitError:
        if error.reason is not Reason.BANDWIDTH:
            return error
        return BandwidthError(self._builder.call_bandwidth.min_kbit_per_s)

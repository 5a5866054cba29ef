"""Keeps a session on two legs, whichever relays die.

::

    caller                                         callee
    builds to R2, ESTABLISH --- offer(R2) ------>  builds to R2, JOIN
    chooses R3 and R4       --- reserve(R3, R4) -> remembers them
    every leg silent: both build to R3 and R4 at once; nobody has to be asked

Each side pings its own hops of a silent leg to learn which relay is gone, and builds
the next leg without it. A leg uses the guard that the other leg does not (R-PATH-4),
and other relays where there are enough.
"""

import asyncio
from collections import deque
from collections.abc import Coroutine
from dataclasses import dataclass, field

from psp.client.calls.session import ClientSession
from psp.client.circuit import Circuit, RequestError
from psp.client.circuits import CircuitBuilder
from psp.client.context import ClientContext
from psp.client.network import ClientNetwork
from psp.endpoint.legs import MAX_LEGS
from psp.endpoint.session import LegLost, SessionSilent
from psp.errors import PspError
from psp.ids import COOKIE_SIZE, NodeId
from psp.netdoc.node_record import NodeRecord
from psp.path.selection import Purpose
from psp.units import Seconds
from psp.wire.cell import Reason
from psp.wire.endpoint import Endpoint
from psp.wire.relay_message import RelayCommand
from psp.wire.session_block import LegAction, LegMessage

WANTED_LEGS = 2
JOIN_WITHIN = Seconds(5.0)
RETRY_AFTER = Seconds(0.5)
MAX_RETRY_AFTER = Seconds(15.0)
_JOIN_ATTEMPTS = 40
"""At 0.25 s each: the callee may come to the reserve before the caller has."""
_JOIN_AGAIN_AFTER = Seconds(0.25)
MAX_LEG_NUMBER = 255
JOINS_PER_MINUTE = 12
"""Circuits a callee builds at the caller's word. A caller that kills or offers legs
again and again is after the callee's guards (R-PATH-5); honest ones need a few."""
RESERVES = 2
"""Rendezvous agreed on ahead. The caller cannot know which relays the callee uses, so a
single one may be the very relay whose death ended every leg."""


@dataclass(slots=True)
class LegKeeper:
    """One side's legs of one session.

    Attributes:
        legs: Circuits of the legs in use, by number.
        lost: How many legs were lost so far.
        callee_hops: Of circuits that a callee builds to further rendezvous; None for
            as many as strangers cost.
    """

    context: ClientContext
    network: ClientNetwork
    circuits: CircuitBuilder
    session: ClientSession
    legs: dict[int, Circuit] = field(default_factory=dict)
    lost: int = 0
    callee_hops: int | None = None
    _next_leg: int = 1
    _reserves: dict[int, LegMessage] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _joins: deque[float] = field(default_factory=lambda: deque(maxlen=JOINS_PER_MINUTE))

    def start(self, first: Circuit) -> None:
        """Take charge, with the first leg's circuit joined."""
        self._use(0, first)
        self.session.on_leg_event = self._receive
        if self.session.is_caller:
            self._spawn(self._keep_wanted())
        self.session.closed.add_done_callback(lambda _: self._stop())

    # -- caller

    async def _keep_wanted(self) -> None:
        """Offer another leg whenever there are fewer than wanted."""
        pause = RETRY_AFTER
        while True:
            try:
                while len(self._reserves) < RESERVES:
                    self._send_reserve()
                if len(self.legs) >= WANTED_LEGS or not self.legs:
                    self._wake.clear()
                    await self._wake.wait()
                    continue
                await self._offer_leg()
                pause = RETRY_AFTER
            except (PspError, TimeoutError) as error:
                self.context.log.info("leg_failed", error=str(error))
                await asyncio.sleep(pause)
                pause = Seconds(min(pause * 2, MAX_RETRY_AFTER))

    async def _offer_leg(self) -> None:
        circuit = await self.circuits.open(
            Purpose.RENDEZVOUS_CALLER,
            avoid=self._relays_in_use(),
            second_guard=True,
        )
        try:
            message = self._leg_message(LegAction.OFFER, circuit.path[-1])
            await circuit.request(RelayCommand.ESTABLISH, message.cookie)
            self.session.send_leg_message(message)
            await asyncio.wait_for(circuit.joined.wait(), JOIN_WITHIN)
        except BaseException:
            circuit.close()
            raise
        self._use(message.leg, circuit)

    def _send_reserve(self) -> None:
        relay = self.circuits.rendezvous(avoid=self._relays_in_use())
        reserve = self._leg_message(LegAction.RESERVE, relay)
        self._reserves[reserve.leg] = reserve
        self.session.send_leg_message(reserve)

    def _leg_message(self, action: LegAction, relay: NodeRecord) -> LegMessage:
        leg = self._next_leg
        self._next_leg = leg % MAX_LEG_NUMBER + 1
        cookie = self.context.entropy.token(COOKIE_SIZE)
        endpoint = relay.endpoints[0].encode()
        return LegMessage(action, leg, relay.node_id, endpoint, cookie)

    async def _open_reserve(self, reserve: LegMessage, *, second_guard: bool) -> None:
        circuit = await self.circuits.open(
            Purpose.RENDEZVOUS_CALLER,
            last=NodeId(reserve.node_id),
            endpoint=Endpoint.decode(reserve.endpoint),
            avoid=self._relays_in_use(),
            second_guard=second_guard,
            is_fresh=True,
        )
        try:
            await circuit.request(RelayCommand.ESTABLISH, reserve.cookie)
            await asyncio.wait_for(circuit.joined.wait(), 2 * JOIN_WITHIN)
        except BaseException:
            circuit.close()
            raise
        self._use(reserve.leg, circuit)

    # -- callee

    async def _join(
        self, message: LegMessage, attempts: int, *, second_guard: bool
    ) -> None:
        """Build to the rendezvous and join; the caller may not be there yet."""
        if not self._may_join():
            self.context.log.warning("too_many_legs_offered")
            return
        circuit = await self.circuits.open(
            Purpose.RENDEZVOUS_CALLEE,
            last=NodeId(message.node_id),
            endpoint=Endpoint.decode(message.endpoint),
            avoid=self._relays_in_use(),
            second_guard=second_guard,
            is_fresh=True,
            length=self.callee_hops,
        )
        try:
            for attempt in range(1, attempts + 1):
                try:
                    await circuit.request(RelayCommand.JOIN, message.cookie)
                    break
                except RequestError:
                    if attempt == attempts:
                        raise
                await asyncio.sleep(_JOIN_AGAIN_AFTER)
        except BaseException:
            circuit.close()
            raise
        self._use(message.leg, circuit)

    def _may_join(self) -> bool:
        now = asyncio.get_running_loop().time()
        joins = self._joins
        if len(joins) == JOINS_PER_MINUTE and now - joins[0] < 60.0:
            return False
        joins.append(now)
        return True

    # -- both

    def _receive(self, event: LegLost | LegMessage | SessionSilent) -> None:
        match event:
            case LegLost():
                self._lose(event.leg)
            case SessionSilent():
                self._spawn(self._rescue())
            case LegMessage() if not self.session.is_caller:
                self._told(event)
            case _:
                pass  # a callee has nothing to offer

    def _told(self, message: LegMessage) -> None:
        if message.action is LegAction.RESERVE:
            self._reserves[message.leg] = message
            while len(self._reserves) > RESERVES:
                del self._reserves[next(iter(self._reserves))]
        elif message.action is LegAction.OFFER and len(self.legs) < MAX_LEGS:
            self._spawn(self._join(message, 1, second_guard=True))

    async def _rescue(self) -> None:
        """No leg is well: meet at one reserve at once, at the other knowing who died."""
        reserves, self._reserves = list(self._reserves.values()), {}
        silent = [circuit for circuit in self.legs.values() if circuit.is_open]
        for reserve in reserves[:1]:
            self._meet(reserve, second_guard=True)
        await asyncio.gather(*map(self.circuits.blame_silence, silent))
        for reserve in reserves[1:]:
            self._meet(reserve, second_guard=False)

    def _meet(self, reserve: LegMessage, *, second_guard: bool) -> None:
        self._spawn(
            self._open_reserve(reserve, second_guard=second_guard)
            if self.session.is_caller
            else self._join(reserve, _JOIN_ATTEMPTS, second_guard=second_guard)
        )

    def _use(self, leg: int, circuit: Circuit) -> None:
        """Use a circuit; not in another's place, which nobody would close any more."""
        if leg in self.legs or len(self.legs) >= MAX_LEGS:
            circuit.close()
            return
        self.legs[leg] = circuit
        self.network.add_leg(self.session.key, leg, circuit)
        circuit.closed.add_done_callback(lambda _: self._lose(leg))
        circuit.on_lossy_segment = lambda hop: self._leave(leg, circuit, hop)
        self._wake.set()

    def _lose(self, leg: int) -> None:
        circuit = self.legs.pop(leg, None)
        if circuit is None:
            return
        self.lost += 1
        self._wake.set()
        if circuit.is_open:
            self._spawn(self._give_up(circuit))

    def _leave(self, leg: int, circuit: Circuit, hop: int) -> None:
        """Move off a leg where one segment drops cells, while another leg is there."""
        if len(self.legs) > 1 and leg in self.legs:
            self.context.log.info("leg_lossy", hop=hop)
            for suspect in {hop - 1, hop} - {0, 1}:  # a guard stays (R-PATH-4)
                self.circuits.suspect(circuit.path, suspect)
            circuit.close()

    async def _give_up(self, circuit: Circuit) -> None:
        await self.circuits.blame_silence(circuit)
        circuit.close(Reason.TIMEOUT)

    def _relays_in_use(self) -> list[NodeId]:
        """Return whom another leg should not use, lest it die with one of these."""
        relays = [
            node.node_id for circuit in self.legs.values() for node in circuit.path
        ]
        reserves = self._reserves.values()
        return relays + [NodeId(reserve.node_id) for reserve in reserves]

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(self._quietly(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _quietly(self, work: Coroutine[None, None, None]) -> None:
        try:
            await work
        except (PspError, TimeoutError) as error:
            self.context.log.info("leg_failed", error=str(error))

    def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        for circuit in list(self.legs.values()):
            circuit.close()
        self.legs.clear()

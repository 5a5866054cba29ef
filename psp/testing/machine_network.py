"""A network of machines in memory: deterministic, with its own time.

Same seed, same machines, same calls: same run, to the byte. For code that awaits, see
`psp.testing.simloop`.
"""

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from psp.sansio import Address, Machine
from psp.testing.weather import Sky, Weather, split_train
from psp.units import Monotonic, Seconds

_MAX_STEPS_PER_INSTANT = 100_000
"""Steps without the clock moving before we call it a livelock."""


@dataclass(slots=True)
class _Host:
    machine: Machine[Any]
    on_event: Callable[[Any], None] | None
    timeout: Monotonic | None = None


@dataclass
class SimNetwork:
    """Carries trains between machines and fires their timers.

    Events stay in their machines for the test to read, unless the host was added with
    a listener.

    Attributes:
        weather: Of all paths; ``sky.set_path`` gives one path its own.
        seed: Of the weather.
        now: The time all machines are told.
        sky: Dead hosts, partitions, weather by path, counters.
    """

    weather: Weather = field(default_factory=Weather)
    seed: int | str = 0
    now: Monotonic = Monotonic(0.0)
    sky: Sky = field(init=False)
    _hosts: dict[Address, _Host] = field(default_factory=dict)
    _in_flight: list[tuple[Monotonic, int, Address, Address, list[bytes]]] = field(
        default_factory=list
    )

    def __post_init__(self) -> None:
        self.sky = Sky(self.weather, self.seed)
        self._serial = count()

    def add(
        self,
        address: Address,
        machine: Machine[Any],
        on_event: Callable[[Any], None] | None = None,
    ) -> None:
        """Attach a machine; at an address in use, it takes the old one's place.

        Args:
            address: Where others reach it.
            machine: Told the time and given its datagrams from now on.
            on_event: Called for each of its events; may use any machine.
        """
        self._hosts[address] = _Host(machine, on_event)

    def kill(self, address: Address) -> None:
        """Stop a host: nothing reaches it, and no timer of it fires."""
        self.sky.kill(address)

    def revive(self, address: Address) -> None:
        """Let a killed host go on, as a process that was stopped."""
        self.sky.revive(address)

    def run(self, until: Monotonic) -> None:
        """Play everything that happens up to and including ``until``."""
        self.run_while(lambda: True, until)

    def run_for(self, duration: Seconds) -> None:
        """Play the next ``duration``."""
        self.run(Monotonic(self.now + duration))

    def run_while(self, is_wanted: Callable[[], bool], until: Monotonic) -> bool:
        """Play until ``is_wanted`` returns False or ``until`` has passed.

        Returns:
            Whether ``is_wanted`` ended it: ``now`` is then when it did.
        """
        self._settle(self._hosts)
        steps = 0
        while is_wanted():
            step = self._next_step()
            if step is None or step > until:
                self.now = max(self.now, until)
                return not is_wanted()
            steps = steps + 1 if step <= self.now else 0
            if steps > _MAX_STEPS_PER_INSTANT:
                raise RuntimeError(f"{steps} steps, and it is still {self.now}")
            self.now = max(self.now, step)
            self._settle([*self._deliver(), *self._fire()])
        return True

    def _next_step(self) -> Monotonic | None:
        times = [host.timeout for host in self._alive() if host.timeout is not None]
        times += [entry[0] for entry in self._in_flight[:1]]
        return min(times, default=None)

    def _alive(self) -> list[_Host]:
        is_dead = self.sky.is_dead
        return [host for address, host in self._hosts.items() if not is_dead(address)]

    def _deliver(self) -> list[Address]:
        touched: list[Address] = []
        while self._in_flight and self._in_flight[0][0] <= self.now:
            _, _, source, destination, packets = heapq.heappop(self._in_flight)
            host = self._hosts.get(destination)
            if host is None or not self.sky.reaches(source, destination):
                self.sky.stats.cut_off += len(packets)
                continue
            train = memoryview(b"".join(packets))
            host.machine.receive(train, len(packets[0]) or 1, source, self.now)
            touched.append(destination)
        return touched

    def _fire(self) -> list[Address]:
        due = [
            address
            for address, host in self._hosts.items()
            if host.timeout is not None
            and host.timeout <= self.now
            and not self.sky.is_dead(address)
        ]
        for address in due:
            self._hosts[address].machine.handle_timeout(self.now)
        return due

    def _settle(self, touched: Iterable[Address]) -> None:
        """Send, report and re-arm for hosts that were used, as their owners would."""
        addresses = list(dict.fromkeys(touched))
        while addresses:
            has_listened = False
            for address in addresses:
                host = self._hosts[address]
                if self.sky.is_dead(address):
                    continue
                self._send(address, host)
                has_listened |= self._report(host)
                host.timeout = host.machine.next_timeout()
            # A listener may have used any machine, so ask them all.
            addresses = list(self._hosts) if has_listened else []

    def _send(self, source: Address, host: _Host) -> None:
        for train in host.machine.trains_to_send(self.now):
            packets = split_train(train.parts, train.packets)
            for arrival in self.sky.carry(source, train.destination, packets, self.now):
                heapq.heappush(
                    self._in_flight,
                    (
                        arrival.time,
                        next(self._serial),
                        source,
                        train.destination,
                        arrival.packets,
                    ),
                )

    def _report(self, host: _Host) -> bool:
        if host.on_event is None:
            return False
        has_events = False
        while (event := host.machine.next_event()) is not None:
            host.on_event(event)
            has_events = True
        return has_events

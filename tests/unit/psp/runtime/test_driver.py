"""The driver (psp/runtime/driver.py) on asyncio, uvloop and in virtual time."""

import asyncio

import pytest

from psp.runtime.driver import Driver
from psp.runtime.system import new_event_loop
from psp.runtime.udp import UdpSocket
from psp.sansio import Train
from psp.testing.hub import SimHub
from psp.testing.machines import Pinger
from psp.testing.simloop import run_simulation
from psp.testing.weather import Weather
from psp.units import Monotonic, Seconds

HOME = ("127.0.0.1", 0)


async def exchange(open_socket, train):
    """Ping through two sockets; return the event and both machines."""
    heard = asyncio.get_running_loop().create_future()
    near, far = open_socket(HOME), open_socket(HOME)
    pinger, echo = Pinger(far.local_address, train=train), Pinger()
    drivers = [Driver(pinger, near, heard.set_result), Driver(echo, far, print)]

    event = await asyncio.wait_for(heard, 5)

    for part in (*drivers, near, far):
        part.close()
    return event, pinger, echo


@pytest.mark.parametrize("prefers_uvloop", [True, False], ids=["uvloop", "asyncio"])
@pytest.mark.parametrize("train", [1, 50])
def test_trains_pass_between_real_sockets(prefers_uvloop, train):
    with asyncio.Runner(
        loop_factory=lambda: new_event_loop(prefers_uvloop=prefers_uvloop)
    ) as runner:
        event, pinger, echo = runner.run(exchange(UdpSocket, train))

    assert event.startswith("pong at ")
    assert echo.received == train
    assert pinger.received >= 1


def test_the_same_driver_runs_in_virtual_time():
    event, _, echo = run_simulation(lambda hub: exchange(hub.socket, 50))

    assert event == "pong at 0.100"
    assert echo.trains == [50]


class Recorder:
    """A machine that writes down what its driver does."""

    def __init__(self):
        self.calls = []
        self.events = []
        self.deadline = None
        self.out = []

    def receive(self, buffer, segment_size, source, now):
        self.calls.append(("receive", bytes(buffer), segment_size))

    def trains_to_send(self, now):
        self.calls.append(("send", now))
        out, self.out = self.out, []
        return out

    def next_event(self):
        return self.events.pop(0) if self.events else None

    def next_timeout(self):
        return self.deadline

    def handle_timeout(self, now):
        self.calls.append(("timeout", now))
        self.deadline = None

    def count(self, name):
        return sum(call[0] == name for call in self.calls)


def simulate(main):
    """Run ``main(hub, machine, driver, events)`` with one driver."""

    async def run(hub: SimHub):
        machine = Recorder()
        events: list[str] = []
        driver = Driver(machine, hub.socket(("192.0.2.1", 1)), events.append)
        await main(hub, machine, driver, events)

    run_simulation(run)


def test_many_scheduled_flushes_are_one():
    async def main(hub, machine, driver, events):
        await asyncio.sleep(0)
        machine.calls.clear()
        for _ in range(10):
            driver.schedule_flush()
        await asyncio.sleep(0)
        await asyncio.sleep(0)

        assert machine.count("send") == 1

    simulate(main)


def test_flush_replaces_a_scheduled_one():
    async def main(hub, machine, driver, events):
        driver.flush()
        await asyncio.sleep(0)
        await asyncio.sleep(0)

        assert machine.count("send") == 1

    simulate(main)


def test_what_a_listener_causes_leaves_in_the_same_flush():
    async def run(hub):
        machine = Recorder()
        there = hub.socket(("192.0.2.2", 2))

        def on_event(event):
            machine.out.append(Train(there.local_address, [b"x"], 1))
            driver.flush()

        driver = Driver(machine, hub.socket(("192.0.2.1", 1)), on_event)
        machine.events.append("something")
        driver.flush()

        assert machine.out == []

    run_simulation(run)


def test_listener_that_never_ends_does_not_stop_the_loop():
    async def run(hub):
        machine = Recorder()
        seen = []

        def on_event(event):
            seen.append(event)
            if len(seen) < 100:
                machine.events.append(event)

        driver = Driver(machine, hub.socket(("192.0.2.1", 1)), on_event)
        machine.events.append("again")
        driver.flush()
        await asyncio.sleep(0.01)

        assert len(seen) == 100

    run_simulation(run)


def test_timer_follows_the_machine():
    async def main(hub, machine, driver, events):
        machine.deadline = Monotonic(5.0)
        driver.flush()
        machine.deadline = Monotonic(2.0)
        driver.flush()
        await asyncio.sleep(10)

        assert [call for call in machine.calls if call[0] == "timeout"] == [
            ("timeout", 2.0)
        ]

    simulate(main)


def test_early_timer_is_left_alone_and_armed_again():
    async def main(hub, machine, driver, events):
        machine.deadline = Monotonic(2.0)
        driver.flush()
        machine.deadline = Monotonic(5.0)
        machine.handle_timeout = lambda now: machine.calls.append(("timeout", now))
        driver.flush()
        await asyncio.sleep(4)
        machine.handle_timeout = lambda now: Recorder.handle_timeout(machine, now)
        await asyncio.sleep(4)

        times = [call[1] for call in machine.calls if call[0] == "timeout"]
        assert times == [2.0, 5.0]

    simulate(main)


def test_closed_driver_reads_sends_and_wakes_no_more():
    async def main(hub, machine, driver, events):
        machine.deadline = Monotonic(2.0)
        driver.flush()
        hub.carry(("192.0.2.9", 9), ("192.0.2.1", 1), [b"x"])
        driver.close()
        driver.close()
        machine.calls.clear()
        driver.flush()
        driver.schedule_flush()
        await asyncio.sleep(10)

        assert machine.calls == []

    simulate(main)


def test_listener_may_close_the_driver():
    async def run(hub):
        machine, seen = Recorder(), []

        def on_event(event):
            seen.append(event)
            driver.close()

        driver = Driver(machine, hub.socket(("192.0.2.1", 1)), on_event)
        machine.events += ["first", "second"]
        machine.deadline = Monotonic(1.0)
        driver.flush()
        await asyncio.sleep(5)

        assert seen == ["first"]
        assert machine.count("timeout") == 0

    run_simulation(run)


def test_flood_leaves_room_for_others_between_wakes():
    async def main(hub, machine, driver, events):
        for size in range(1, 201):  # different sizes never share a train
            hub.carry(("192.0.2.9", 9), ("192.0.2.1", 1), [bytes(size)])
        batches = []
        await asyncio.sleep(0.05)
        while machine.count("receive") < 200:
            batches.append(machine.count("receive"))
            await asyncio.sleep(0)

        assert max(b - a for a, b in zip([0, *batches], batches, strict=False)) <= 64

    simulate(main)


def test_full_trains_leave_room_for_others_sooner():
    async def main(hub, machine, driver, events):
        for size in range(1, 41):  # different sizes never share a train
            train = [bytes(1200 + size)] * 50
            hub.carry(("192.0.2.9", 9), ("192.0.2.1", 1), train)
        await asyncio.sleep(1)

        calls = "".join(call[0][0] for call in machine.calls)
        assert calls.count("r") == 40
        assert max(map(len, calls.split("s"))) == 5

    simulate(main)


class Patient(Recorder):
    """A machine that wants to know when it is behind."""

    def __init__(self):
        super().__init__()
        self.backlogs = []

    def note_backlog(self, backlog, now):
        self.backlogs.append(backlog)


def hear_backlogs(*bursts):
    """Return what a machine is told of while bursts of datagrams come."""

    async def run(hub):
        machine = Patient()
        driver = Driver(machine, hub.socket(("192.0.2.1", 1)), print)
        for burst in bursts:
            for size in range(1, burst + 1):
                hub.carry(("192.0.2.9", 9), ("192.0.2.1", 1), [bytes(size)])
            await asyncio.sleep(1)
        driver.close()
        assert machine.count("receive") == sum(bursts)
        return machine.backlogs

    return run_simulation(run)


def test_a_machine_hears_what_waits_behind_a_wake_and_once_that_nothing_does():
    heard = hear_backlogs(200, 1, 64)

    assert heard == pytest.approx([136 / 3000, 72 / 3000, 8 / 3000, 0.0, 0.0])


def test_a_machine_that_keeps_up_hears_nothing():
    assert hear_backlogs(63, 1, 63) == []


def test_driver_tells_the_time_of_its_loop():
    async def main(hub, machine, driver, events):
        await asyncio.sleep(3)

        assert driver.now() == asyncio.get_running_loop().time() == 3.0

    simulate(main)


def test_a_lossy_path_is_pinged_until_it_answers():
    async def run(hub):
        hub.sky.weather = Weather(loss=0.6, latency=Seconds(0.2))
        return await exchange_with_patience(hub)

    event, sent = run_simulation(run, seed=3)

    assert event.startswith("pong at ")
    assert sent > 1


async def exchange_with_patience(hub):
    heard = asyncio.get_running_loop().create_future()
    near, far = hub.socket(("192.0.2.1", 1)), hub.socket(("192.0.2.2", 2))
    pinger = Pinger(far.local_address)
    drivers = [Driver(pinger, near, heard.set_result), Driver(Pinger(), far, print)]
    event = await heard
    for driver in drivers:
        driver.close()
    return event, pinger.sent

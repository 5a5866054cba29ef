"""A relay of two workers, as real processes on loopback."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

import pytest

from cli.demo.plan import (
    DEMO_NETWORK,
    HOST,
    NetworkPlan,
    PlannedRelay,
    free_ports,
    make_plan,
)
from cli.settings_file import to_toml
from psp.circuit.events import Pong
from psp.circuit.origin import HopSpec
from psp.runtime.driver import Driver
from psp.runtime.entropy import SystemEntropy
from psp.runtime.udp import UdpSocket
from psp.testing.origins import OriginClient
from tests.loopback.commands import psp
from tests.worker_plan import with_workers

pytestmark = pytest.mark.timeout(120)


@dataclass
class Relay:
    """One relay's parent process, and what it and its workers say."""

    process: subprocess.Popen[str]
    events: list[dict[str, object]] = field(default_factory=list)

    def read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append(json.loads(line))

    def told(self, event: str, **fields: object) -> list[dict[str, object]]:
        return [
            entry
            for entry in list(self.events)
            if entry["event"] == event and fields.items() <= entry.items()
        ]

    def worker_pid(self, number: int) -> int:
        """Return the process id of a worker."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for child in map(int, children):
            words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
            if words[-3:-1] == [b"--worker", str(number).encode()]:
                return child
        raise AssertionError(f"no worker {number} among {children}")


async def until(is_true: Callable[[], object], within: float = 60.0) -> None:
    """Let the loop run until something is true."""
    async with asyncio.timeout(within):
        while not is_true():  # noqa: ASYNC110 - other processes have no event
            await asyncio.sleep(0.01)


class Caller:
    """A client of few words with one circuit to one worker."""

    def __init__(self, relay: PlannedRelay, worker: int, name: str) -> None:
        self.udp = UdpSocket((HOST, 0))
        self.client = OriginClient(DEMO_NETWORK, name)
        self.driver: Driver[None] = Driver(self.client, self.udp, lambda _: None)
        record = relay.signed.record
        chosen = (record.endpoints[worker],)
        hop = HopSpec(record.node_id, record.onion_key, chosen)
        self.circuit = self.client.open([hop], self.driver.now())
        self.driver.flush()

    async def is_answered(self) -> bool:
        """Whether the worker still knows the circuit."""
        self.circuit.origin.ping(1, self.driver.now())
        self.driver.flush()
        await until(lambda: any(isinstance(e, Pong) for e in self.circuit.events))
        return self.circuit.origin.is_open

    async def built(self) -> None:
        await until(lambda: self.circuit.origin.is_open)

    def close(self) -> None:
        self.driver.close()
        self.udp.close()


@pytest.fixture
def plan(tmp_path: Path) -> NetworkPlan:
    """Two relays, the first of two workers."""
    ports = free_ports(3)
    folder = tmp_path / "network"
    folder.mkdir(mode=0o700)
    planned = make_plan(
        folder,
        ports[:2],
        [],
        discovery=1,
        entropy=SystemEntropy(),
        unix_now=time.time(),
    )
    return with_workers(planned, [[ports[0], ports[2]], [ports[1]]])


def settings_of(relay: PlannedRelay) -> Path:
    path = relay.config.state_dir / "relay.toml"
    path.write_text(to_toml(relay.config))
    return path


@contextmanager
def running(
    relay: PlannedRelay, *options: str, folder: Path | None = None
) -> Iterator[Relay]:
    command = [sys.executable, "-P", "-m", "cli.main", "relay", "run", "--log-json"]
    process = subprocess.Popen(
        [*command, "--end-with-parent", *options, str(settings_of(relay))],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        started = Relay(process)
        reader = Thread(target=started.read)
        reader.start()
        try:
            yield started
        finally:
            process.terminate()
            process.wait(30)
            reader.join()


async def test_a_killed_worker_comes_back_and_the_others_circuits_go_on(plan):
    first = plan.relays[0]
    with running(first) as relay:
        await until(lambda: relay.told("all_workers_serve"))
        callers = [Caller(first, worker, f"{worker}") for worker in range(2)]
        for caller in callers:
            await caller.built()

        os.kill(relay.worker_pid(1), signal.SIGKILL)
        await until(lambda: len(relay.told("worker_started", worker=1)) == 2)
        callers.append(Caller(first, 1, "anew"))
        await callers[2].built()

        assert await callers[0].is_answered()
        for caller in callers:
            caller.close()
        relay.process.send_signal(signal.SIGINT)
        await until(lambda: relay.process.poll() is not None)
    assert relay.process.returncode == 0
    assert len(relay.told("relay_stopped", worker=0)) == 1
    assert len(relay.told("worker_stopped", worker=1)) == 1


async def test_workers_end_in_good_order_when_their_parent_is_killed(plan):
    with running(plan.relays[0]) as relay:
        await until(lambda: relay.told("all_workers_serve"))

        relay.process.kill()
        await until(lambda: relay.told("worker_stopped", worker=1))
        await until(lambda: relay.told("relay_stopped", worker=0))


async def test_workers_run_nothing_that_lies_where_they_are_started(plan, tmp_path):
    (tmp_path / "cli").mkdir()
    (tmp_path / "cli/__init__.py").write_text("raise SystemExit(99)")
    with running(plan.relays[0], folder=tmp_path) as relay:
        await until(lambda: relay.told("all_workers_serve"))


@pytest.mark.parametrize("worker", [0, 1])
def test_a_port_that_is_taken_names_the_worker_and_the_port(plan, worker):
    port = plan.relays[0].signed.record.endpoints[worker].port
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((HOST, port))
        ran = subprocess.run(
            [
                *(sys.executable, "-m", "cli.main", "relay", "run", "--log-json"),
                str(settings_of(plan.relays[0])),
            ],
            capture_output=True,
            text=True,
            check=False,
        )

    assert ran.returncode == 3
    sentence = " ".join(ran.stderr.split())
    assert f"worker {worker}: port {port} on {HOST} is in use" in sentence
    assert "Traceback" not in ran.stderr


def test_bad_numbers_of_workers_are_said(plan):
    settings = settings_of(plan.relays[0])

    def refused(*options: str) -> str:
        ran = psp("relay", "run", settings, *options)
        assert ran.code == 3, ran
        return " ".join(ran.err.split())

    assert "workers = 0: use 1 to 16" in refused("--workers", "0")
    assert "workers = 17: use 1 to 16" in refused("--workers", "17")
    assert "workers is 1, the registry has 2 ports" in refused("--workers", "1")
    assert "leave it out" in refused("--worker", "1")


def test_workers_that_the_registry_does_not_list_say_what_to_do(plan):
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "cli.main", "relay", "run", "--log-json"),
            *("--workers", "3", str(settings_of(plan.relays[0]))),
        ],
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 3
    assert "set workers to 2, or publish one port for each" in " ".join(
        ran.stderr.split()
    )

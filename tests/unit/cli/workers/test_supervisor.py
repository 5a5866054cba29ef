"""Starting workers, and starting them again (cli/workers/supervisor.py).

The workers are small programs that speak the channel's frames and do as they are told.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest
import structlog

from cli.node_config import MetricsConfig
from cli.workers.channel import Ready, Report, frame
from cli.workers.families import Family
from cli.workers.members import MembersMessage
from cli.workers.supervisor import FAILED_STARTS, Workers, run_workers
from psp.errors import ConfigError
from psp.runtime.supervisor import SupervisorConfig
from psp.testing.entropy import SeededEntropy
from psp.units import Seconds
from tests.unit.cli.test_worker_shares import config

AT_ONCE = SupervisorConfig(
    first_delay=Seconds(0.01), max_delay=Seconds(0.01), closing_time=Seconds(15.0)
)
MEMBERS = frame(MembersMessage({b"1" * 32: bytes(24)}))
REPORT = frame(
    Report(
        [Family("psp_circuits", "Circuits", "gauge", [({}, 7.0)])], {"well": True}, 1
    )
)
WORKER = """
import os, signal, socket, sys
folder, frames, codes = sys.argv[1], bytes.fromhex(sys.argv[2]), sys.argv[3]
number = int(sys.argv[sys.argv.index("--worker") + 1])
starts = os.path.join(folder, f"{number}")
with open(starts, "a") as file:
    file.write(f"{os.getpid()}\\n")
tries = len(open(starts).readlines())
for line in codes.split():
    who, upto, code = map(int, line.split(":"))
    if who == number and tries <= upto:
        sys.exit(code)
channel = socket.socket(fileno=0)
if number:
    told = b""
    while len(told) < 4 or len(told) < 4 + int.from_bytes(told[:4], "big"):
        told += channel.recv(65536) or sys.exit(0)
    with open(starts + ".told", "wb") as file:
        file.write(told)
    frames = frames.split(b"|")[1]
else:
    frames = frames.replace(b"|", b"")
channel.sendall(frames)
while channel.recv(65536):
    pass
with open(starts + ".left", "w"):
    pass
"""
FRAMES = MEMBERS + b"|" + frame(Ready(443)) + REPORT


class Rig:
    """Workers in a folder that holds what became of them."""

    def __init__(self, folder: Path, codes: str = "", *, metrics: bool = False) -> None:
        self.folder = folder
        self.log = structlog.testing.LogCapture()
        self.workers = Workers(
            3,
            [sys.executable, "-c", WORKER, str(folder), FRAMES.hex(), codes],
            MetricsConfig(port=0, enabled=metrics),
            log=structlog.wrap_logger(None, processors=[self.log]),
            entropy=SeededEntropy(1),
            restarting=AT_ONCE,
        )
        self.task = asyncio.create_task(self.workers.run())

    def pids(self, number: int) -> list[int]:
        file = self.folder / str(number)
        return list(map(int, file.read_text().split())) if file.exists() else []

    async def until(self, is_true: Callable[[], bool]) -> None:
        async with asyncio.timeout(20.0):
            while not is_true():  # noqa: ASYNC110 - processes have no event
                await asyncio.sleep(0.01)

    async def all_serve(self) -> None:
        await self.until(lambda: all(self.workers.checks().values()))

    async def stop(self) -> int:
        os.kill(os.getpid(), signal.SIGTERM)
        return await self.task


async def test_all_workers_serve_and_end_when_the_parent_is_told_to(tmp_path):
    rig = Rig(tmp_path)
    await rig.all_serve()

    code = await rig.stop()

    assert code == 0
    assert [len(rig.pids(number)) for number in range(3)] == [1, 1, 1]
    assert all((tmp_path / f"{number}.left").exists() for number in range(3))
    assert {(tmp_path / f"{number}.told").read_bytes() for number in (1, 2)} == {
        MEMBERS
    }


async def test_a_worker_that_is_killed_is_started_again_and_the_others_go_on(tmp_path):
    rig = Rig(tmp_path)
    await rig.all_serve()

    for number in (1, 0):
        os.kill(rig.pids(number)[0], signal.SIGKILL)
        await rig.until(lambda number=number: len(rig.pids(number)) == 2)
        await rig.all_serve()

    assert await rig.stop() == 0
    assert len(rig.pids(2)) == 1
    failures = [e for e in rig.log.entries if e["event"] == "task_failed"]
    assert [entry["kind"] for entry in failures] == ["worker 1", "worker 0"]
    assert "SIGKILL" in failures[0]["error"]
    assert (tmp_path / "1.told").read_bytes() == MEMBERS


@pytest.mark.parametrize(
    ("codes", "expected"),
    [("0:1:3", 3), ("1:1:3", 3), ("2:1:3", 3), ("0:1:5", 5), ("0:1:1", 1)],
)
async def test_a_node_whose_workers_cannot_start_ends_with_their_code(
    tmp_path, codes, expected
):
    rig = Rig(tmp_path, codes)

    assert await rig.task == expected
    assert rig.log.entries[-1]["event"] == "worker_cannot_start"


async def test_a_crash_at_the_first_start_of_a_further_worker_is_tried_again(tmp_path):
    rig = Rig(tmp_path, "2:2:1")
    await rig.all_serve()

    assert len(rig.pids(2)) == 3
    assert await rig.stop() == 0


async def test_a_port_that_is_taken_later_does_not_end_the_others(tmp_path):
    rig = Rig(tmp_path)
    await rig.all_serve()
    rig.workers._command[-1] = "1:3:3"
    os.kill(rig.pids(1)[0], signal.SIGKILL)
    await rig.until(lambda: len(rig.pids(1)) == 4)
    await rig.all_serve()

    assert await rig.stop() == 0


async def test_a_node_without_its_first_worker_ends_after_a_few_tries(tmp_path):
    rig = Rig(tmp_path)
    await rig.all_serve()
    rig.workers._command[-1] = "0:99:1"

    os.kill(rig.pids(0)[0], signal.SIGKILL)

    assert await rig.task == 1
    assert len(rig.pids(0)) == 1 + FAILED_STARTS


async def test_metrics_of_all_workers_are_served_at_one_address(tmp_path):
    rig = Rig(tmp_path, metrics=True)
    await rig.all_serve()
    await rig.until(lambda: all(w.report is not None for w in rig.workers._workers))
    assert rig.workers.metrics is not None
    host, port = rig.workers.metrics.address
    async with aiohttp.ClientSession() as session:
        base = f"http://{host}:{port}"
        async with session.get(f"{base}/metrics") as answer:
            lines = (await answer.text()).splitlines()
        async with session.get(f"{base}/healthz") as answer:
            health = await answer.json()

    for number in range(3):
        assert f'psp_circuits{{worker="{number}"}} 7.0' in lines
        assert f'psp_worker_is_up{{worker="{number}"}} 1.0' in lines
        assert f'psp_worker_restarts_total{{worker="{number}"}} 0.0' in lines
    assert health["checks"]["worker_2"] is health["checks"]["well"] is True
    assert await rig.stop() == 0


async def test_more_workers_than_cores_are_said_in_the_log_or_refused(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    log = structlog.testing.LogCapture()

    async def start(workers: int) -> int:
        quiet = config(workers)
        command = [sys.executable, "-c", WORKER, str(tmp_path), FRAMES.hex(), "0:1:3"]
        return await run_workers(
            quiet, command, structlog.wrap_logger(None, processors=[log])
        )

    with pytest.raises(ConfigError, match="at most 4 make sense"):
        await start(5)
    monkeypatch.setattr(
        "cli.workers.supervisor.MetricsServer.start", lambda *_: asyncio.sleep(0)
    )
    assert await start(2) == 3
    assert log.entries[0]["event"] == "too_many_workers"

"""Processes of the demo (cli/demo/processes.py)."""

import asyncio
from pathlib import Path

import pytest

from cli.demo import processes
from cli.demo.processes import Process, ProcessError, stop_all

TALKER = """
import json, sys
print("not JSON")
print(json.dumps(["no event"]))
print(json.dumps({"event": "ready"}), flush=True)
for line in sys.stdin:
    print(json.dumps({"event": "heard", "line": line.strip()}), flush=True)
    if line.strip() == "fail":
        print(json.dumps({"event": "failed", "error": "out of luck"}), flush=True)
    if line.strip() == "end":
        sys.exit(3)
"""
STUBBORN = """
import json, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(json.dumps({"event": "ready"}), flush=True)
time.sleep(60)
"""


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Start a Python program in place of psp."""

    async def start(program: str) -> Process:
        (tmp_path / "cli").mkdir(exist_ok=True)
        (tmp_path / "cli" / "__init__.py").touch()
        (tmp_path / "cli" / "main.py").write_text(program)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        monkeypatch.chdir(tmp_path)
        return await Process.start("Tester", [], tmp_path / "tester.log")

    return start


async def test_what_a_process_says_can_be_waited_for_and_it_can_be_told(start):
    process = await start(TALKER)
    try:
        await process.wait_for("ready", 10)
        process.tell("hello")
        heard = await process.wait_for("heard", 10)
    finally:
        await process.stop()

    assert heard["line"] == "hello"
    assert [event["event"] for event in process.events] == ["ready", "heard"]
    assert not process.is_running


async def test_a_process_that_ends_too_early_is_said_by_name(start):
    process = await start(TALKER)
    process.tell("end")

    with pytest.raises(ProcessError, match="Tester ended before 'first frame'"):
        await process.wait_for("first_frame", 10)
    process.tell("nobody hears this")
    process.kill()
    await process.stop()


async def test_a_failure_that_a_process_reports_is_passed_on(start):
    process = await start(TALKER)
    process.tell("fail")

    with pytest.raises(ProcessError, match="Tester: out of luck"):
        await process.wait_for("first_frame", 10)
    await process.stop()


async def test_what_takes_too_long_is_said_with_the_time(start):
    process = await start(TALKER)

    with pytest.raises(ProcessError, match="no 'announced' within 0 s"):
        await process.wait_for("announced", 0.05)
    await process.stop()


async def test_who_does_not_leave_is_killed(start, monkeypatch):
    monkeypatch.setattr(processes, "STOP_WITHIN", 0.2)
    stubborn = await start(STUBBORN)
    await stubborn.wait_for("ready", 10)

    await asyncio.wait_for(stop_all([stubborn, stubborn]), 10)

    assert stubborn.child.returncode == -9

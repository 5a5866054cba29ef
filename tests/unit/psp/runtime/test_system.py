"""What the process asks of the system (psp/runtime/system.py)."""

import asyncio
import os
import subprocess
import sys

import uvloop

from psp.runtime.system import loop_clock, new_event_loop

HARDEN = """
import ctypes, resource
from psp.runtime.system import harden
print(harden(), resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3))
"""
"""In a process of its own: what it does cannot be undone. 3 is PR_GET_DUMPABLE."""


def test_hardened_process_leaves_no_core_and_no_memory_to_read():
    done = subprocess.run(
        [sys.executable, "-c", HARDEN], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "() (0, 0) 0"


def test_refusals_are_told_in_words():
    script = "import sys; sys.platform = 'other'\n" + HARDEN

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert "no PR_SET_DUMPABLE" in done.stdout


def test_a_child_ends_when_its_parent_is_killed():
    child = "import signal, psp.runtime.system as s; s.end_with_parent(); print(1, flush=True); signal.pause()"
    parent = (
        "import subprocess, sys, os\n"
        f"child = subprocess.Popen([sys.executable, '-c', {child!r}])\n"
        "os.wait()\n"
    )
    reader, writer = os.pipe()
    started = subprocess.Popen([sys.executable, "-c", parent], stdout=writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as said:
        assert said.readline() == b"1\n"

        started.kill()
        started.wait()

        # The pipe ends when the last who could write to it is gone: the child.
        assert said.read() == b""


def test_uvloop_is_taken_where_wanted():
    fast, plain = new_event_loop(), new_event_loop(prefers_uvloop=False)

    assert isinstance(fast, uvloop.Loop)
    assert isinstance(plain, asyncio.SelectorEventLoop)
    fast.close()
    plain.close()


def test_asyncio_serves_where_uvloop_is_missing(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)

    loop = new_event_loop()

    assert isinstance(loop, asyncio.SelectorEventLoop)
    loop.close()


def test_clock_moves_while_a_callback_runs_and_is_the_loops():
    for loop in (new_event_loop(), new_event_loop(prefers_uvloop=False)):
        clock = loop_clock(loop)

        async def spin(clock=clock, loop=loop):
            began = loop.time()
            first = clock()
            while clock() == first:
                pass
            # The loop's own time may lag behind, by this callback and a millisecond.
            return began <= loop.time() <= clock() and first - began < 60.0

        assert loop.run_until_complete(spin())
        loop.close()


def test_clock_of_a_loop_with_a_time_of_its_own_is_that_time():
    loop = new_event_loop(prefers_uvloop=False)
    loop.time = lambda: 7.0

    assert loop_clock(loop)() == 7.0
    loop.close()

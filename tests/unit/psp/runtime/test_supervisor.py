"""The supervisor (psp/runtime/supervisor.py), in virtual time."""

import asyncio
import io
import os
import signal

import pytest

from psp.runtime import logs
from psp.runtime.logs import LogOutput, logger
from psp.runtime.supervisor import OnFailure, Supervisor, TaskFailedError
from psp.testing.entropy import SeededEntropy
from psp.testing.simloop import run_simulation


@pytest.fixture
def stream():
    stream = io.StringIO()
    logs._output, before = LogOutput(level=20, stream=stream), logs._output
    yield stream
    logs._output = before


def simulate(main):
    """Run ``main(supervisor)`` in virtual time."""

    async def run(hub):
        return await main(Supervisor(logger("test"), SeededEntropy()))

    return run_simulation(run)


class Failing:
    """A task that fails after ``life`` seconds, each time."""

    def __init__(self, life=0.0):
        self.life = life
        self.starts = []

    async def run(self):
        self.starts.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.life)
        raise OSError("192.0.2.77 is secret")


def test_failed_task_is_restarted_ever_more_slowly(stream):
    failing = Failing()

    async def main(supervisor):
        supervisor.add("failing", failing.run)
        await asyncio.sleep(600)
        supervisor.stop()
        await supervisor.run()
        return supervisor.stats

    stats = simulate(main)

    gaps = [b - a for a, b in zip(failing.starts, failing.starts[1:], strict=False)]
    assert all(0.5 * 2**n <= gap <= 1.5 * 2**n for n, gap in enumerate(gaps[:6]))
    assert all(30 <= gap <= 90 for gap in gaps[6:])
    assert stats.failures == len(failing.starts)


def test_task_that_was_healthy_is_restarted_soon(stream):
    failing = Failing(life=200.0)

    async def main(supervisor):
        supervisor.add("failing", failing.run)
        await asyncio.sleep(1_000)
        supervisor.stop()
        await supervisor.run()

    simulate(main)

    gaps = [b - a for a, b in zip(failing.starts, failing.starts[1:], strict=False)]
    assert all(200.5 <= gap <= 201.5 for gap in gaps)


def test_failure_is_logged_with_its_place_and_without_its_text(stream):
    async def main(supervisor):
        supervisor.add("failing", Failing().run)
        await asyncio.sleep(0.1)
        supervisor.stop()
        await supervisor.run()

    simulate(main)

    text = stream.getvalue()
    assert "task_failed service=test kind=failing error=OSError" in text
    assert "test_supervisor.py" in text
    assert "192.0.2.77" not in text


def test_task_nobody_can_do_without_ends_the_process(stream):
    closed = []

    async def main(supervisor):
        async def close():
            closed.append("udp")

        supervisor.on_close("udp", close)
        supervisor.add("vital", Failing().run, on_failure=OnFailure.STOP)
        with pytest.raises(TaskFailedError, match="vital failed; see the log"):
            await supervisor.run()

    simulate(main)

    assert closed == ["udp"]


def test_task_that_returns_is_done_and_its_name_free(stream):
    async def main(supervisor):
        async def work():
            await asyncio.sleep(1)

        supervisor.add("work", work)
        with pytest.raises(ValueError, match="work runs already"):
            supervisor.add("work", work)
        await asyncio.sleep(2)
        supervisor.add("work", work)
        supervisor.stop()
        await supervisor.run()
        return supervisor.stats.failures

    assert simulate(main) == 0


def test_everything_is_closed_in_reverse_order_whatever_fails(stream):
    order = []

    async def main(supervisor):
        def closer(name, *, sleep=0.0, error=None):
            async def close():
                await asyncio.sleep(sleep)
                if error is not None:
                    raise error
                order.append(name)

            return close

        async def work():
            try:
                await asyncio.sleep(100)
            finally:
                order.append("task")

        supervisor.on_close("first", closer("first"))
        supervisor.on_close("broken", closer("broken", error=OSError("x")))
        supervisor.on_close("stuck", closer("stuck", sleep=100.0))
        supervisor.on_close("last", closer("last"))
        supervisor.add("work", work)
        await asyncio.sleep(1)
        supervisor.stop()
        await supervisor.run()
        return supervisor.stats

    stats = simulate(main)

    assert order == ["task", "last", "first"]
    assert (stats.failures, stats.stuck) == (1, 1)
    assert "stuck_at_the_end" in stream.getvalue()


def test_task_that_ignores_its_end_is_given_up(stream):
    async def main(supervisor):
        async def stubborn():
            while True:
                try:
                    await asyncio.sleep(100)
                except asyncio.CancelledError:
                    if loop.time() > 50:
                        raise

        loop = asyncio.get_running_loop()
        supervisor.add("stubborn", stubborn)
        await asyncio.sleep(1)
        supervisor.stop()
        await supervisor.run()
        assert loop.time() == pytest.approx(6.0)
        await asyncio.sleep(60)
        return supervisor.stats.stuck

    assert simulate(main) == 1


def test_cancelled_run_still_closes(stream):
    closed = []

    async def main(supervisor):
        async def close():
            closed.append("udp")

        supervisor.on_close("udp", close)
        task = asyncio.create_task(supervisor.run())
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    simulate(main)

    assert closed == ["udp"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_signals_end_the_process_in_order(stream, number):
    closed = []

    async def close():
        closed.append("udp")

    supervisor = Supervisor(logger("test"), SeededEntropy())
    supervisor.on_close("udp", close)
    loop = asyncio.get_running_loop()
    loop.call_soon(os.kill, os.getpid(), number)

    await supervisor.run(owns_process=True)

    assert closed == ["udp"]
    assert f"signal={number.name}" in stream.getvalue()
    for other in (signal.SIGINT, signal.SIGTERM):
        loop.remove_signal_handler(other)


async def test_failing_callbacks_are_logged_without_their_text(stream):
    supervisor = Supervisor(logger("test"), SeededEntropy())
    loop = asyncio.get_running_loop()
    loop.call_soon(int, "192.0.2.77")
    loop.call_soon(loop.call_exception_handler, {"message": "192.0.2.77"})
    loop.call_later(0.01, supervisor.stop)

    await supervisor.run(owns_process=True)

    text = stream.getvalue()
    assert "task_failed service=test kind=callback error=ValueError" in text
    assert "loop_message" in text
    assert "192.0.2.77" not in text
    assert supervisor.stats.failures == 1
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.remove_signal_handler(number)

"""Children of benchmarks: what is said when one of them fails (cli/bench/child.py)."""

import asyncio
import os
import signal

import pytest

from cli.bench.child import Child, ChildError, answer_calls, answers, run_child, watch
from cli.bench.place import Place
from psp.errors import ConfigError


class Worker:
    """What the children of these tests do."""

    async def double(self, number):
        return 2 * number

    async def fail(self):
        raise ConfigError("the cable is out")

    async def stall(self):
        raise TimeoutError

    async def wait(self):
        await asyncio.Event().wait()


def work(pipe, place=None):
    async def serve():
        pipe.send("ready")
        await answer_calls(pipe, Worker())

    run_child(pipe, serve, place or Place())


def worker(name):
    child = Child(work, name=name)
    assert child.receive() == "ready"
    return child


def test_answers_come_in_the_order_of_who_was_asked():
    with worker("one") as one, worker("two") as two:
        one.send(("double", (2,)))
        two.send(("double", (4,)))

        assert answers([two, one]) == [8, 4]


def test_questions_longer_than_a_pipe_holds_arrive():
    with worker("the client") as child:
        assert child.ask(("double", ("long" * 1_000_000,))) == "long" * 2_000_000


def test_child_that_fails_says_why_and_goes_on():
    with worker("relay 2") as child:
        with pytest.raises(ChildError, match=r"relay 2 .*: the cable is out"):
            child.ask(("fail", ()))

        assert child.ask(("double", (1,))) == 2


def test_child_that_runs_out_of_time_says_with_what():
    with (
        worker("the client") as child,
        pytest.raises(ChildError, match=r"the client .*: stall took too long"),
    ):
        child.ask(("stall", ()))


def test_child_that_cannot_enter_its_place_says_so():
    with (
        Child(work, Place(netns="nowhere"), name="relay 1") as child,
        pytest.raises(ChildError, match=r"relay 1 .*no network namespace 'nowhere'"),
    ):
        child.receive()


def test_death_of_a_child_is_noticed_while_another_is_asked():
    with worker("the client") as client, worker("relay 3") as relay:
        client.send(("wait", ()))
        os.kill(relay.pid, signal.SIGKILL)

        with pytest.raises(ChildError, match=r"relay 3 .*was ended by SIGKILL"):
            answers([client], watched=[client, relay])


def test_death_of_a_child_ends_a_pause():
    with worker("relay 1") as relay:
        os.kill(relay.pid, signal.SIGTERM)

        with pytest.raises(ChildError, match=r"relay 1 .*was ended by SIGTERM"):
            watch([relay], 30.0)


def test_silence_is_named_after_who_is_silent():
    with (
        worker("the server") as server,
        pytest.raises(ChildError, match=r"the server .*does not answer within 0 s"),
    ):
        server.ask(("wait", ()), within=0.0)


def test_ctrl_c_leaves_children_to_their_parent():
    with worker("relay 1") as relay:
        os.kill(relay.pid, signal.SIGINT)

        assert relay.ask(("double", (3,))) == 6


def test_child_ends_with_its_pipe_whatever_it_does():
    with worker("relay 1") as relay:
        relay.send(("wait", ()))

    assert "exit code 0" in str(relay.ended())

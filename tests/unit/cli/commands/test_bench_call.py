"""psp bench call, whole or interrupted, here or in a checkout's namespaces."""

import json

import pytest

from cli.bench.call import GOALS
from cli.bench.child import ChildError
from cli.commands import bench_checkout
from cli.exit_codes import ExitCode


@pytest.fixture
def measured(monkeypatch):
    """Replace the measurement: three calls, then how it ends."""

    def replace(ending=None):
        def run(amount, *, places, say, figures):
            figures |= {"calls": 3, "open_ms_p50": 120.0}
            if ending is not None:
                raise ending

        monkeypatch.setattr("cli.bench.call.run", run)

    return replace


def test_figures_stand_beside_their_goals(psp, measured):
    measured()

    ran = psp("bench", "call", "--quick", "--json")

    assert ran.code == ExitCode.OK
    assert json.loads(ran.out) == {
        "calls": 3,
        "open_ms_p50": 120.0,
        "is_complete": True,
        "goals": GOALS,
    }


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        (KeyboardInterrupt(), ExitCode.INTERRUPTED),
        (ChildError("bob (process 7) was ended by SIGKILL"), ExitCode.FAILED),
    ],
)
def test_what_was_measured_before_the_end_is_printed_and_marked(
    psp, measured, ending, code
):
    measured(ending)

    ran = psp("bench", "call")

    assert ran.code == code
    assert "stopped half-way" in ran.err
    assert "incomplete" in ran.out
    assert "120 " in ran.out


def test_what_belongs_to_the_tests_runs_in_a_checkout_only(psp, monkeypatch, tmp_path):
    monkeypatch.setattr(bench_checkout, "_ROOT", tmp_path)

    for command in ("call", "peers"):
        ran = psp("bench", command, "--wan")

        assert ran.code == ExitCode.FAILED
        assert "run it in a checkout" in ran.err


def test_namespaces_are_given_the_same_options(psp, monkeypatch):
    executed = []

    def execute(program, arguments):
        executed.append(arguments[1:])
        raise KeyboardInterrupt  # the process would be another one now

    monkeypatch.setattr("os.execv", execute)
    monkeypatch.setattr("os.chdir", lambda folder: None)

    psp("bench", "call", "--wan", "--quick")

    assert executed == [["-m", "tests.bench.wan_call", "--quick"]]

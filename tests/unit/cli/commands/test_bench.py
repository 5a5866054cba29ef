"""What psp bench prints, whole or interrupted (cli/commands/bench.py)."""

import json
import math

import pytest

from cli.bench.child import ChildError
from cli.bench.relay import BenchError
from cli.exit_codes import ExitCode


@pytest.fixture
def path_run(monkeypatch):
    """Replace the measurement: two figures, then how it ends."""

    def replace(ending=None):
        def run(amount, *, say, figures):
            say("measuring")
            figures |= {"up_mb_s": 50.0, "voice_idle_p99_ms": math.nan}
            if ending is not None:
                raise ending

        monkeypatch.setattr("cli.bench.path.run", run)

    return replace


def test_figures_are_printed_with_null_for_what_could_not_be_said(psp, path_run):
    path_run()

    ran = psp("bench", "path", "--quick", "--json")

    assert ran.code == ExitCode.OK
    assert "measuring" in ran.err
    assert json.loads(ran.out) == {
        "up_mb_s": 50.0,
        "voice_idle_p99_ms": None,
        "is_complete": True,
    }


def test_a_table_has_as_many_digits_as_mean_something(psp, path_run):
    path_run()

    rows = [line.split() for line in psp("bench", "path").out.splitlines()]

    assert ["up_mb_s", "│", "50"] in rows
    assert ["voice_idle_p99_ms", "│", "-"] in rows
    assert len(rows) == 5


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        (KeyboardInterrupt(), ExitCode.INTERRUPTED),
        (ChildError("relay 2 (process 7) was ended by SIGKILL"), ExitCode.FAILED),
    ],
)
def test_what_was_measured_before_the_end_is_printed_and_marked(
    psp, path_run, ending, code
):
    path_run(ending)

    ran = psp("bench", "path", "--json")

    assert ran.code == code
    assert "stopped half-way" in ran.err
    assert json.loads(ran.out)["is_complete"] is False
    assert json.loads(ran.out)["up_mb_s"] == 50.0


def test_table_says_when_it_is_incomplete(psp, path_run):
    path_run(KeyboardInterrupt())

    ran = psp("bench", "path")

    assert "incomplete" in ran.out


def test_a_part_that_does_not_exist_is_an_error_of_the_command_line(psp):
    ran = psp("bench", "all", "--only", "relays")

    assert ran.code == ExitCode.USAGE
    assert "there is no part 'relays'; choose from relay," in " ".join(
        ran.err.replace("│", " ").split()
    )


def test_a_benchmark_that_fails_says_so_in_a_sentence(psp, monkeypatch):
    def run():
        raise BenchError("nothing moves any more after 5.0 s")

    monkeypatch.setattr("cli.bench.relay.run", run)

    ran = psp("bench", "relay")

    assert ran.code == ExitCode.FAILED
    assert ran.err == "error: nothing moves any more after 5.0 s\n"

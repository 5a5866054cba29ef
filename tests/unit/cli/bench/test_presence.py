"""The benchmark of presence (cli/bench/presence*.py), without a network."""

from types import SimpleNamespace

import pytest

from cli.bench import presence
from cli.bench.presence import GOALS, QUICK, run
from cli.bench.presence_node import store_bytes
from cli.bench.presence_trials import BAD_MIX, Tally, _outcome, share_of
from cli.testbed.behaviours import Behaviour
from psp.client.lookups.lookup import LookupResult, PresenceState


class Stopped:
    """Stands for the measurements, and is stopped in their midst."""

    def __init__(self, folder, amount, figures, say, dice) -> None:
        self.figures = figures
        self.dice = dice
        self.folder = folder

    async def run(self) -> None:
        self.figures["lookup_ms_p50"] = 12.0
        raise KeyboardInterrupt


class Finished(Stopped):
    async def run(self) -> None:
        assert self.folder.is_dir()
        self.figures["drawn"] = self.dice.random()


def test_ctrl_c_keeps_what_was_measured_and_marks_it(monkeypatch):
    said: list[str] = []
    monkeypatch.setattr(presence, "_Bench", Stopped)

    figures = run(QUICK, say=said.append, seed=4)

    assert figures["lookup_ms_p50"] == 12.0
    assert figures["is_complete"] is False
    assert figures["seed"] == 4
    assert "stopped" in said[-1]


def test_a_whole_run_is_marked_and_its_seed_repeats_it(monkeypatch):
    monkeypatch.setattr(presence, "_Bench", Finished)

    figures = [run(QUICK, say=print, seed=seed) for seed in (4, 4, 5)]

    assert all(each["is_complete"] for each in figures)
    assert figures[0]["drawn"] == figures[1]["drawn"] != figures[2]["drawn"]
    assert run(QUICK, say=print)["seed"] != run(QUICK, say=print)["seed"]


def test_shares_of_nodes_are_rounded_up():
    assert share_of(32, 0.3) == 10
    assert share_of(32, 0.2) == 7 == len(BAD_MIX)
    assert share_of(10, 0.3) == 3
    # Who never answers is like the dead; all others are in the mix.
    assert set(Behaviour) - set(BAD_MIX) == {Behaviour.STALL}


@pytest.mark.parametrize(
    ("sequences", "state", "outcome"),
    [
        ([9, 4], PresenceState.ONLINE, "newest"),
        ([8], PresenceState.ONLINE, "older"),
        ([], PresenceState.UNKNOWN, "unknown"),
        ([], PresenceState.OFFLINE, "offline"),
    ],
)
def test_only_the_newest_record_is_a_success(sequences, state, outcome):
    points = tuple(
        SimpleNamespace(head=SimpleNamespace(sequence=each)) for each in sequences
    )
    tally = Tally()

    tally.outcomes[
        _outcome(LookupResult(state, points, 2), SimpleNamespace(sequence=9))
    ] += 1

    assert dict(tally.outcomes) == {outcome: 1}
    assert tally.success == (outcome == "newest")


def test_a_store_grows_with_its_records():
    small, large = store_bytes(1_000), store_bytes(20_000)

    assert 0 <= small < large
    # A record is 450 bytes; with all that goes with it no more than the goal's 2,000.
    assert large - small < 19_000 * 2_000
    assert large > 19_000 * 450


def test_goals_are_of_figures_that_can_be_compared():
    for text in GOALS.values():
        sign, number = text.split()
        assert sign in {"<=", ">="}
        assert float(number) > 0

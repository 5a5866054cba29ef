"""Runs of the suite on disk, and which of them are compared."""

import msgspec
import pytest

from cli.bench import history
from cli.bench.history import Machine, Measured, Run
from psp.errors import ConfigError

HERE = Machine("a processor", 2, "Linux 6", "3.11.7")


def run_of(day, value, *, machine=HERE, is_quick=False):
    parts = {"relay": Measured({"batched_ratio": value}, 1.0)}
    return Run(f"2026-11-{day:02}T08:00:00+00:00", machine, 0.1, is_quick, parts=parts)


def test_a_run_is_read_as_it_was_written(tmp_path):
    run = run_of(1, 2.0)

    path = history.save(tmp_path / "new" / "folder", run)

    assert path.name == "bench-20261101T080000.json"
    assert history.load(path.parent) == [run]
    assert sorted(path.parent.iterdir()) == [path]


def test_what_is_no_run_is_passed_over(tmp_path):
    history.save(tmp_path, run_of(2, 2.0))
    (tmp_path / "bench-1.json").write_text("{")
    (tmp_path / "bench-2.json").write_bytes(msgspec.json.encode({"started": 5}))
    (tmp_path / "notes.txt").write_text("mine")

    assert [run.started[:10] for run in history.load(tmp_path)] == ["2026-11-02"]
    assert history.load(tmp_path / "none") == []


def test_the_oldest_runs_go_when_there_are_too_many(tmp_path, monkeypatch):
    monkeypatch.setattr(history, "MAX_RUNS", 3)
    (tmp_path / "notes.txt").write_text("mine")

    for day in (4, 1, 3, 2, 5):
        history.save(tmp_path, run_of(day, 1.0))

    assert [run.started[8:10] for run in history.load(tmp_path)] == ["03", "04", "05"]
    assert (tmp_path / "notes.txt").exists()


def test_a_folder_that_cannot_be_is_named_in_the_error(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigError, match=r"cannot write to .*file"):
        history.save(tmp_path / "file" / "below", run_of(1, 1.0))


def test_a_folder_that_may_not_be_looked_into_is_named_in_the_error(
    tmp_path, monkeypatch
):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.glob", refuse)

    with pytest.raises(ConfigError, match=r"cannot look into .*: Permission denied"):
        history.load(tmp_path)


def test_only_the_same_form_on_the_same_machine_is_compared():
    elsewhere = Machine("another", 64, "Linux 6", "3.11.7")
    runs = [
        run_of(1, 1.0),
        run_of(2, 9.0, machine=elsewhere),
        run_of(3, 9.0, is_quick=True),
        run_of(4, 3.0),
        run_of(9, 9.0),
    ]

    earlier = history.comparable(run_of(5, 5.0), runs)

    assert [run.figure("relay", "batched_ratio") for run in earlier] == [1.0, 3.0]


def test_the_usual_value_is_the_median_of_the_newest_that_have_it():
    runs = [run_of(day, value) for day, value in enumerate((50.0, 1, 2, 3, 4, 90), 1)]
    runs.append(run_of(8, None))

    assert history.usual(runs, "relay", "batched_ratio") == 3
    assert history.usual(runs, "relay", "other") is None
    assert history.usual([], "relay", "batched_ratio") is None


def test_words_and_nothings_are_no_figures():
    for value in ("much", True, None, float("nan"), [1]):
        assert run_of(1, value).figure("relay", "batched_ratio") is None

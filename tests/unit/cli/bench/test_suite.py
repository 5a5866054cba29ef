"""The suite around its parts: failures, interruptions, and what is left on disk."""

import pytest

from cli.bench import history, suite
from cli.bench.parts import PARTS, Figure, Part, number
from psp.errors import ConfigError


def part(name, run):
    return Part(name, name.title(), run, (Figure("value", "a value"),))


def good(quick, say, figures):
    figures["value"] = 1.0 if quick else 2.0


def bad(quick, say, figures):
    figures["value"] = 3.0
    raise RuntimeError("the relay died")


def stopped(quick, say, figures):
    figures["value"] = 4.0
    raise KeyboardInterrupt


def partial(quick, say, figures):
    figures.update(value=5.0, is_complete=False)


def run(parts, folder, said=None):
    heard = [] if said is None else said
    return suite.run_suite(parts, folder, is_quick=True, say=heard.append)


def test_a_whole_run_is_complete_and_kept(tmp_path):
    outcome = run([part("one", good)], tmp_path)

    assert outcome.run.is_complete
    assert history.load(tmp_path) == [outcome.run]
    assert outcome.run.figure("one", "value") == 1.0
    assert "PSP benchmarks" in outcome.page.read_text("utf-8")


def test_a_part_that_fails_keeps_its_figures_and_stops_nobody(tmp_path):
    said = []
    outcome = run([part("one", bad), part("two", good)], tmp_path, said)

    one, two = outcome.run.parts["one"], outcome.run.parts["two"]
    assert not outcome.run.is_complete
    assert (one.figures, one.error) == ({"value": 3.0}, "RuntimeError: the relay died")
    assert (two.figures, two.error) == ({"value": 1.0}, None)
    assert any("ended early" in line for line in said)


def test_an_interruption_leaves_what_was_measured_marked(tmp_path):
    parts = [part("one", good), part("two", stopped), part("three", good)]

    with pytest.raises(KeyboardInterrupt):
        run(parts, tmp_path)

    [kept] = history.load(tmp_path)
    assert not kept.is_complete
    assert kept.figure("one", "value") == 1.0
    assert kept.parts["two"].error == "interrupted"
    assert kept.figure("two", "value") == 4.0
    assert "three" not in kept.parts
    assert "incomplete" in (tmp_path / suite.PAGE).read_text("utf-8")


def test_a_part_that_says_it_is_partial_is_believed(tmp_path):
    assert not run([part("one", partial)], tmp_path).run.is_complete


def test_parts_are_chosen_by_name_in_the_suites_order():
    names = [part.name for part in PARTS]

    assert [part.name for part in suite.chosen_parts([])] == names
    chosen = suite.chosen_parts([names[2], names[0]])
    assert [part.name for part in chosen] == [names[0], names[2]]
    with pytest.raises(ConfigError, match="no part 'other'; choose from relay"):
        suite.chosen_parts(["other"])


def test_goals_go_the_right_way():
    assert Figure("f", "", goal=2.0).meets(2.0)
    assert not Figure("f", "", goal=2.0).meets(2.1)
    assert Figure("f", "", is_better_low=False, goal=2.0).meets(2.1)
    assert not Figure("f", "", is_better_low=False, goal=2.0).meets(1.9)
    assert Figure("f", "").meets(5.0) is None
    assert number({"f": 3}, "f") == 3.0

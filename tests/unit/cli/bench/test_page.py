"""The suite's page: what it shows, and that it needs nothing else."""

import re
from html.parser import HTMLParser

import pytest

from cli.bench import page
from cli.bench.history import Machine, Measured, Run
from cli.bench.parts import PARTS

HERE = Machine("a <processor>", 2, "Linux 6", "3.11.7")


def run_of(day, parts, *, is_complete=True):
    started = f"2026-11-{day:02}T08:00:00+00:00"
    return Run(started, HERE, 0.1, is_quick=False, is_complete=is_complete, parts=parts)


def relay(value, error=None):
    return {"relay": Measured({"batched_ratio": value}, 2.0, error)}


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.open, self.seen = [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_needs_nothing_from_elsewhere():
    seen = Tags(page.render(run_of(1, relay(2.0)), [])).seen

    assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in seen}
    assert not any({"src", "href"} & set(attrs) for _, attrs in seen)


def test_values_goals_and_earlier_runs_stand_side_by_side():
    earlier = [run_of(day, relay(2.0)) for day in (1, 2, 3)]
    run = run_of(4, relay(3.0))

    text = page.render(run, [*earlier, run])

    row = re.search(r"<tr><td>cost of a cell over the floor, trains.*?</tr>", text)[0]
    cells = re.findall(r"<td class='n[^>]*>([^<]*)</td>", row)
    assert cells == ["3", "≤ 2.5", "2", "1.5"]
    assert "class='n bad'" in row
    assert "4 runs, 2 to 3" in row
    assert "Compared with 3 earlier runs" in text


def test_what_ended_early_is_said_and_strange_words_are_harmless():
    run = run_of(1, relay(None, "Error: <b>no</b>"), is_complete=False)

    text = page.render(run, [])

    assert "incomplete" in text
    assert "ended early: Error: &lt;b&gt;no&lt;/b&gt;" in text
    assert "a &lt;processor&gt;" in text
    Tags(text)


def test_what_was_not_measured_has_no_unit_and_no_dot():
    earlier = [
        run_of(day, {"relay": Measured({"us_per_cell": 4.0}, 2.0)}) for day in (1, 2)
    ]
    run = run_of(3, relay(None))

    text = page.render(run, [*earlier, run])

    row = re.search(r"<tr><td>CPU per cell.*?</tr>", text)[0]
    assert re.findall(r"<td class='n[^>]*>([^<]*)</td>", row) == ["-", "", "4", "-"]
    assert "polyline" in row
    assert "circle" not in row


def test_only_parts_that_ran_are_shown():
    text = page.render(run_of(1, relay(2.0)), [])

    assert [part.title in text for part in PARTS] == [
        part.name == "relay" for part in PARTS
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0.0, "0"),
        (12_345.0, "12,345"),
        (0.001234, "0.00123"),
        (2.0149, "2.01"),
        (1234.5, "1,234"),
    ],
)
def test_figures_have_as_many_digits_as_mean_something(value, text):
    assert page.shown(value) == text

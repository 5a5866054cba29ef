"""The benchmark of workers measures what it says (cli/bench/workers.py)."""

import pytest

from cli.bench.workers import run


@pytest.mark.timeout(120)
def test_two_real_workers_carry_what_is_sent_over_them():
    figures = run(cells=2_000, rounds=1)

    assert figures["cells"] == 6_000
    assert all(figures[name] > 0 for name in figures)

"""Elections and the chain's end during a call (issue: never a stop of what works)."""

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

EPOCH = 24
CHANGES = 5


def run_demo(out: Path, *options: str) -> dict:
    command = [sys.executable, "-m", "cli.main", "demo", "--json", "--out", str(out)]
    done = subprocess.run(
        [*command, *options], capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode in {0, 1}, done.stderr
    report: dict = json.loads((out / "report.json").read_text())
    return report


def assert_call_survived(report: dict) -> None:
    assert not [text for text in report["failures"] if "session" in text]
    for way in ("video", "video_back"):
        assert report[way]["decoded"] > 0.3 * report[way]["sent"]
        assert report[way]["damaged"] == 0


@pytest.mark.timeout(300)
def test_five_elections_in_a_row_cost_no_lookup_and_no_call(tmp_path):
    seconds = EPOCH * (CHANGES + 1)
    report = run_demo(
        tmp_path / "out",
        *("--epoch-length", str(EPOCH), "--lookup-every", "1"),
        *("--duration", str(seconds)),
    )
    chain = report["chain"]

    lists = [set(each["elected"]) for each in chain["epochs"]]
    assert len(lists) > CHANGES
    assert all(lists)
    assert sum(a != b for a, b in pairwise(lists)) >= CHANGES - 1
    assert chain["lookups"]["made"] > seconds / 4
    assert chain["lookups"]["failed"] == 0
    assert chain["verified"] is True
    assert chain["replay"]["matches"] is True
    assert_call_survived(report)


@pytest.mark.timeout(150)
def test_a_chain_that_dies_in_mid_call_is_not_noticed(tmp_path):
    report = run_demo(
        tmp_path / "out",
        *("--stop-chain", "--lookup-every", "1", "--duration", "16"),
    )
    chain = report["chain"]

    assert chain["stopped"] is True
    assert chain["verified"] is True
    assert chain["lookups"]["made"] > 3
    assert chain["lookups"]["failed"] == 0
    assert_call_survived(report)

"""Users are found, and nobody is shown the past, among dead and malicious nodes.

32 discovery nodes on real sockets, look-ups through circuits, by readers without a
memory. A few dozen trials each here; ``make presence-trials`` makes thousands.
"""

import os
import random
from pathlib import Path

import pytest

from cli.bench.presence_town import open_bed
from cli.bench.presence_trials import Tally, with_bad, with_dead
from cli.testbed.behaviours import Behaviour

TRIALS = int(os.environ.get("PSP_PRESENCE_TRIALS", "0"))
"""Of each kind; 0 for as few as a quick run has."""
SEED = int(
    os.environ.get("PSP_PRESENCE_SEED", "0")
) or random.SystemRandom().getrandbits(32)

pytestmark = pytest.mark.timeout(120 if not TRIALS else 3_600)

GOAL = 0.999
FEW = 1
"""A few dozen trials cannot tell 99.9 % from 99 %: one that goes wrong is let pass."""


def judge(tally: Tally) -> None:
    """Fail if too many do not get the newest, or anybody is called off line."""
    told = "\n".join([f"seed {SEED}, {dict(tally.outcomes)}", *tally.failures])
    failed = tally.trials - tally.outcomes["newest"]
    assert failed <= max(FEW, (1 - GOAL) * tally.trials), told
    assert tally.outcomes["offline"] == 0, told


async def test_with_30_percent_dead_the_newest_record_is_found(tmp_path: Path) -> None:
    tally = Tally()
    async with open_bed(tmp_path / "net") as bed:
        await with_dead(bed, TRIALS or 24, tally, dice=random.Random(SEED), say=print)
    judge(tally)


async def test_with_20_percent_malicious_it_is_found(tmp_path: Path) -> None:
    tally = Tally()
    async with open_bed(tmp_path / "net") as bed:
        await with_bad(bed, TRIALS or 48, tally, dice=random.Random(SEED), say=print)
    judge(tally)


KINDS = tuple(Behaviour) if TRIALS else (Behaviour.STALE,)
"""The mix has almost all; those who show the past can make a look-up wrong."""


@pytest.mark.parametrize("behaviour", KINDS)
async def test_all_of_one_kind_do_not_prevent_it(
    tmp_path: Path, behaviour: Behaviour
) -> None:
    tally = Tally()
    async with open_bed(tmp_path / "net", others=4) as bed:
        await with_bad(
            bed,
            TRIALS // len(Behaviour) or 16,
            tally,
            dice=random.Random(SEED),
            say=print,
            mix=[behaviour],
        )
    judge(tally)

"""A real relay that is flooded beyond what it can do, through the kernel."""

import pytest

from cli.bench import freshness


@pytest.mark.timeout(120)
def test_a_voice_flow_loses_nothing_beside_a_flood_that_obeys_nothing():
    # 30 us for each packet it sends: the relay can do far less than is sent to it.
    figures = freshness.run(seconds=5.0, handicap=30e-6)

    assert figures["idle_loss"] == 0.0
    assert figures["flood_voice_dropped"] == 0
    assert figures["flood_dropped"] > 0.1
    # What the kernel drops while the relay does not run, it drops of everybody.
    assert figures["flood_loss"] <= 0.005 + figures["flood_kernel_lost"]
    assert figures["flood_marked"] > 0.0

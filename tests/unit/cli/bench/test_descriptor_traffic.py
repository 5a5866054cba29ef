"""The traffic of descriptors is counted on real downloads."""

import pytest

from cli.bench import descriptor_traffic
from cli.bench.descriptor_traffic import Traffic
from psp.client.config import DirectoryConfig
from psp.testing.directory import LOOPBACK
from psp.testing.entropy import SeededEntropy
from psp.wire.directory_page import DIGEST_SIZE
from psp.wire.packet import PACKET_SIZE

DESCRIPTOR = 57 + 64


def measured(nodes):
    return descriptor_traffic.measure(nodes, LOOPBACK, SeededEntropy("traffic"))


@pytest.mark.parametrize("nodes", [40, 300])
def test_first_look_fetches_three_lists_and_each_descriptor_once(nodes):
    first = measured(nodes).first

    least = 3 * nodes * DIGEST_SIZE + nodes * DESCRIPTOR
    # Some have a family, and requests and heads of pages come on top.
    assert least < first.message_bytes < 1.35 * least


def test_later_look_in_a_small_network_fetches_what_was_renewed():
    traffic = measured(200)

    assert traffic.interval == DirectoryConfig().refresh_every
    assert traffic.later.message_bytes < traffic.first.message_bytes / 2


def test_later_look_in_a_large_network_comes_when_all_is_renewed():
    traffic = measured(1_200)

    assert traffic.interval > 3_600
    assert traffic.later.message_bytes == traffic.first.message_bytes
    day = traffic.looks * traffic.later.message_bytes
    assert day == pytest.approx(DirectoryConfig().day_bytes, rel=0.05)


def test_every_message_takes_a_packet_there_and_one_back():
    assert Traffic(requests=3, message_bytes=100).packet_bytes == 6 * PACKET_SIZE

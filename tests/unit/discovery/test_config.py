"""The defaults keep the promises made elsewhere."""

from discovery.config import DiscoveryConfig
from psp.directory.union import MIN_SOURCES
from psp.netdoc.descriptor import MAX_LIFE

CONFIG = DiscoveryConfig()


def test_a_descriptor_lives_as_long_as_readers_allow():
    assert CONFIG.publisher.life <= MAX_LIFE


def test_one_lost_renewal_does_not_make_a_relay_disappear():
    assert 2 * 1.1 * CONFIG.publisher.renew_every < CONFIG.publisher.life


def test_three_sources_are_asked():
    assert CONFIG.refresh.sources >= MIN_SOURCES


def test_a_snapshot_is_kept_for_as_long_as_a_long_download():
    assert CONFIG.server.snapshot_every * CONFIG.server.snapshots_kept >= 70

"""Settings hang together."""

from presence.config import PresenceConfig
from psp.netdoc.introduction import MAX_LIFE
from psp.netdoc.presence_keys import CLOCK_SKEW


def test_introductions_are_remembered_as_long_as_they_may_live():
    config = PresenceConfig().point

    assert config.introduction_memory >= MAX_LIFE + CLOCK_SKEW


def test_a_publisher_may_renew_all_it_may_hold_every_ten_minutes():
    config = PresenceConfig()

    assert config.dht.stores_per_minute * 10 >= config.store.max_per_publisher


def test_quorum_is_within_the_replicas():
    config = PresenceConfig().dht

    assert 1 < config.quorum <= config.replicas <= config.bucket_size
    assert config.soft_timeout < config.hard_timeout

"""Settings hang together."""

from presence.config import PresenceConfig
from presence.dht.messages import MAX_OFFERED
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


def test_what_was_not_handed_over_is_published_anew_within_the_grace():
    # Records are renewed every ten minutes; a clock may be two minutes off.
    config = PresenceConfig().dht

    assert config.handover_grace - CLOCK_SKEW >= 1.5 * 600


def test_settling_covers_learning_of_an_election_with_a_wrong_clock():
    config = PresenceConfig().dht

    assert config.settling >= 60 + CLOCK_SKEW
    assert config.settling <= config.handover_grace


def test_honest_pace_stays_below_what_is_taken():
    config = PresenceConfig().dht

    assert config.handover_rate_per_member < config.handovers_per_second
    assert config.handovers_per_second < config.requests_per_second


def test_full_store_is_handed_over_within_the_grace():
    # 100,000 locations with one record each, to eight members: an offer has sixteen
    # locations, and one holder in eight gives the record itself.
    config = PresenceConfig()
    records, replicas = config.store.max_records, config.dht.replicas
    messages = records * replicas / MAX_OFFERED + records

    assert messages / config.dht.handover_rate < config.dht.handover_grace / 2

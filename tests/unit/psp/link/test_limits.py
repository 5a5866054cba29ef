"""How much work strangers may cause."""

import pytest

from psp.link.limits import LoadGauge, RateLimit, source_key
from psp.units import Monotonic

NOW = Monotonic(10.0)


def limit(max_sources: int = 100) -> RateLimit:
    return RateLimit(rate=20, burst=5, max_sources=max_sources)


def test_a_source_may_do_five_at_once_and_twenty_a_second() -> None:
    rate = limit()

    at_once = sum(rate.allow("192.0.2.1", NOW) for _ in range(50))
    second = sum(
        rate.allow("192.0.2.1", Monotonic(NOW + step / 100)) for step in range(1, 101)
    )

    assert at_once == 5
    assert second == pytest.approx(20, abs=1)


def test_sources_do_not_share_a_limit_unless_they_share_a_64() -> None:
    rate = limit()
    for _ in range(5):
        assert rate.allow("2001:db8::1", NOW)

    assert not rate.allow("2001:db8::ffff:2", NOW)
    assert rate.allow("2001:db8:0:1::1", NOW)
    assert rate.allow("192.0.2.1", NOW)


def test_a_mapped_address_is_the_address_it_maps() -> None:
    assert source_key("::ffff:192.0.2.1") == source_key("192.0.2.1")
    assert source_key("fe80::1%eth0") == source_key("fe80::2%eth0")
    assert source_key("not:an:address") == "not:an:address"


def test_the_table_is_bounded_and_forgets_the_source_heard_longest_ago() -> None:
    rate = limit(max_sources=3)
    for _ in range(5):
        rate.allow("192.0.2.1", NOW)
    for host in range(2, 5):
        rate.allow(f"192.0.2.{host}", NOW)

    assert len(rate) == 3
    assert rate.allow("192.0.2.1", NOW)


def test_load_is_a_seconds_worth_of_handshakes() -> None:
    gauge = LoadGauge(10)

    for _ in range(10):
        assert not gauge.is_loaded(NOW)
        gauge.spend(NOW)

    assert gauge.is_loaded(NOW)
    assert not gauge.is_loaded(Monotonic(NOW + 0.11))

"""What each worker of a node is given (cli/worker_shares.py)."""

from dataclasses import replace
from pathlib import Path

import pytest

from cli.node_config import KeysConfig, ListenConfig, NodeConfig
from cli.worker_shares import (
    check_cores,
    check_endpoints,
    check_ports,
    endpoints_for,
    share,
)
from psp.errors import ConfigError
from psp.runtime.membership import MembershipConfig
from psp.wire.endpoint import Endpoint
from relay.config import RelayConfig

LIMITS = RelayConfig()


def config(
    workers: int = 1, port: int = 443, limits: RelayConfig = LIMITS
) -> NodeConfig:
    return NodeConfig(
        membership=MembershipConfig(1, "00" * 20),
        keys=KeysConfig(Path("identity.key"), Path("onion.key")),
        listen=ListenConfig(port),
        state_dir=Path("state"),
        workers=workers,
        relay=limits,
    )


def at(*ports: int, host: str = "192.0.2.1") -> list[Endpoint]:
    return [Endpoint(host, port) for port in ports]


@pytest.mark.parametrize("workers", [0, -1, 17])
def test_so_many_workers_cannot_be(workers):
    with pytest.raises(ConfigError, match=f"workers = {workers}: use 1 to 16"):
        config(workers)


def test_workers_above_the_cores_are_warned_of_and_far_above_refused():
    assert check_cores(2, 2) is None
    assert check_cores(1, 1) is None
    warning = check_cores(3, 2)
    assert warning is not None
    assert "workers is 3 and this host lets the relay use 2 cores" in warning
    assert check_cores(8, 2) is not None
    with pytest.raises(ConfigError, match="at most 8 make sense: use 2"):
        check_cores(9, 2)
    with pytest.raises(ConfigError, match="use one core; at most 4"):
        check_cores(5, 1)


def test_a_record_names_the_port_of_each_worker():
    check_ports(at(443), config())
    check_ports([*at(443, 444), *at(443, host="2001:db8::1")], config(2))


@pytest.mark.parametrize(
    ("ports", "own", "sentence"),
    [
        ((443,), config(3), r"workers is 3, the registry has 1 port \(443\)"),
        ((443, 444), config(1), r"has 2 ports \(443, 444\).*set workers to 2"),
        ((444,), config(), "listen.port is 443, the registry says .444.; nobody"),
        ((444, 443), config(2), "the registry's first port is 444.*set listen.port"),
    ],
)
def test_a_record_that_names_others_says_what_to_change(ports, own, sentence):
    with pytest.raises(ConfigError, match=sentence):
        check_ports(at(*ports), own)


def test_memory_and_bandwidth_are_shared_out():
    limits = RelayConfig(max_mem_bytes=8 << 20, bandwidth_bytes_per_s=1_000_000)

    whole, quarter = (share(config(n, limits=limits)) for n in (1, 4))

    assert whole == limits
    assert quarter.max_mem_bytes == 2 << 20
    assert quarter.bandwidth_bytes_per_s == 250_000
    assert quarter.relay_circuits == whole.relay_circuits
    assert share(config(4)).bandwidth_bytes_per_s == 0


@pytest.mark.parametrize(
    "limits",
    [RelayConfig(max_mem_bytes=3 << 20), RelayConfig(bandwidth_bytes_per_s=499_999)],
)
def test_shares_too_small_for_a_relay_are_refused(limits):
    with pytest.raises(ConfigError, match=r"4 workers share relay\.max_mem_bytes"):
        share(config(4, limits=limits))


def test_what_calls_are_promised_is_shared_out_and_a_share_carries_a_call():
    limits = RelayConfig(media_kbit_per_s=4 * 480)

    assert share(config(4, limits=limits)).media_kbit_per_s == 480
    with pytest.raises(ConfigError, match=r"5 workers share relay\.media_kbit_per_s"):
        share(config(5, limits=limits))


def test_workers_take_the_ports_after_the_first_at_every_address():
    given = [*at(443), *at(443, host="2001:db8::1")]

    assert endpoints_for(given, 1, named="workers") == tuple(given)
    assert endpoints_for(given, 3, named="workers") == (
        *given,
        *at(444),
        *at(444, host="2001:db8::1"),
        *at(445),
        *at(445, host="2001:db8::1"),
    )
    assert endpoints_for(at(443, 53), 2, named="workers") == tuple(at(443, 53))


def test_ports_that_do_not_go_round_are_refused():
    with pytest.raises(ConfigError, match="--workers is 3, --endpoint names 2 ports"):
        endpoints_for(at(443, 53), 3, named="--workers")
    with pytest.raises(ConfigError, match="take a first port of 65534 at most"):
        endpoints_for(at(65_535), 2, named="--workers")


def test_a_record_has_room_for_sixteen_addresses_of_ipv4_and_six_of_ipv6():
    check_endpoints(at(*range(1, 17)))
    check_endpoints(at(*range(1, 7), host="2001:db8::1"))

    for endpoints in (at(*range(1, 18)), at(*range(1, 8), host="2001:db8::1")):
        with pytest.raises(ConfigError, match="a record has"):
            check_endpoints(endpoints)


def test_settings_say_how_many_workers_there_are():
    assert replace(config(), workers=2).workers == 2

"""Where the registry comes from (psp/runtime/membership.py)."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
import structlog

from psp.errors import ConfigError
from psp.runtime import membership
from psp.runtime.membership import FileMembership, MembershipConfig, open_registry
from psp.testing.directory import START, SignedNetwork
from psp.testing.entropy import SeededEntropy
from psp.testing.simloop import run_simulation
from psp.units import UnixTime


@pytest.fixture
def signed() -> SignedNetwork:
    return SignedNetwork.build(SeededEntropy("members"), nodes=5, partners=2)


@pytest.fixture
def config(signed: SignedNetwork, tmp_path: Path) -> MembershipConfig:
    file = tmp_path / "registry.json"
    file.write_bytes(signed.file())
    return MembershipConfig(
        chain_id=signed.network.chain_id,
        registry=signed.network.registry.hex(),
        file=file,
        partners=tuple(key.public.hex() for key in signed.partners),
        threshold=2,
    )


def test_a_good_file_becomes_the_registry(config, signed):
    registry = open_registry(config, START)

    assert registry.nodes().keys() == {node.node_id for node in signed.nodes}
    assert registry.network == signed.network


def test_a_missing_file_says_whom_to_ask(config, tmp_path):
    absent = replace(config, file=tmp_path / "absent")

    with pytest.raises(ConfigError, match=r"absent cannot be read .*trusted partners"):
        open_registry(absent, START)


def test_a_file_too_large_is_refused_unread(config, monkeypatch):
    monkeypatch.setattr(membership, "MAX_FILE_BYTES", 100)

    with pytest.raises(ConfigError, match="more than 100 bytes"):
        open_registry(config, START)


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff" * 100, b"[" * 10_000])
def test_a_file_that_is_none_is_refused(config, content):
    config.file.write_bytes(content)

    with pytest.raises(ConfigError, match=r"registry\.json: .* refused .* fetch it"):
        open_registry(config, START)


def test_too_few_signatures_are_refused(config, signed):
    signed.partners.pop()
    config.file.write_bytes(signed.file())

    with pytest.raises(ConfigError, match="refused"):
        open_registry(config, START)


def test_another_network_is_refused(config):
    with pytest.raises(ConfigError, match="refused"):
        open_registry(replace(config, chain_id=1), START)


def test_an_expired_file_and_one_older_than_seen_before_are_refused(config, signed):
    with pytest.raises(ConfigError, match="expired"):
        open_registry(config, UnixTime(START + signed.life + 3600))
    with pytest.raises(ConfigError, match="older"):
        open_registry(config, START, lowest_sequence=2)


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"partners": ("zz" * 32,)}, "membership.partners has an entry that is not 64"),
        ({"partners": ("ab",)}, "membership.partners"),
        ({"partners": ()}, "membership.threshold is 2 with 0 partners"),
        ({"registry": ""}, "membership.registry has an entry that is not 40"),
        ({"threshold": 0}, "membership.threshold is 0"),
        ({"threshold": 3}, "membership.threshold is 3 with 2"),
        ({"chain_id": -1}, "membership.chain_id is -1"),
        ({"chain_id": 1 << 64}, "membership.chain_id"),
    ],
)
def test_a_setting_that_cannot_be_is_named(config, changed, text):
    with pytest.raises(ConfigError, match=text):
        replace(config, **changed).anchor()


def test_addresses_may_be_written_with_0x(config):
    written = replace(config, registry="0x" + config.registry)

    assert written.anchor() == config.anchor()


def test_the_contract_of_names_is_an_address_or_nothing(config):
    assert config.names_address() is None
    assert replace(config, names="0x" + "07" * 20).names_address() == b"\7" * 20
    with pytest.raises(ConfigError, match=r"membership\.names .* not 40 hex digits"):
        replace(config, names="07").names_address()


def test_neither_endpoints_nor_a_file_says_what_to_set(config):
    with pytest.raises(ConfigError, match=r"set membership\.rpc or membership\.file"):
        open_registry(replace(config, file=None), START)


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"rpc": ("http://a", "nonsense")}, r"membership\.rpc has an entry"),
        ({"rpc": ("http://a", "http://a")}, "names one endpoint twice"),
        ({"rpc": ("http://a",)}, "quorum is 2 with 1 endpoints"),
        ({"rpc": ("http://a",), "quorum": 0}, "quorum is 0"),
        ({"rpc": ("http://a", "http://b"), "poll_every": 0}, "above 0"),
    ],
)
def test_an_endpoint_setting_that_cannot_be_is_named(config, changed, text):
    with pytest.raises(ConfigError, match=text):
        replace(config, **changed).check_endpoints()


def test_endpoints_stay_out_of_what_is_printed(config):
    assert "api-key" not in repr(replace(config, rpc=("https://host/api-key",)))


LOG = structlog.wrap_logger(structlog.ReturnLogger(), processors=[])


class Followed:
    """A registry followed in virtual time."""

    def __init__(self, config: MembershipConfig) -> None:
        self.membership = FileMembership(config, lambda: float(START), LOG)
        self.registry = self.membership.registry
        self.changes = 0

    def run(self, *steps) -> None:
        async def main(_):
            task = asyncio.create_task(self.membership.follow(self._changed))
            for step in steps:
                step()
                await asyncio.sleep(61.0)
                assert not task.done()
            task.cancel()

        run_simulation(main)

    def _changed(self) -> None:
        self.changes += 1


def test_what_others_served_is_taken_over_only_if_newer(config, signed):
    membership = FileMembership(config, lambda: float(START), LOG)
    old = membership.file()
    signed.sequence = 2

    assert not membership.take_file(old)
    assert membership.take_file(signed.file())
    assert not membership.take_file(old)
    assert membership.file() == signed.file()
    assert membership.explanation == "file 2 of the trusted partners, fresh"


def test_a_newer_file_is_taken_over_within_a_minute(config, signed):
    followed = Followed(config)

    def publish() -> None:
        signed.sequence = 2
        signed.nodes.pop()
        config.file.write_bytes(signed.file())

    followed.run(publish, lambda: None)

    assert followed.registry.sequence == 2
    assert len(followed.registry.nodes()) == 4
    assert followed.changes == 1


def test_a_bad_or_missing_file_changes_nothing_and_ends_nothing(config, signed):
    followed = Followed(config)

    def publish() -> None:
        signed.sequence = 3
        config.file.write_bytes(signed.file())

    followed.run(
        lambda: config.file.write_bytes(b"half a fi"), config.file.unlink, publish
    )

    assert followed.registry.sequence == 3
    assert followed.changes == 1

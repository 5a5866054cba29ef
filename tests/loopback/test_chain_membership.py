"""Membership from a real chain, its cache and its fallbacks."""

import asyncio
import time
from dataclasses import replace

import pytest
import structlog

from discovery.transactions.calls import Relays, Users
from psp.crypto.keys import SigningKey
from psp.directory.chain.alarms import AlarmConfig, AlarmKind, Severity
from psp.directory.chain.listed import NotCounted
from psp.directory.registry import Source, period_of
from psp.errors import ConfigError
from psp.ids import NodeId
from psp.netdoc import trusted_file
from psp.netdoc.trusted_file import TrustedFile
from psp.runtime import chain_membership
from psp.runtime.chain_cache import CACHE_FILE
from psp.runtime.chain_membership import ChainMembership, Reader, open_membership
from psp.runtime.membership import MembershipConfig
from psp.testing.entropy import SeededEntropy
from psp.units import Seconds, UnixTime
from psp.wire.link_specifiers import pack
from tests.loopback import chains
from tests.loopback.chains import proxy, running_network

pytestmark = pytest.mark.timeout(120)

KEY = bytes(range(32))
DEAD = ("http://127.0.0.1:9", "http://127.0.0.1:9/x", "http://127.0.0.1:9/y")


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    with running_network("embedded", tmp_path_factory.mktemp("embedded")) as running:
        yield running


@pytest.fixture
def network(embedded):
    """A chain that is afterwards what it was before."""
    snapshot = embedded.rpc("evm_snapshot")
    yield embedded
    embedded.rpc("evm_revert", snapshot)


@pytest.fixture(scope="module", params=chains.KINDS)
def shared(request, tmp_path_factory):
    with running_network(request.param, tmp_path_factory.mktemp("chain")) as running:
        yield running


def settings(network, *urls, **changes):
    name = network.founded.network
    config = MembershipConfig(
        name.chain_id, name.registry.hex(), rpc=urls or three(network)
    )
    return replace(config, **changes)


def three(network):
    return tuple(f"{network.url}/{path}".rstrip("/") for path in ("", "?2", "?3"))


class Now:
    """A wall clock that a test moves."""

    def __init__(self):
        self.ahead = 0.0

    def __call__(self):
        return time.time() + self.ahead


async def opened(config, folder, *, clock=time.time, **reader):
    state = folder / "state"
    state.mkdir(mode=0o700, exist_ok=True)
    log = structlog.wrap_logger(structlog.ReturnLogger(), processors=[])
    return await open_membership(
        config,
        Reader(state, KEY, **reader),
        unix_time=clock,
        entropy=SeededEntropy("membership"),
        log=log,
    )


async def test_the_chain_is_the_registry(shared, tmp_path):
    membership = await opened(settings(shared), tmp_path)
    registry = membership.registry

    assert isinstance(membership, ChainMembership)
    assert registry.source is Source.ELECTED
    assert len(registry.nodes()) == chains.NODES
    assert len(registry.discovery_nodes()) == chains.SEATS
    assert all(registry.has_user(user.user_id) for user in shared.users)
    assert registry.random_value(period_of(time.time())) is not None
    assert registry.elected_at > 0
    assert membership.is_verified
    assert membership.alarms == []
    assert "of chain 31337" in membership.explanation
    await membership.close()


async def test_without_endpoints_the_cache_goes_on(shared, tmp_path):
    first = await opened(settings(shared), tmp_path)
    await first.close()

    second = await opened(settings(shared, *DEAD), tmp_path)

    assert second.registry.source is Source.CACHED
    assert second.registry.nodes() == first.registry.nodes()
    assert second.registry.discovery_nodes() == first.registry.discovery_nodes()
    assert not second.is_verified
    assert "from this host's cache" in second.explanation
    assert "0 of 3 chain endpoints gave a valid block" in second.explanation
    assert not await second.refresh()
    await second.close()


@pytest.mark.parametrize("damage", [b"", b"x", bytes(5_000)])
async def test_a_damaged_cache_is_not_believed(shared, tmp_path, damage):
    first = await opened(settings(shared), tmp_path)
    await first.close()
    cache = tmp_path / "state" / CACHE_FILE
    cache.write_bytes(damage and cache.read_bytes()[:-1] + damage)

    with pytest.raises(ConfigError, match="the chain cannot be read: 0 of 3"):
        await opened(settings(shared, *DEAD), tmp_path)

    again = await opened(settings(shared), tmp_path)
    assert again.is_verified
    await again.close()


def write_file(folder, network, partner):
    """The partners' file of a network, with one discovery node."""
    entries = {signed.record.node_id: signed for _, signed in network.relays}
    now = int(time.time())
    document = TrustedFile(
        network=network.founded.network,
        sequence=7,
        issued=UnixTime(now),
        expires=UnixTime(now + 86_400),
        nodes=entries,
        discovery_nodes=(min(entries),),
    )
    file = folder / "registry.json"
    file.write_bytes(trusted_file.encode(document, [partner]))
    return file


async def test_a_chain_never_read_falls_back_to_the_partners_file(shared, tmp_path):
    partner = SigningKey.generate(SeededEntropy("partner"))
    file = write_file(tmp_path, shared, partner)
    entries = {signed.record.node_id for _, signed in shared.relays}
    fallback = {"file": file, "partners": (partner.public.hex(),)}

    never = await opened(settings(shared, *DEAD, **fallback), tmp_path)
    assert never.registry.source is Source.TRUSTED
    assert never.registry.discovery_nodes() == (min(entries),)
    assert never.file() == file.read_bytes()
    assert "as the chain was never read" in never.explanation
    await never.close()

    read = await opened(settings(shared, **fallback), tmp_path)
    assert read.registry.source is Source.ELECTED
    assert read.file() is None
    await read.close()


async def test_a_first_look_that_took_longer_is_told_when_it_ends(
    shared, tmp_path, monkeypatch
):
    gate = asyncio.Event()

    async def late(method, params, result):
        await gate.wait()
        return result

    partner = SigningKey.generate(SeededEntropy("partner"))
    file = write_file(tmp_path, shared, partner)
    monkeypatch.setattr(chain_membership, "FIRST_READ_WITHIN", 0.0)
    async with proxy(shared.url, late) as slow:
        config = settings(
            shared, slow, quorum=1, file=file, partners=(partner.public.hex(),)
        )
        membership = await opened(config, tmp_path, reads_users=False)
        assert membership.registry.source is Source.TRUSTED
        changed = asyncio.Event()
        following = asyncio.create_task(membership.follow(changed.set))
        gate.set()
        await asyncio.wait_for(changed.wait(), 20)
        assert membership.registry.source is Source.ELECTED
        following.cancel()
        await membership.close()


async def test_a_wrong_chain_and_a_wrong_contract_are_said(shared, tmp_path):
    with pytest.raises(ConfigError, match="another chain than 1"):
        await opened(settings(shared, chain_id=1), tmp_path)
    with pytest.raises(ConfigError, match="there is no contract at 0x7777"):
        await opened(settings(shared, registry="77" * 20), tmp_path)


async def test_a_clock_that_is_behind_refuses_and_says_so(shared, tmp_path):
    clock = Now()
    clock.ahead = -3600.0
    with pytest.raises(ConfigError, match="check the clock"):
        await opened(settings(shared), tmp_path, clock=clock)


async def test_a_clock_that_is_ahead_is_said_and_stops_new_circuits(shared, tmp_path):
    clock = Now()
    clock.ahead = 2 * 86_400.0

    membership = await opened(settings(shared), tmp_path, clock=clock)

    assert {alarm.kind for alarm in membership.alarms} == {AlarmKind.STALE}
    assert membership.registry.expires < clock()
    await membership.close()


async def test_changes_are_followed(network, tmp_path):
    account, signed = network.relays[0]
    contract = Relays(network.founded.network.registry)
    membership = await opened(settings(network, poll_every=Seconds(0.05)), tmp_path)
    changed = asyncio.Event()
    following = asyncio.create_task(membership.follow(changed.set))

    await asyncio.to_thread(network.do, account.owner, contract.retire(1))
    await asyncio.wait_for(changed.wait(), 20)

    assert signed.record.node_id not in membership.registry.nodes()
    assert len(membership.registry.nodes()) == chains.NODES - 1
    following.cancel()
    await membership.close()


async def test_a_revoked_node_is_dead_in_a_list_already_elected(network, tmp_path):
    membership = await opened(settings(network), tmp_path)
    elected = membership.registry.discovery_nodes()
    numbers = {
        signed.record.node_id: i for i, (_, signed) in enumerate(network.relays, 1)
    }
    number = numbers[elected[0]]
    contract = Relays(network.founded.network.registry)

    await asyncio.to_thread(
        network.do, network.relays[number - 1][0].owner, contract.revoke(number)
    )
    assert await membership.refresh()

    assert membership.registry.discovery_nodes() == elected[1:]
    await membership.close()


async def test_squatted_keys_and_false_signatures_do_not_count(network, tmp_path):
    """Somebody registers another's identity, and somebody another's whole record."""
    contract = Relays(network.founded.network.registry)
    users = Users(network.founded.users)
    _, victim = network.relays[0]
    record = victim.record
    squat = contract.register(
        record.node_id, bytes([7]) * 32, bytes(64), pack(record.endpoints), stake=10**18
    )
    copied = contract.register(
        record.node_id,
        record.onion_key,
        victim.signature,
        pack(record.endpoints),
        stake=10**18,
    )
    false_user = users.register(network.users[0].user_id, bytes(64))
    thief = network.deployer()
    for call in (squat, copied, false_user):
        await asyncio.to_thread(network.do, thief, call)

    membership = await opened(settings(network), tmp_path)
    nodes = membership.registry.view.nodes

    assert nodes.refused[NotCounted.SIGNATURE] == 2
    assert nodes.nodes[record.node_id].onion_key == record.onion_key
    assert membership.registry.has_user(network.users[0].user_id)
    await membership.close()


async def test_a_reorganisation_below_finality_freezes_the_list(tmp_path):
    with running_network("embedded", tmp_path) as network:
        membership = await opened(settings(network), tmp_path)
        before = membership.registry.nodes()
        account, _ = network.relays[1]
        contract = Relays(network.founded.network.registry)

        network.rpc("dev_reorg", "0x2")
        await asyncio.to_thread(network.do, account.owner, contract.retire(2))
        assert not await membership.refresh()

        kinds = {(alarm.kind, alarm.severity) for alarm in membership.alarms}
        assert (AlarmKind.REORGANISED, Severity.FREEZE) in kinds
        assert membership.registry.nodes() is before
        assert "remove" in membership.explanation
        assert not await membership.refresh()
        await membership.close()


@pytest.mark.parametrize("depth", [1, 3, 8])
async def test_blocks_that_are_not_final_do_not_count(tmp_path, depth):
    with running_network("embedded", tmp_path, finality=10) as network:
        await asyncio.to_thread(network.settle, 12)
        membership = await opened(settings(network), tmp_path)
        before = membership.registry.nodes()
        account, _ = network.relays[0]
        contract = Relays(network.founded.network.registry)

        await asyncio.to_thread(network.do, account.owner, contract.retire(1), settle=0)
        await membership.refresh()
        assert membership.registry.nodes() == before

        network.rpc("dev_reorg", hex(depth))
        await asyncio.to_thread(network.settle, 20)
        await membership.refresh()

        # Whether the transaction is in the new branch or not: what is final counts.
        view = membership.registry.view
        head = int(network.rpc("eth_blockNumber"), 16)
        assert view.height == head - 10
        assert not any(alarm.severity is Severity.FREEZE for alarm in membership.alarms)
        await membership.close()


async def test_own_registrations_that_are_missing_are_said(shared, tmp_path):
    stranger = NodeId(bytes([5]) * 32)
    alarms = AlarmConfig(own_node=stranger)

    membership = await opened(settings(shared), tmp_path, alarms=alarms)

    assert [alarm.kind for alarm in membership.alarms] == [AlarmKind.OWN_NODE_MISSING]
    assert stranger.hex() not in membership.explanation
    await membership.close()


async def test_endpoints_that_die_under_way_end_nothing(network, tmp_path):
    async with (
        proxy(network.url) as one,
        proxy(network.url) as two,
        proxy(network.url) as third,
    ):
        config = settings(network, one, two, third, poll_every=Seconds(0.05))
        membership = await opened(config, tmp_path)
        following = asyncio.create_task(membership.follow(lambda: None))
        await membership.refresh()

    assert not await membership.refresh()
    assert membership.failure
    assert not following.done()
    assert len(membership.registry.nodes()) == chains.NODES
    assert membership.registry.source is Source.ELECTED
    following.cancel()
    await membership.close()


async def test_an_empty_registry_is_no_error(tmp_path):
    with running_network("embedded", tmp_path, nodes=0) as network:
        membership = await opened(settings(network), tmp_path)

        assert membership.registry.nodes() == {}
        assert membership.registry.discovery_nodes() == ()
        assert membership.registry.source is Source.TRUSTED
        assert "list of epoch none" in membership.explanation
        await membership.close()


@pytest.mark.parametrize("kind", chains.KINDS)
async def test_a_node_that_retires_leaves_zeros_that_a_quorum_settles(kind, tmp_path):
    """anvil keeps zero words in its tries: no root can be rebuilt there any more."""
    with running_network(kind, tmp_path) as network:
        number = len(network.relays)
        account, signed = network.relays[number - 1]
        contract = Relays(network.founded.network.registry)

        await asyncio.to_thread(network.do, account.owner, contract.retire(number))
        membership = await opened(settings(network), tmp_path)

        assert signed.record.node_id not in membership.registry.nodes()
        assert membership.is_verified == (kind == "embedded")
        await membership.close()

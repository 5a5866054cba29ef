"""Elections of real chains, recomputed by an outsider (discovery/replay/client.py)."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack

import pytest

from discovery.replay import events
from discovery.replay.client import ReplayError, replay
from discovery.replay.logs import LogLimits
from discovery.transactions.calls import Relays
from psp.directory.chain.layout import epoch_start
from psp.runtime.chain_reader import ContractError
from psp.runtime.quorum import ForeignChainError, NoQuorumError
from psp.runtime.rpc import RpcEndpoint, new_session
from psp.wire.network import Network
from tests.loopback import chains
from tests.loopback.chains import EPOCH, LIMITS, SEATS, proxy, running_network

pytestmark = pytest.mark.timeout(120)

ELECTED = 6


@pytest.fixture(scope="module", params=chains.KINDS)
def network(request, tmp_path_factory):
    with running_network(request.param, tmp_path_factory.mktemp("chain")) as running:
        yield running


async def replayed(network, epoch=ELECTED, *changes, name=None, **options):
    """Replay through one endpoint for each change of its answers."""
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(new_session(3))
        urls = [
            await stack.enter_async_context(proxy(network.url, change))
            for change in changes
        ]
        rpcs = [
            RpcEndpoint(url, session, name=f"endpoint {i}", limits=LIMITS)
            for i, url in enumerate(urls or [network.url], 1)
        ]
        return await replay(rpcs, name or network.founded.network, epoch, **options)


def view_of(network):
    async def work():
        async with chains.reader(network, network.url, quorum=1) as reader:
            return (await reader.read()).view

    return work()


async def test_the_list_in_force_is_what_the_draw_gives(network):
    done = await replayed(network)
    view = await view_of(network)

    assert done.matches, done.faults
    assert done.is_held
    assert done.is_final
    assert tuple(sorted(done.elected)) == view.state.elected
    assert len(done.elected) == SEATS
    stakes = network.founded.stakes
    assert done.weights == {n: stakes[n - 1] for n in done.weights}


async def test_epochs_without_a_list_are_said(network):
    with pytest.raises(ReplayError, match="the first one is that of epoch 5"):
        await replayed(network, 4)
    with pytest.raises(ReplayError, match="epoch 8 is not begun; the chain is in epo"):
        await replayed(network, 8)


@pytest.mark.parametrize(("epoch", "is_final"), [(5, True), (7, False)])
async def test_an_epoch_without_nominations_matches_an_empty_list(
    network, epoch, is_final
):
    done = await replayed(network, epoch)

    assert done.matches
    assert done.elected == done.stored == ()
    assert done.is_final is is_final


def no_nominations(method, params, result):
    if method != "eth_getLogs":
        return result
    name = "0x" + events.NOMINATED.hex()
    return [log for log in result if log["topics"][0] != name][1:]


def another_seed(method, params, result):
    for log in result if method == "eth_getLogs" else []:
        if log["topics"][0] == "0x" + events.SEED.hex():
            log["data"] = "0x" + "11" * 32
    return result


def more_votes(method, params, result):
    for log in result if method == "eth_getLogs" else []:
        if log["topics"][0] == "0x" + events.VOTE.hex():
            log["data"] = "0x" + "00" * 23 + "ff" + log["data"][50:]
    return result


def nothing(method, params, result):
    return None if method == "eth_getLogs" else result


LIES = [no_nominations, another_seed, more_votes, nothing]


@pytest.mark.parametrize("lie", LIES)
async def test_one_of_three_that_lies_changes_nothing(network, lie):
    done = await replayed(network, ELECTED, lie, chains.honest, chains.honest)

    assert done.matches, done.faults


@pytest.mark.parametrize("lie", LIES)
async def test_endpoints_that_do_not_agree_on_events_prove_nothing(network, lie):
    with pytest.raises(NoQuorumError, match="showed events"):
        await replayed(network, ELECTED, lie, chains.honest)


@pytest.mark.parametrize("lie", [no_nominations, another_seed, more_votes])
async def test_a_lone_liar_does_not_get_a_match(network, lie):
    done = await replayed(network, ELECTED, lie)

    assert not done.matches
    assert done.faults


async def test_narrow_ranges_give_the_same(network):
    wide = await replayed(network)
    narrow = await replayed(network, limits=LogLimits(spans=(1,)))

    assert narrow == wide


async def test_another_chain_and_an_address_without_a_registry_are_said(network):
    name = network.founded.network

    with pytest.raises(ForeignChainError, match="another chain than 5"):
        await replayed(network, name=Network(5, name.registry))
    with pytest.raises(ContractError, match="no contract at 0x0909"):
        await replayed(network, name=Network(name.chain_id, b"\x09" * 20))


async def test_a_list_that_newer_ones_have_overwritten_is_replayed_from_events(network):
    calls = Relays(network.founded.network.registry)
    owner = network.relays[0][0].owner
    snapshot = network.rpc("evm_snapshot")
    state = (await view_of(network)).state
    # The list of epoch 10 lies where that of epoch 6 has been.
    start = epoch_start(ELECTED + 3, state.genesis, EPOCH)
    network.rpc("evm_setNextBlockTimestamp", hex(start + EPOCH // 2 + 1))
    try:
        in_thread(network.do, owner, calls.request_seed())
        in_thread(network.do, owner, calls.nominate(1))

        old = await replayed(network)
        new = await replayed(network, ELECTED + 4)
    finally:
        network.rpc("evm_revert", snapshot)

    assert old.matches, old.faults
    assert not old.is_held
    assert len(old.elected) == SEATS
    assert new.matches, new.faults
    assert new.is_held
    assert not new.is_final
    assert new.elected == (1,)


def in_thread(function, *arguments):
    """Run what has a loop of its own."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(function, *arguments).result()

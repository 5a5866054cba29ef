"""Registered names before two real chains: whole, proven, and in nobody's power to hide."""

import time
from dataclasses import replace

import pytest
import structlog

from discovery.transactions.calls import Users, deployment
from psp.client.config import ClientConfig
from psp.client.connecting import connect
from psp.client.errors import UnknownContactError
from psp.directory.chain import layout
from psp.directory.chain.names import HOLD, LIFETIME, NameDoubt
from psp.directory.chain.users import user_signing_input
from psp.directory.registry import Source
from psp.runtime.chain_membership import Reader, open_membership
from psp.runtime.chain_names import CACHE_FILE, ChainNames
from psp.runtime.chain_reader import ContractError
from psp.runtime.membership import MembershipConfig
from psp.runtime.quorum import ChainReadError
from psp.testing.entropy import SeededEntropy
from tests.loopback import chains
from tests.loopback.chains import proxy, reader, running_network
from tests.loopback.named import (
    ALICE,
    BOB,
    DEPLOYMENT,
    DEPOSIT,
    LIES,
    Named,
    not_changed_since,
)

pytestmark = pytest.mark.timeout(120)

KEY = bytes(range(32))
DEAD = "http://127.0.0.1:9"


@pytest.fixture(scope="module", params=chains.KINDS)
def founded(request, tmp_path_factory):
    with running_network(request.param, tmp_path_factory.mktemp("chain")) as running:
        yield Named.on(running)


@pytest.fixture
def named(founded):
    """A chain that is afterwards what it was before."""
    snapshot = founded.network.rpc("evm_snapshot")
    yield founded
    founded.network.rpc("evm_revert", snapshot)


def settings(named, *urls, **changes):
    name = named.network.founded.network
    usual = MembershipConfig(
        name.chain_id,
        name.registry.hex(),
        rpc=urls,
        quorum=len(urls),
        names=named.contract.address.hex(),
    )
    return replace(usual, **changes)


def clock(named):
    """The chain's clock, which other tests have moved on."""
    block = named.network.rpc("eth_getBlockByNumber", "latest", bool(0))
    ahead = max(0, int(block["timestamp"], 16) - time.time())
    return lambda: time.time() + ahead


async def opened(named, config, folder, **options):
    """A membership by the chain's clock."""
    state = folder / "state"
    state.mkdir(mode=0o700, exist_ok=True)
    log = structlog.wrap_logger(structlog.ReturnLogger(), processors=[])
    return await open_membership(
        config,
        Reader(state, KEY, **({"reads_names": True} | options)),
        unix_time=clock(named),
        entropy=SeededEntropy("names"),
        log=log,
    )


# -- what one honest endpoint shows


async def test_one_endpoint_suffices_as_the_list_is_proven(named):
    names = await named.read(named.network.url)

    assert names.users == {"alice": named.identity(ALICE)}
    assert names.names == {named.identity(ALICE): "alice"}


async def test_nobody_is_asked_for_a_single_name(named):
    asked = []

    def note(method, params, result):
        asked.append((method, params))
        return result

    async with proxy(named.network.url, note) as noted:
        await named.read(noted)

    word = b"alice".hex()
    assert not any(word in str(each) for each in asked)
    selectors = {p[0]["data"][2:10] for method, p in asked if method == "eth_call"}
    assert selectors <= {layout.PAGE.hex(), layout.VERSIONS.hex()}


async def test_only_what_has_changed_is_read_again(named):
    first = await named.read(named.network.url)
    pages = []

    def note(method, params, result):
        if method == "eth_call" and int(params[0]["to"], 16) == int.from_bytes(
            named.contract.address
        ):
            pages.append(params[0]["data"][2:10])
        return result

    async with (
        proxy(named.network.url, note) as noted,
        reader(named.network, noted, quorum=1) as chain,
    ):
        names = ChainNames(chain, named.contract.address)
        await names.read(await chain.read(), first.listed)
        named.network.settle()
        again = await names.read(await chain.read())
        named.register("bob", BOB)
        second = await names.read(await chain.read())

    assert again.users == first.users
    # An equal root ends it; else four bytes a record say which page has changed.
    assert pages == [layout.VERSIONS.hex()] * 2 + [layout.PAGE.hex()]
    assert second.users == {
        "alice": named.identity(ALICE),
        "bob": named.identity(BOB),
    }


async def test_released_and_registered_again_by_another(named):
    named.wait(HOLD)
    network = named.network
    network.do(network.owner(ALICE), named.contract.release(1))
    assert (await named.read(network.url)).refused == {NameDoubt.ENDED: 1}

    named.register("alice", BOB)

    names = await named.read(network.url)
    assert names.users == {"alice": named.identity(BOB)}
    assert names.verdicts == (NameDoubt.ENDED, named.identity(BOB))


async def test_a_revoked_or_moved_user_has_no_name(named):
    network = named.network
    users = Users(network.founded.users)
    identity = network.users[ALICE - 1]
    text = user_signing_input(
        network.founded.network, network.owner(BOB).address, identity.user_id
    )
    call = users.move(ALICE, network.owner(BOB).address, identity.key.sign(text))
    network.do(network.owner(ALICE), call)
    assert (await named.read(network.url)).verdicts == (NameDoubt.OWNER,)

    network.do(network.owner(BOB), users.revoke(ALICE))

    assert (await named.read(network.url)).verdicts == (NameDoubt.USER,)


async def test_a_name_expires_with_the_chains_time(named):
    async with reader(named.network, named.network.url, quorum=1) as chain:
        names = ChainNames(chain, named.contract.address)
        assert "alice" in (await names.read(await chain.read())).users
        named.wait(LIFETIME + 60)  # and nothing else changes
        late = await names.read(await chain.read())
    assert late.verdicts == (NameDoubt.EXPIRED,)
    assert (await named.read(named.network.url)).verdicts == (NameDoubt.EXPIRED,)

    named.network.do(named.network.owner(ALICE), named.contract.renew(1))

    assert "alice" in (await named.read(named.network.url)).users


# -- lies


@pytest.fixture
def two_named(named):
    """The same with a second name, and the time before it."""
    named.before = int(named.network.rpc("eth_blockNumber"), 16)
    named.register("bob", BOB)
    return named


@pytest.mark.parametrize("lie", LIES)
async def test_a_liar_is_refused_alone_and_changes_nothing_among_others(two_named, lie):
    named, url = two_named, two_named.network.url

    def change(method, params, result):
        return lie(named, method, params, result)

    async with proxy(url, change) as liar:
        with pytest.raises(ChainReadError):
            await named.read(liar)
        for _ in range(3):  # whoever is asked first
            names = await named.read(liar, url, quorum=1)
            assert names.users == {
                "alice": named.identity(ALICE),
                "bob": named.identity(BOB),
            }


async def test_a_change_hidden_from_a_returning_reader_is_found(named):
    url = named.network.url
    first = await named.read(url)
    named.network.do(named.network.owner(ALICE), named.contract.renew(1))

    def change(method, params, result):
        return not_changed_since(named, method, params, result)

    async with proxy(url, change) as liar:
        with pytest.raises(ChainReadError, match="does not hold"):
            await named.read(liar, held=first.listed)
        second = await named.read(liar, url, held=first.listed)
    assert (first.listed[0].version, second.listed[0].version) == (1, 2)


@pytest.mark.parametrize(
    ("which", "why"),
    [
        ("nobody", "is not there at block"),
        ("users", "not the contract of names that this program knows"),
        ("foreign", "names users of another network"),
    ],
)
async def test_a_contract_that_is_not_of_this_network_is_refused(named, which, why):
    network = named.network
    address = {"nobody": b"\x77" * 20, "users": network.founded.users}.get(which)
    if which == "foreign":
        call = deployment("Names", network.founded.book, DEPOSIT)
        receipt = network.do(network.deployer(), call, gas=DEPLOYMENT)
        address = bytes.fromhex(str(receipt["contractAddress"])[2:])

    with pytest.raises(ContractError, match=why):
        await named.read(network.url, address=address)


# -- in a client


async def test_a_client_that_wants_names_has_them(named, tmp_path):
    url = named.network.url
    membership = await opened(named, settings(named, url, url + "/?2"), tmp_path)
    registry = membership.registry

    assert registry.knows_names
    assert registry.user_of_name("Alice") == named.identity(ALICE)
    assert registry.name_of(named.identity(ALICE)) == "alice"
    assert registry.user_of_name("bob") is None
    named.register("bob", BOB)
    await membership.refresh()
    assert registry.user_of_name("bob") == named.identity(BOB), membership.explanation
    await membership.close()


async def test_an_app_finds_who_has_a_name(named, tmp_path):
    """Without an identity of its own, and without any relay that answers."""
    url = named.network.url
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    config = ClientConfig(settings(named, url, url + "/?2"), state, bind="127.0.0.1")
    async with connect(config, unix_time=clock(named)) as client:
        card = await client.resolve("Alice")
        with pytest.raises(UnknownContactError, match="nobody has registered"):
            await client.resolve("bob")

    assert card.identity == named.identity(ALICE)
    assert card.name == "alice"


@pytest.mark.parametrize("changes", [{"names": ""}, {}])
async def test_others_read_none(named, tmp_path, changes):
    url = named.network.url
    config = settings(named, url, url + "/?2", **changes)
    membership = await opened(named, config, tmp_path, reads_names=bool(changes))

    assert not membership.registry.knows_names
    assert membership.registry.user_of_name("alice") is None
    await membership.close()
    assert not (tmp_path / "state" / CACHE_FILE).exists()


async def test_a_network_without_names_is_a_network_all_the_same(named, tmp_path):
    url = named.network.url
    config = settings(named, url, url + "/?2", names="77" * 20)
    membership = await opened(named, config, tmp_path)

    assert membership.registry.source is Source.ELECTED
    assert not membership.registry.knows_names
    assert "membership.names (0x7777" in membership.explanation
    assert "check the address" in membership.explanation
    await membership.close()


async def test_names_outlive_the_process_and_its_endpoints(named, tmp_path):
    url = named.network.url
    first = await opened(named, settings(named, url, url + "/?2"), tmp_path)
    await first.close()

    second = await opened(named, settings(named, DEAD, DEAD + "/?2"), tmp_path)

    assert second.registry.source is Source.CACHED
    assert second.registry.user_of_name("alice") == named.identity(ALICE)
    await second.close()


@pytest.mark.parametrize("damage", [b"", b"x" * 200])
async def test_damaged_names_on_disk_are_read_anew(named, tmp_path, damage):
    url = named.network.url
    first = await opened(named, settings(named, url, url + "/?2"), tmp_path)
    await first.close()
    (tmp_path / "state" / CACHE_FILE).write_bytes(damage)

    dead = await opened(named, settings(named, DEAD, DEAD + "/?2"), tmp_path)
    assert not dead.registry.knows_names
    await dead.close()
    again = await opened(named, settings(named, url, url + "/?2"), tmp_path)
    assert again.registry.user_of_name("alice") == named.identity(ALICE)
    await again.close()

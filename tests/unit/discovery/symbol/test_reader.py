import copy
import json

import pytest

from discovery.backend import (
    BackendUnavailableError,
    ReadOnlyBackendError,
    Standing,
)
from discovery.symbol.answers import Importance
from discovery.symbol.config import ELECTED_KEYS, NODE_KEY, TRUSTED_KEY
from discovery.symbol.draw import Candidate, draw
from discovery.symbol.metadata import ElectedMetadata, TrustedMetadata
from discovery.symbol.reader import SymbolBackend
from discovery.symbol.records import NotCounted
from psp.crypto.keys import SigningKey
from psp.errors import DecodeError
from psp.netdoc.node_record import Status


def test_recorded_answers_are_those_that_the_keys_make(either, made):
    recorded = json.loads((made.ANSWERS / f"{either.kind}.json").read_text("utf-8"))

    assert recorded == made.exchanges(either.kind)


async def test_nodes_are_those_whose_records_count(either):
    table = await either.backend.node_table()

    assert set(table.nodes) == set(either.ids("anne", "bert", "carl", "dora"))
    assert table.refused == {
        NotCounted.MALFORMED: 1,
        NotCounted.SIGNATURE: 1,
        NotCounted.RETIRED: 1,
        NotCounted.REVOKED: 1,
        NotCounted.DEAD: 1,
        NotCounted.DOUBLE: 2,
    }


async def test_a_record_says_what_the_registry_promises(either):
    (carl,) = either.ids("carl")

    record = (await either.backend.nodes())[carl]

    assert [endpoint.address for endpoint in record.endpoints] == [
        ("2001:db8::1", 443),
        ("198.51.100.7", 8443),
    ]
    assert record.operator == either.account("company")
    assert len(record.onion_key) == 32


async def test_users_are_listed_with_the_revoked_ones(either):
    users = await either.backend.users()

    assert {user: record.status for user, record in users.items()} == {
        either.ids("alice")[0]: Status.ACTIVE,
        either.ids("bob")[0]: Status.ACTIVE,
        either.ids("mallory")[0]: Status.REVOKED,
    }


async def test_trusted_nodes_come_from_the_partners_account(either):
    assert await either.backend.trusted() == either.ids("anne", "dora")


async def test_on_symbol_the_published_list_is_recomputed(symbol):
    elected = await symbol.backend.elected()

    assert elected.epoch == 2
    assert elected.standing is Standing.RECOMPUTED
    assert elected.nodes == symbol.ids("anne", "bert")
    assert elected.nodes == elected.published == elected.computed


async def test_on_sirius_the_list_is_the_partners_word(sirius):
    elected = await sirius.backend.elected()

    assert elected.standing is Standing.PUBLISHED
    assert elected.nodes == sirius.ids("anne", "bert")
    assert elected.computed == ()


async def test_an_early_sirius_gateway_shows_importances_so_that_the_draw_is_checked(
    sirius,
):
    for name, (value, height) in sirius.overlay.importances.items():
        body = sirius.gateway.body(
            f"/account/{sirius.overlay.target(name).hex().upper()}"
        )
        body["account"]["importance"] = [value % 2**32, value >> 32]
        body["account"]["importanceHeight"] = [height, 0]
    body = sirius.answers.block(1500)
    sirius.gateway.bodies["/block/1500", frozenset()] = body
    seed = sirius.config.dialect.read_block(json.dumps(body).encode(), 1500)
    candidates = [
        Candidate(
            sirius.ids(name)[0], sirius.overlay.target(name), Importance(*importance)
        )
        for name, importance in sirius.overlay.importances.items()
    ]

    elected = await sirius.backend.elected()

    assert elected.computed == draw(sirius.config, 2, seed, candidates)
    assert elected.standing is not Standing.PUBLISHED


async def test_epochs_without_a_list_are_unknown_and_the_future_is_not_asked(symbol):
    for epoch in (-1, 0, 1, 3, 99):
        elected = await symbol.backend.elected(epoch)

        assert (elected.epoch, elected.standing) == (epoch, Standing.UNKNOWN)
        assert elected.nodes == ()
        if epoch != 1:
            assert "/metadata" not in symbol.gateway.asked
        symbol.gateway.asked.clear()


def accounts(recorded):
    return {
        name: recorded.gateway.body(
            recorded.config.dialect.account(recorded.overlay.target(name))
        )["account"]
        for name in recorded.overlay.importances
    }


async def test_an_older_list_is_read_but_no_longer_recomputed(symbol):
    for body in accounts(symbol).values():
        body["importanceHeight"] = "2160"

    elected = await symbol.backend.elected()

    assert elected.standing is Standing.PUBLISHED
    assert elected.nodes == symbol.ids("anne", "bert")


async def test_publishers_cannot_put_anybody_into_the_list(symbol):
    publish(symbol, ElectedMetadata(2, symbol.ids("anne", "dora")))

    elected = await symbol.backend.elected()

    assert elected.standing is Standing.DISPUTED
    assert elected.nodes == symbol.ids("anne")
    assert elected.published == symbol.ids("anne", "dora")
    assert elected.computed == symbol.ids("anne", "bert")


async def test_an_invented_stake_cannot_put_anybody_into_a_published_list(symbol):
    accounts(symbol)["dora"].update(
        importance="9000000000000000", importanceHeight="1440"
    )

    elected = await symbol.backend.elected()

    assert elected.standing is Standing.DISPUTED
    assert set(elected.nodes) < set(symbol.ids("anne", "bert"))
    assert symbol.ids("dora")[0] in elected.computed


async def test_without_a_published_list_the_readers_own_draw_counts(symbol):
    publish(symbol, None)

    elected = await symbol.backend.elected()

    assert elected.standing is Standing.COMPUTED
    assert elected.nodes == symbol.ids("anne", "bert")


async def test_a_list_of_another_epoch_in_its_place_is_none(symbol):
    publish(symbol, ElectedMetadata(6, symbol.ids("anne", "carl")))

    assert (await symbol.backend.elected()).standing is Standing.COMPUTED


async def test_more_elected_than_seats_are_refused(symbol):
    publish(symbol, ElectedMetadata(2, symbol.ids("anne", "bert", "carl")))

    with pytest.raises(DecodeError, match="3 elected for 2 seats"):
        await symbol.backend.elected()


async def test_unknown_identities_named_by_partners_are_left_out(either):
    stranger = SigningKey.from_seed(bytes(32)).public
    nodes = tuple(sorted([stranger, *either.ids("anne")]))
    entry_of(either, TRUSTED_KEY)["value"] = (
        TrustedMetadata(nodes).encode().hex().upper()
    )

    assert await either.backend.trusted() == either.ids("anne")


def entry_of(recorded, scoped_key):
    path = recorded.config.dialect.entries()
    body = recorded.gateway.body(path, scopedMetadataKey=f"{scoped_key:016X}")
    return body["data"][0]["metadataEntry"]


def publish(recorded, value):
    path = recorded.config.dialect.entries()
    body = recorded.gateway.body(path, scopedMetadataKey=f"{ELECTED_KEYS[2]:016X}")
    if value is None:
        body["data"] = []
    else:
        body["data"][0]["metadataEntry"]["value"] = value.encode().hex().upper()


# What a gateway may try.


@pytest.mark.parametrize("operation", ["publish", "rotate", "nominate"])
async def test_nothing_can_be_written(either, operation):
    record = (await either.backend.nodes())[either.ids("anne")[0]]
    arguments = {
        "publish": (record, bytes(64), 5),
        "rotate": (record, bytes(64)),
        "nominate": ([record.node_id],),
    }
    asked = list(either.gateway.asked)

    with pytest.raises(ReadOnlyBackendError, match=f"{operation}: .* only reads"):
        await getattr(either.backend, operation)(*arguments[operation])

    assert either.backend.is_read_only
    assert either.gateway.asked == asked


async def test_a_gateway_of_another_network_is_not_asked_for_more(either):
    dialect = either.config.dialect
    body = either.gateway.body(dialect.identity())
    where = body if either.kind == "symbol" else body["meta"]
    name = "networkGenerationHashSeed" if either.kind == "symbol" else "generationHash"
    where[name] = "00" * 32

    for _ in range(2):
        with pytest.raises(DecodeError, match="a gateway of another"):
            await either.backend.nodes()
    assert set(either.gateway.asked) == {dialect.identity()}


async def test_a_dead_gateway_is_unavailable_and_comes_back(either):
    bodies, either.gateway.bodies = either.gateway.bodies, {}
    with pytest.raises(BackendUnavailableError, match="gateway: answers with status"):
        await either.backend.users()

    either.gateway.bodies = bodies
    assert len(await either.backend.users()) == 3


async def test_an_account_that_one_key_speaks_for_is_no_partners_account(either):
    path = either.config.dialect.multisig(either.config.partners)
    for change in ({"minApproval": 1}, {"minApproval": 0}, {"minApproval": 5}):
        either.gateway.body(path)["multisig"].update(change)

        for read in (either.backend.trusted, either.backend.elected):
            with pytest.raises(DecodeError, match="acts on"):
                await read()


async def test_metadata_of_another_account_is_not_the_partners(either):
    entry = entry_of(either, TRUSTED_KEY)
    address = either.config.dialect.addresses.encode(either.account("thief"))
    entry["sourceAddress"] = address.hex().upper()

    with pytest.raises(DecodeError, match="another account than was asked for"):
        await either.backend.trusted()


async def test_two_lists_of_the_partners_are_refused(either):
    path = either.config.dialect.entries()
    body = either.gateway.body(path, scopedMetadataKey=f"{TRUSTED_KEY:016X}")
    second = copy.deepcopy(body["data"][0])
    second["id"] = "F" * 24
    address = either.config.dialect.addresses.encode(either.account("thief"))
    second["metadataEntry"]["sourceAddress"] = address.hex().upper()
    body["data"].append(second)

    with pytest.raises(DecodeError):
        await either.backend.trusted()


async def test_a_doubled_entry_is_refused(either):
    page = first_page(either)
    page["data"][1] = page["data"][0]

    with pytest.raises(DecodeError, match="twice"):
        await either.backend.nodes()


def first_page(recorded):
    path = recorded.config.dialect.entries()
    wanted = {"scopedMetadataKey": f"{NODE_KEY:016X}", "pageNumber": "1"}
    for (found, asked), body in recorded.gateway.bodies.items():
        params = dict(asked)
        if (
            found == path
            and wanted.items() <= params.items()
            and "offset" not in params
        ):
            return body
    raise AssertionError("no such page")


async def test_a_gateway_that_serves_one_page_for_ever_is_left(symbol):
    page = first_page(symbol)

    class Endless:
        async def get(self, path, params):
            if path == "/metadata":
                return json.dumps(page).encode()
            return await symbol.gateway.get(path, params)

    with pytest.raises(DecodeError, match="twice"):
        await SymbolBackend(symbol.config, Endless()).nodes()


async def test_a_huge_answer_is_refused(either):
    path = either.config.dialect.head()
    either.gateway.bodies[path, frozenset()] = b" " * (512 * 1024 + 1)

    with pytest.raises(DecodeError, match="524289 bytes"):
        await either.backend.elected()


async def test_a_chain_does_not_go_back(symbol):
    await symbol.backend.elected()
    info = symbol.gateway.body("/chain/info")
    info["latestFinalizedBlock"].update(
        height="1500", hash=symbol.gateway.body("/blocks/1500")["meta"]["hash"]
    )

    with pytest.raises(DecodeError, match="final height 1500 after 1520"):
        await symbol.backend.elected()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"hash": "00" * 32}, "two hashes for the finalised block"),
        ({"height": "1600"}, "block 1600 is final before it exists"),
    ],
)
async def test_a_finalised_block_that_cannot_be_is_refused(symbol, change, text):
    symbol.gateway.body("/chain/info")["latestFinalizedBlock"].update(change)

    with pytest.raises(DecodeError, match=text):
        await symbol.backend.elected()


async def test_a_block_of_another_network_is_no_seed(symbol):
    symbol.gateway.body("/blocks/1500")["block"]["network"] = 104

    with pytest.raises(DecodeError, match="network 104"):
        await symbol.backend.elected()


async def test_every_answer_may_be_junk(either):
    for asked in list(either.gateway.bodies):
        for junk in (b"", b"null", b"[]", b"{}", b"\xff", b"[" * 100_000, b'"x"'):
            kept, either.gateway.bodies[asked] = either.gateway.bodies[asked], junk
            backend = SymbolBackend(either.config, either.gateway)
            for read in (
                backend.nodes,
                backend.users,
                backend.trusted,
                backend.elected,
            ):
                try:
                    await read()
                except DecodeError:
                    continue
            either.gateway.bodies[asked] = kept

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.symbol.answers import Head, Importance, Multisig
from discovery.symbol.symbol_rest import MAIN_NETWORK, TEST_NETWORK, SymbolRest
from psp.errors import DecodeError

REST = SymbolRest(TEST_NETWORK)
ACCOUNT = bytes(range(20))

# Heard from live gateways, as published by others: Symbol's documentation of nodes
# (chain), a community's guides (metadata, multisig), SDKs (account, node, block).
CHAIN = """{
 "scoreHigh": "0", "scoreLow": "11485261672816562840", "height": "161138",
 "latestFinalizedBlock": {
  "finalizationEpoch": 224, "finalizationPoint": 44, "height": "160560",
  "hash": "52D3B01920C695B9194FABD869804E4D2A18D9B5509E47B2C70B0E6C3E275E33"}}"""
METADATA = """{"data": [
 {"metadataEntry": {"version": 1,
  "compositeHash": "19EB6F74E30C1016A826938957F1746C794DB14DC7763DB2C74F30271DCC0F2B",
  "sourceAddress": "982982FFFC666CB09288FCB4B8F820E8B0B5F77093075AEF",
  "targetAddress": "982982FFFC666CB09288FCB4B8F820E8B0B5F77093075AEF",
  "scopedMetadataKey": "DF16D14E750D0048", "targetId": "0000000000000000",
  "metadataType": 0, "valueSize": 6, "value": "616161616161"},
  "id": "636CF1F45ED31320FDD28430"}],
 "pagination": {"pageNumber": 1, "pageSize": 20}}"""
MULTISIG = """{"multisig": {"version": 1,
 "accountAddress": "987FBEA14740E5F97C72BD46B9C73860496A1B82923B02E8",
 "minApproval": 3, "minRemoval": 3, "cosignatoryAddresses": [
  "984F5658989C315F34E5BFC72834E2D3C13D7236334DC6F7",
  "989C37EBE03C38A48A8AC0BD37EBED48D0D6BECDF96527A6",
  "98B01F1BBBA35D6A727B3FBE8F4FFB423E175615F9CADA69",
  "98CA6BD25936FAAEFBE124729E0541EEC0DA080CCC8D3FFB"],
 "multisigAddresses": []}}"""
UNUSED_ACCOUNT = """{"id": "669B74CB84E82060AFB8C21B", "account": {"version": 1,
 "address": "98DB7D112950B62E41C6A46195C25E5257000A66B632554E",
 "addressHeight": "1591329",
 "publicKey": "0000000000000000000000000000000000000000000000000000000000000000",
 "publicKeyHeight": "0", "accountType": 0, "supplementalPublicKeys": {},
 "activityBuckets": [],
 "mosaics": [{"id": "72C0212E67A08BCE", "amount": "1000000000"}],
 "importance": "0", "importanceHeight": "0"}}"""
HARVESTER = """{"id": "605B16AFF78BBA71D7A922E6", "account": {
 "address": "689314BECD63248727B9E3A40BEA8E66AC0FD60C2826FFA8",
 "importance": "1031750429291", "importanceHeight": "95040"}}"""
NODE = """{"version": 16777472,
 "publicKey": "3BD4CECB2C82DE809CE6AD285ECF8687B4594EAE7D9220C2064E56812977EAE6",
 "networkGenerationHashSeed":
  "3B5E1FA6445653C971A50687E75E6D09FB30481055E3990C84B25E9222DC1155",
 "roles": 2, "port": 7900, "networkIdentifier": 152, "host": "", "friendlyName": "",
 "nodePublicKey": "9B881DB30E7FDF0C21F0487EC24F5F6323B0C15001E1918D30BCCC6BA35701E7"}"""

BLOCK = """{"block": {"version": 1, "network": 152, "type": 33091, "height": "3538061",
  "timestamp": "116446812553", "difficulty": "10025721356315", "feeMultiplier": 0},
 "meta": {
  "hash": "82E7E10FCB0818A1581192EFE9D1544DFF0A91320D52469FB4238072D7B6A96A",
  "generationHash":
   "C8E2736D88935DEC737496B426F7B7C93BF221A46078283E0AB9A968EDBD73F6"}}"""


def account(address):
    return bytes.fromhex(address)[1:21]


def test_the_height_and_the_finalised_block_are_read():
    final = "52D3B01920C695B9194FABD869804E4D2A18D9B5509E47B2C70B0E6C3E275E33"

    assert REST.read_head(CHAIN.encode()) == Head(161138, 160560, bytes.fromhex(final))


def test_a_page_of_metadata_is_read():
    page = REST.read_page(METADATA.encode())
    owner = account("982982FFFC666CB09288FCB4B8F820E8B0B5F77093075AEF")

    assert (page.number, page.size, page.total) == (1, 20, None)
    (entry,) = page.entries
    assert (entry.owner, entry.target) == (owner, owner)
    assert entry.key == 0xDF16D14E750D0048
    assert entry.value == b"aaaaaa"
    assert entry.cursor == "636CF1F45ED31320FDD28430"


def test_a_multisig_account_is_read():
    asked = account("987FBEA14740E5F97C72BD46B9C73860496A1B82923B02E8")

    assert REST.read_multisig(MULTISIG.encode(), asked) == Multisig(3, 4)


def test_an_account_without_and_one_with_importance_are_read():
    unused = account("98DB7D112950B62E41C6A46195C25E5257000A66B632554E")
    harvester = account("689314BECD63248727B9E3A40BEA8E66AC0FD60C2826FFA8")
    main = SymbolRest(MAIN_NETWORK)

    assert REST.read_importance(UNUSED_ACCOUNT.encode(), unused) == Importance(0, 0)
    assert main.read_importance(HARVESTER.encode(), harvester) == Importance(
        1_031_750_429_291, 95_040
    )


def test_the_network_is_known_by_its_generation_hash_seed():
    assert REST.read_identity(NODE.encode()).hex().startswith("3b5e1fa6")
    with pytest.raises(DecodeError, match="network 152, not of 104"):
        SymbolRest(MAIN_NETWORK).read_identity(NODE.encode())


def test_paths_name_accounts_as_people_write_them():
    text = REST.addresses.text(ACCOUNT)

    assert REST.account(ACCOUNT) == f"/accounts/{text}"
    assert REST.multisig(ACCOUNT) == f"/account/{text}/multisig"
    assert REST.block(1500) == "/blocks/1500"
    assert REST.of_account(ACCOUNT, ACCOUNT) == {
        "sourceAddress": text,
        "targetAddress": text,
    }


READERS = {
    "identity": (REST.read_identity, NODE),
    "page": (REST.read_page, METADATA),
    "head": (REST.read_head, CHAIN),
    "importance": (
        lambda body: REST.read_importance(
            body, account("98DB7D112950B62E41C6A46195C25E5257000A66B632554E")
        ),
        UNUSED_ACCOUNT,
    ),
    "multisig": (
        lambda body: REST.read_multisig(
            body, account("987FBEA14740E5F97C72BD46B9C73860496A1B82923B02E8")
        ),
        MULTISIG,
    ),
    "block": (lambda body: REST.read_block(body, 3_538_061), BLOCK),
}
EACH = pytest.mark.parametrize("name", READERS)


@EACH
@given(body=st.binary(max_size=300))
def test_any_bytes_are_refused_or_read(name, body):
    read, _ = READERS[name]
    try:
        read(body)
    except DecodeError:
        return


JUNK: list[object] = [
    None,
    True,
    -1,
    1.5,
    2**64,
    "",
    "x",
    "00",
    "-1",
    "1e3",
    " 1",
    [],
    {},
    [[]],
    "é",
]


def places(value, path=()):
    """Every place in a JSON value."""
    yield path
    children = {}
    if isinstance(value, dict):
        children = value
    elif isinstance(value, list):
        children = dict(enumerate(value))
    for key, child in children.items():
        yield from places(child, (*path, key))


def with_junk(value, path, junk):
    if not path:
        return junk
    changed = copy.deepcopy(value)
    parent = changed
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = junk
    return changed


@EACH
def test_junk_in_any_place_is_refused_or_makes_no_difference(name):
    read, text = READERS[name]
    answer = json.loads(text)
    expected = read(text.encode())

    for path in places(answer):
        for junk in JUNK:
            body = json.dumps(with_junk(answer, path, junk)).encode()
            try:
                found = read(body)
            except DecodeError:
                continue
            assert found == expected or path[-1] in HARMLESS, (path, junk)


HARMLESS = {"value", "pageSize", "cosignatoryAddresses", "data"}
"""Places where some of the junk is a proper, different value."""


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"targetId": "0000000000000001"}, "target id"),
        ({"metadataType": 1}, "not a _Page"),
        ({"value": "6"}, "not a _Page"),
        ({"value": "ff"}, "not a _Page"),
        ({"value": "00" * 1025}, "not a _Page"),
        ({"sourceAddress": "98" + "00" * 23}, "checksum"),
        (
            {"targetAddress": "689314BECD63248727B9E3A40BEA8E66AC0FD60C2826FFA8"},
            "network 104",
        ),
    ],
)
def test_an_entry_that_cannot_be_is_refused(change, text):
    answer = json.loads(METADATA)
    answer["data"][0]["metadataEntry"].update(change)

    with pytest.raises(DecodeError, match=text):
        REST.read_page(json.dumps(answer).encode())


def test_the_block_that_was_asked_for_is_read(symbol):
    body = json.dumps(symbol.gateway.body("/blocks/1500")).encode()

    block = REST.read_block(body, 1500)

    assert block.height == 1500
    assert block.generation_hash.hex() == (
        symbol.gateway.body("/blocks/1500")["meta"]["generationHash"].lower()
    )
    with pytest.raises(DecodeError, match="block 1500 instead of 1501"):
        REST.read_block(body, 1501)


def test_a_number_above_64_bits_is_refused():
    body = CHAIN.replace("161138", str(2**64)).encode()

    with pytest.raises(DecodeError, match="64 bits"):
        REST.read_head(body)


def test_another_account_than_was_asked_for_is_refused():
    for read, body in (
        (REST.read_importance, UNUSED_ACCOUNT),
        (REST.read_multisig, MULTISIG),
    ):
        with pytest.raises(DecodeError, match="than was asked for"):
            read(body.encode(), ACCOUNT)

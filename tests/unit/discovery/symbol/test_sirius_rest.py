import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.symbol.answers import Block, Head, Importance, Multisig
from discovery.symbol.sirius_rest import TEST_NETWORK, SiriusRest
from psp.errors import DecodeError

REST = SiriusRest(0x90)
"""The network of the SDKs' recorded answers."""
KEY = bytes.fromhex("7A562888C7AE1E082579951D6D93BF931DE979360ACCA4C4085D754E5E122808")

# Recorded by Sirius' own SDKs: for Python (account, multisig, height), for Go (block,
# early account).
ACCOUNT = """{"meta": {}, "account": {
 "address": "90F6C07A4CF9AD1BF0644D419218B72FCDF1EFCC07A6C9202C",
 "addressHeight": [1, 0],
 "publicKey": "7A562888C7AE1E082579951D6D93BF931DE979360ACCA4C4085D754E5E122808",
 "publicKeyHeight": [1, 0], "mosaics": [], "accountType": 0, "linkedAccountKey": "",
 "snapshots": []}}"""
EARLY_ACCOUNT = """{"meta": {}, "account": {
 "address": "901CD938C5CE4ED22031C5CE398E618EB1205D5344E2539B58",
 "addressHeight": [1, 0],
 "publicKey": "F3824119C9F8B9E81007CAA0EDD44F098458F14503D7C8D7C24F60AF11266E57",
 "publicKeyHeight": [0, 0], "mosaics": [],
 "importance": [409090909, 0], "importanceHeight": [1, 0]}}"""
MULTISIG = """{"multisig": {
 "account": "9B1D7F4F4C2A0471EDBC78F95DE54B6E432887FC0C6E4CECA800089DAE2A4044",
 "accountAddress": "90340570C4AC817E35A6FA8FC21917B34EC31196A7D33E469D",
 "minApproval": 2, "minRemoval": 2, "cosignatories": [
  "6CB4CAAACCA7081C9E1471DF8F6512ABC99FEB86EFEE7862ED7259397C5FDBDD",
  "C5C55181284607954E56CD46DE85F4F3EF4CC713CC2B95000FA741998558D268",
  "CAE725538EBEBF7778257A442B4A48E116636580ED630AD5CB8D668DFF52A1A7"],
 "multisigAccounts": []}}"""
BLOCK = """{"meta": {
  "hash": "83FB2550BDB72B6F507BDBDE90C265D4A324DF9F1EFEFD9F7BD0FDF6391C30D8",
  "generationHash": "8EC49BBADB3B2FD90810DB9BDACF1FDE999295C594B5FD4B584A0A72F5AAFA59",
  "totalFee": [0, 0], "subCacheMerkleRoots": [], "numTransactions": 25},
 "block": {
  "signer": "321DE652C4D3362FC2DDF7800F6582F4A10CFEA134B81F8AB6E4BE78BBA4D18E",
  "version": -1879048189, "type": 32835, "height": [1, 0], "timestamp": [0, 0],
  "difficulty": [276447232, 23283], "feeMultiplier": 0}}"""


def test_an_account_has_no_importance():
    assert REST.read_importance(ACCOUNT.encode(), KEY) is None


def test_an_account_of_an_early_gateway_has_one():
    key = "F3824119C9F8B9E81007CAA0EDD44F098458F14503D7C8D7C24F60AF11266E57"

    found = REST.read_importance(EARLY_ACCOUNT.encode(), bytes.fromhex(key))

    assert found == Importance(409_090_909, 1)


def test_a_multisig_account_is_read():
    asked = bytes.fromhex("90340570C4AC817E35A6FA8FC21917B34EC31196A7D33E469D")[1:21]

    assert REST.read_multisig(MULTISIG.encode(), asked) == Multisig(2, 3)


def test_a_block_is_read_and_the_first_one_names_the_network():
    generation = bytes.fromhex(
        "8EC49BBADB3B2FD90810DB9BDACF1FDE999295C594B5FD4B584A0A72F5AAFA59"
    )

    block = REST.read_block(BLOCK.encode(), 1)

    assert block == Block(1, block.hash, generation)
    assert REST.read_identity(BLOCK.encode()) == generation
    assert REST.identity() == "/block/1"
    with pytest.raises(DecodeError, match="block 1 instead of 2"):
        REST.read_block(BLOCK.encode(), 2)


def test_what_can_no_longer_be_taken_back_is_final():
    assert REST.read_head(b'{"height": [53577, 0]}') == Head(53_577, 53_217, None)
    assert REST.read_head(b'{"height": [5, 1]}').height == 2**32 + 5
    assert REST.read_head(b'{"height": [12, 0]}').final_height == 0


def test_paths_name_targets_by_their_keys():
    assert REST.account(KEY) == "/account/" + KEY.hex().upper()
    assert REST.entries() == "/metadata_v2"
    assert REST.of_account(bytes(20), KEY)["targetKey"] == KEY.hex().upper()


def test_a_page_of_metadata_is_read(sirius):
    rest = SiriusRest(TEST_NETWORK)
    body = sirius.gateway.body("/metadata_v2", pageNumber="2")

    page = rest.read_page(json.dumps(body).encode())

    assert (page.number, page.size, page.total) == (2, 10, 11)
    (entry,) = page.entries
    assert entry.value == b"hello"
    assert entry.cursor == ""


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"targetId": [1, 0]}, "target id"),
        ({"scopedMetadataKey": [2**32, 0]}, "not a _Page"),
        ({"scopedMetadataKey": [1]}, "not a _Page"),
        ({"scopedMetadataKey": "83C991368522889A"}, "not a _Page"),
        ({"metadataType": 2}, "not a _Page"),
        ({"value": "00" * 1025}, "not a _Page"),
        ({"targetKey": "00"}, "not a _Page"),
        (
            {"sourceAddress": "901CD938C5CE4ED22031C5CE398E618EB1205D5344E2539B58"},
            "network 144, not of 168",
        ),
    ],
)
def test_an_entry_that_cannot_be_is_refused(sirius, change, text):
    body = sirius.gateway.body("/metadata_v2", pageNumber="2")
    body["data"][0]["metadataEntry"].update(change)

    with pytest.raises(DecodeError, match=text):
        SiriusRest(TEST_NETWORK).read_page(json.dumps(body).encode())


@pytest.mark.parametrize(
    "read",
    [
        REST.read_identity,
        REST.read_page,
        REST.read_head,
        lambda body: REST.read_block(body, 1),
        lambda body: REST.read_importance(body, KEY),
        lambda body: REST.read_multisig(body, bytes(20)),
    ],
    ids=["identity", "page", "head", "block", "account", "multisig"],
)
@given(body=st.binary(max_size=300))
def test_any_bytes_are_refused_or_read(read, body):
    try:
        read(body)
    except DecodeError:
        return


def test_another_account_than_was_asked_for_is_refused():
    with pytest.raises(DecodeError, match="another account"):
        REST.read_importance(ACCOUNT.encode(), bytes(32))
    with pytest.raises(DecodeError, match="another multisig account"):
        REST.read_multisig(MULTISIG.encode(), bytes(20))


def test_an_account_of_another_network_is_refused():
    with pytest.raises(DecodeError, match="network 144, not of 168"):
        SiriusRest(TEST_NETWORK).read_importance(ACCOUNT.encode(), KEY)

"""What endpoints answer (discovery/transactions/answers.py)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.transactions import answers
from discovery.transactions.answers import Head, Log, Receipt, SendAnswer
from psp.errors import DecodeError

HASH = b"h" * 32
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text()
    | st.from_regex(r"\A0x[0-9a-f]*\Z"),
    lambda inner: st.lists(inner) | st.dictionaries(
        st.sampled_from(["number", "timestamp", "logs", "status", "data", "topics"]),
        inner),
    max_leaves=12,
)  # fmt: skip


def mined(**changes):
    return {
        "transactionHash": "0x" + HASH.hex(),
        "blockNumber": "0x10",
        "gasUsed": "0x5208",
        "effectiveGasPrice": "0x3b9aca00",
        "status": "0x1",
        "contractAddress": None,
        "logs": [
            {
                "address": "0x" + "aa" * 20,
                "topics": ["0x" + "bb" * 32],
                "data": "0x01",
            }
        ],
        **changes,
    }


def test_receipt_is_read():
    receipt = answers.receipt(mined(), HASH)

    log = Log(b"\xaa" * 20, (b"\xbb" * 32,), b"\x01")
    assert receipt == Receipt(HASH, 16, 21_000, 10**9, is_success=True, logs=(log,))
    assert receipt.cost == 21_000 * 10**9
    assert answers.receipt(None, HASH) is None


def test_receipt_of_a_deployment_names_the_contract():
    receipt = answers.receipt(mined(contractAddress="0x" + "cc" * 20), HASH)

    assert receipt.contract == b"\xcc" * 20


@pytest.mark.parametrize(
    "change",
    [
        {"transactionHash": "0x" + "00" * 32},
        {"status": None},
        {"gasUsed": 21_000},
        {"logs": None},
        {"logs": [{}]},
        {"logs": [[]]},
        {"contractAddress": "0xcc"},
    ],
)
def test_receipt_with_a_fault_is_refused(change):
    with pytest.raises(DecodeError):
        answers.receipt(mined(**change), HASH)


def test_head_is_read():
    block = {
        "number": "0x1",
        "timestamp": "0x2",
        "baseFeePerGas": "0x3",
        "gasLimit": "0x4",
    }

    assert answers.head(block) == Head(1, 2, 3, 4)
    with pytest.raises(DecodeError):
        answers.head({**block, "baseFeePerGas": None})


@pytest.mark.parametrize(
    "text", ["", "0x", "12", "0x1_0", "0x-1", "0x 1", "0xg", "0x" + "1" * 65, 1, None]
)
def test_what_is_no_quantity_is_refused(text):
    with pytest.raises(DecodeError):
        answers.quantity(text)


@pytest.mark.parametrize("text", ["", "00", "0x0", "0x0g", "0x00 00", "0x0000", None])
def test_what_is_not_one_byte_is_refused(text):
    with pytest.raises(DecodeError):
        answers.octets(text, 1)


@given(JSON)
def test_any_json_is_read_or_refused(value):
    for read in (
        answers.quantity,
        answers.octets,
        answers.head,
        lambda x: answers.receipt(x, HASH),
        answers.revert_data,
    ):
        try:
            read(value)
        except DecodeError:
            continue


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("already known", SendAnswer.TAKEN),
        ("transaction already imported", SendAnswer.TAKEN),
        ("AlreadyKnown", SendAnswer.TAKEN),
        ("Known transaction", SendAnswer.TAKEN),
        ("nonce too low: next nonce 5, tx nonce 4", SendAnswer.NONCE_USED),
        ("Transaction nonce is too low. Try incrementing.", SendAnswer.NONCE_USED),
        ("OldNonce", SendAnswer.NONCE_USED),
        ("replacement transaction underpriced", SendAnswer.UNDERPRICED),
        ("transaction underpriced: tip needed 1", SendAnswer.UNDERPRICED),
        ("could not replace existing tx", SendAnswer.UNDERPRICED),
        ("max fee per gas less than block base fee", SendAnswer.UNDERPRICED),
        ("insufficient funds for gas * price + value", SendAnswer.NO_FUNDS),
        ("Insufficient funds for gas * price + value", SendAnswer.NO_FUNDS),
        ("intrinsic gas too low", SendAnswer.REFUSED),
        ("exceeds block gas limit", SendAnswer.REFUSED),
        ("", SendAnswer.REFUSED),
    ],
)
def test_words_of_endpoints_are_understood(text, answer):
    assert answers.send_answer(text) is answer


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ("0x08c379a0", b"\x08\xc3\x79\xa0"),
        ({"data": "0x01"}, b"\x01"),
        ("Reverted 0x02", b"\x02"),
        ("Reverted", b""),
        ("0x0", b""),
        (None, b""),
        (7, b""),
    ],
)
def test_revert_data_is_found_in_its_several_forms(data, found):
    assert answers.revert_data(data) == found


def test_refusals_of_contracts_are_told_from_other_errors():
    assert answers.is_revert(3, "")
    assert answers.is_revert(-32000, "execution reverted")
    assert not answers.is_revert(-32000, "header not found")

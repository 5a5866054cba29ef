"""Block headers, against those of another implementation."""

import pytest
from eth.rlp.headers import BlockHeader as FrontierHeader
from eth.vm.forks.cancun.blocks import CancunBlockHeader
from eth.vm.forks.london.blocks import LondonBlockHeader
from eth.vm.forks.prague.blocks import PragueBlockHeader
from eth.vm.forks.shanghai.blocks import ShanghaiBlockHeader
from hypothesis import given
from hypothesis import strategies as st

from psp.directory.chain.header import MAX_EXTRA_BYTES, BlockHeader
from psp.errors import DecodeError

GENESIS = {
    # Ethereum's first block.
    "hash": "0xd4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3",
    "parentHash": "0x" + "00" * 32,
    "sha3Uncles": "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347",
    "miner": "0x" + "00" * 20,
    "stateRoot": "0xd7f8974fb5ac78d9ac099b9ad5018bedc2ce0a72dad1827a1709da30580f0544",
    "transactionsRoot": "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421",
    "receiptsRoot": "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421",
    "logsBloom": "0x" + "00" * 256,
    "difficulty": "0x400000000",
    "number": "0x0",
    "gasLimit": "0x1388",
    "gasUsed": "0x0",
    "timestamp": "0x0",
    "extraData": "0x11bbe8db4e347b4e8c937c1c8370e4b5ed33adb3db69cbdb7a38e1e50b1b82fa",
    "mixHash": "0x" + "00" * 32,
    "nonce": "0x0000000000000042",
    "size": "0x21c",
    "transactions": [],
}

NAMES = {
    "uncles_hash": "sha3Uncles",
    "coinbase": "miner",
    "transaction_root": "transactionsRoot",
    "receipt_root": "receiptsRoot",
    "bloom": "logsBloom",
    "block_number": "number",
}
FORKS = [
    FrontierHeader,
    LondonBlockHeader,
    ShanghaiBlockHeader,
    CancunBlockHeader,
    PragueBlockHeader,
]


def camel(name):
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def as_json(header):
    block = {"hash": "0x" + header.hash.hex()}
    for field, _ in header._meta.fields:
        value = getattr(header, field)
        if field == "bloom":
            value = value.to_bytes(256)
        text = hex(value) if isinstance(value, int) else "0x" + value.hex()
        block[NAMES.get(field, camel(field))] = text
    return block


def made(fork, **changes):
    fields = {
        "difficulty": 0,
        "block_number": 7_000_000,
        "gas_limit": 36_000_000,
        "timestamp": 1_790_000_000,
        "parent_hash": b"p" * 32,
        "state_root": b"s" * 32,
        "mix_hash": b"r" * 32,
        "bloom": 1 << 2047,
        "extra_data": b"made by a test",
        "nonce": bytes(8),
    }
    if fork is not FrontierHeader:
        fields["base_fee_per_gas"] = 7 << 70
    return fork(**{**fields, **changes})


def test_the_first_block_of_ethereum():
    header = BlockHeader.from_json(GENESIS)

    assert header.hash.hex() == GENESIS["hash"][2:]
    assert header.state_root.hex() == GENESIS["stateRoot"][2:]
    assert (header.number, header.timestamp) == (0, 0)


@pytest.mark.parametrize("fork", FORKS)
def test_headers_of_every_fork(fork):
    header = BlockHeader.from_json(as_json(made(fork)))

    assert header == BlockHeader(
        number=7_000_000,
        hash=made(fork).hash,
        parent_hash=b"p" * 32,
        state_root=b"s" * 32,
        timestamp=1_790_000_000,
        prevrandao=b"r" * 32,
    )


def test_fields_of_later_forks_may_be_null():
    block = as_json(made(LondonBlockHeader))

    header = BlockHeader.from_json(block | {"withdrawalsRoot": None})

    assert header.number == 7_000_000


@pytest.mark.parametrize("name", as_json(made(PragueBlockHeader)))
def test_every_field_counts(name):
    block = as_json(made(PragueBlockHeader))
    digits = block[name]

    for value in (digits[:-1] + ("1" if digits[-1] != "1" else "2"), None, 5, "0x"):
        with pytest.raises(DecodeError):
            BlockHeader.from_json(block | {name: value})


def test_a_field_that_we_do_not_know_shows_in_the_hash():
    with pytest.raises(DecodeError, match="does not hash"):
        BlockHeader.from_json(
            as_json(made(PragueBlockHeader)) | {"hash": "0x" + "11" * 32}
        )


def test_later_fields_come_in_order():
    block = as_json(made(PragueBlockHeader))
    del block["withdrawalsRoot"]

    with pytest.raises(DecodeError, match="before another"):
        BlockHeader.from_json(block)


def test_long_extra_data_are_taken_up_to_a_limit():
    fits = as_json(made(LondonBlockHeader, extra_data=bytes(MAX_EXTRA_BYTES)))
    longer = as_json(made(LondonBlockHeader, extra_data=bytes(MAX_EXTRA_BYTES + 1)))

    assert BlockHeader.from_json(fits).number == 7_000_000
    with pytest.raises(DecodeError, match="digits"):
        BlockHeader.from_json(longer)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(sorted(GENESIS)), inner),
    )
)  # fmt: skip
def test_any_json_is_a_header_or_a_decode_error(value):
    with pytest.raises(DecodeError):
        BlockHeader.from_json(value)

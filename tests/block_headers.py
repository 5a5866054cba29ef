"""The fields of a block's header, for tests: written down apart from what they test."""

FIELDS = (
    "parentHash",
    "sha3Uncles",
    "miner",
    "stateRoot",
    "transactionsRoot",
    "receiptsRoot",
    "logsBloom",
    "difficulty",
    "number",
    "gasLimit",
    "gasUsed",
    "timestamp",
    "extraData",
    "mixHash",
    "nonce",
    "baseFeePerGas",
    "withdrawalsRoot",
    "blobGasUsed",
    "excessBlobGas",
    "parentBeaconBlockRoot",
    "requestsHash",
)
"""In the order in which they are hashed, since Prague (EIP-7685)."""

NUMBERS = {
    "difficulty",
    "number",
    "gasLimit",
    "gasUsed",
    "timestamp",
    "baseFeePerGas",
    "blobGasUsed",
    "excessBlobGas",
}


def field(block, name):
    """The bytes that stand for a field in the header's RLP."""
    value = block[name]
    if name in NUMBERS:
        number = int(value, 16)
        return number.to_bytes((number.bit_length() + 7) // 8)
    return bytes.fromhex(value[2:])

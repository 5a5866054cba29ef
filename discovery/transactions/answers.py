"""What endpoints answer, read strictly: any JSON gives a value or a DecodeError.

What `SendAnswer` an error means is known from its text only: endpoints agree on no codes.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from psp.directory.chain import json_values
from psp.errors import DecodeError

_MAX_BYTES = 1 << 20
"""What an endpoint's whole answer may have."""
_MAX_LOGS = 256
"""Of one of our transactions; a nomination of 64 nodes writes 65."""


class SendAnswer(enum.Enum):
    """What an endpoint made of a transaction that was sent to it."""

    TAKEN = enum.auto()
    """It passes it on, or had it already."""
    NONCE_USED = enum.auto()
    """A transaction with this nonce is mined: perhaps this one."""
    UNDERPRICED = enum.auto()
    """It wants higher fees, or holds one with this nonce that offers more."""
    NO_FUNDS = enum.auto()
    """The account cannot pay for it."""
    REFUSED = enum.auto()
    """Anything else."""


_TEXTS = (
    (SendAnswer.TAKEN, ("already known", "already imported", "known transaction")),
    (SendAnswer.TAKEN, ("alreadyknown", "already exists", "already in mempool")),
    (SendAnswer.NONCE_USED, ("nonce too low", "nonce is too low", "oldnonce")),
    (SendAnswer.NONCE_USED, ("nonce_too_low", "invalid nonce; got")),
    (SendAnswer.UNDERPRICED, ("underpriced", "too low to replace", "feetoolow")),
    (SendAnswer.UNDERPRICED, ("could not replace", "replacementnotallowed")),
    (SendAnswer.UNDERPRICED, ("less than block base fee", "fee too low")),
    (SendAnswer.UNDERPRICED, ("below block base fee", "max fee per gas less")),
    (SendAnswer.NO_FUNDS, ("insufficient funds", "insufficientfunds")),
    (SendAnswer.NO_FUNDS, ("insufficient balance", "upfront cost exceeds")),
)
"""Of geth, reth, erigon, nethermind, besu and anvil, and of our development chain."""


@dataclass(frozen=True, slots=True)
class Head:
    """The newest block of an endpoint.

    Attributes:
        number: Its height.
        timestamp: Its time, Unix seconds: the chain's clock.
        base_fee: What a unit of gas costs in it, wei.
        gas_limit: Of the whole block.
    """

    number: int
    timestamp: int
    base_fee: int
    gas_limit: int


@dataclass(frozen=True, slots=True)
class Log:
    """One event, not decoded.

    Attributes:
        address: The contract, 20 bytes.
        topics: 32 bytes each, the event's name first.
        data: The rest.
    """

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a mined transaction.

    Attributes:
        hash: Of the transaction, 32 bytes.
        block: Height of its block.
        gas_used: Units of gas.
        price: Wei paid per unit.
        is_success: False if the contract refused.
        logs: What the contracts reported.
        contract: Address of the new contract, None if it made none.
    """

    hash: bytes
    block: int
    gas_used: int
    price: int
    is_success: bool
    logs: tuple[Log, ...] = ()
    contract: bytes | None = None

    @property
    def cost(self) -> int:
        """Fees paid, wei."""
        return self.gas_used * self.price


def quantity(value: object) -> int:
    """Read a number below 2**256."""
    return json_values.quantity(value, 256)


def octets(value: object, size: int | None = None) -> bytes:
    """Read bytes, exactly ``size`` of them if that is given."""
    if size is None:
        return json_values.bytes_up_to(value, _MAX_BYTES)
    return json_values.fixed_bytes(value, size)


def head(value: object) -> Head:
    """Read a block without its transactions."""
    block = _mapping(value)
    return Head(
        number=quantity(block.get("number")),
        timestamp=quantity(block.get("timestamp")),
        base_fee=quantity(block.get("baseFeePerGas")),
        gas_limit=quantity(block.get("gasLimit")),
    )


def receipt(value: object, transaction: bytes) -> Receipt | None:
    """Read the receipt of a transaction; None as long as it is not mined."""
    if value is None:
        return None
    fields = _mapping(value)
    if octets(fields.get("transactionHash"), 32) != transaction:
        raise DecodeError("a receipt of another transaction")
    made = fields.get("contractAddress")
    return Receipt(
        hash=transaction,
        block=quantity(fields.get("blockNumber")),
        gas_used=quantity(fields.get("gasUsed")),
        price=quantity(fields.get("effectiveGasPrice")),
        is_success=quantity(fields.get("status")) == 1,
        logs=tuple(map(_log, _items(fields.get("logs"), _MAX_LOGS))),
        contract=None if made is None else octets(made, 20),
    )


def send_answer(message: str) -> SendAnswer:
    """Return what the text of an error on sending means."""
    text = message.lower()
    for answer, signs in _TEXTS:
        if any(sign in text for sign in signs):
            return answer
    return SendAnswer.REFUSED


def revert_data(data: object) -> bytes:
    """Return what a contract gave with a refusal, in the several forms of endpoints."""
    if isinstance(data, Mapping):
        data = data.get("data")
    if isinstance(data, str):
        # Some put words before it: "Reverted 0x08c379a0…".
        try:
            return octets(data[data.find("0x") :])
        except DecodeError:
            return b""
    return b""


def is_revert(code: int, message: str) -> bool:
    """Tell whether an error of ``eth_call`` says that the contract refused."""
    return code == 3 or "revert" in message.lower()


def _log(value: object) -> Log:
    fields = _mapping(value)
    return Log(
        octets(fields.get("address"), 20),
        tuple(octets(topic, 32) for topic in _items(fields.get("topics"), 4)),
        octets(fields.get("data")),
    )


def _mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise DecodeError("not an object")
    return value


def _items(value: object, limit: int) -> list[object]:
    if not isinstance(value, list) or len(value) > limit:
        raise DecodeError(f"not a list of at most {limit}")
    return value

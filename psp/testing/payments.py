"""A chain in memory that knows one account: nonces, fees, money, and nothing else.

::

    chain = PaymentChain(wallet.address)
    sender = Sender(wallet, Endpoints([chain.endpoint()], chain.chain_id), path)
    asyncio.create_task(chain.mine_for_ever())

It takes transactions by the rules of real endpoints, in their words. Contracts are not
run: a call succeeds unless its data is in ``refused``. Every endpoint can be dead, lag
behind, lie, or end the caller's process.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from psp.crypto.keccak import keccak256
from psp.runtime.rpc import RpcError, RpcUnavailableError
from psp.wire import rlp

GAS = 50_000
"""What every call takes, but payments."""
_TRANSFER_GAS = 21_000
_ERROR_SELECTOR = "0x08c379a0"

Hook: TypeAlias = Callable[[str], None]


class ProcessKilled(BaseException):
    """The process ends here, as with SIGKILL: nothing may catch it."""


@dataclass(frozen=True, slots=True)
class Payment:
    """A transaction as the chain sees it.

    Attributes:
        hash: 32 bytes.
        raw: Its bytes.
        nonce: Of the account.
        tip: Wei per gas.
        max_fee: Wei per gas.
        gas: Gas limit.
        to: 20 bytes, empty to create a contract.
        value: Wei.
        data: Input.
    """

    hash: bytes
    raw: bytes
    nonce: int
    tip: int
    max_fee: int
    gas: int
    to: bytes
    value: int
    data: bytes

    @property
    def used(self) -> int:
        """Units of gas it takes."""
        return GAS if self.data else _TRANSFER_GAS


@dataclass(slots=True)
class Block:
    """One block.

    Attributes:
        number: Height.
        timestamp: Unix seconds.
        base_fee: Wei per gas.
        payments: What it holds.
    """

    number: int
    timestamp: int
    base_fee: int
    payments: list[Payment] = field(default_factory=list)


class PaymentChain:
    """The chain, the same for all its endpoints.

    Attributes:
        chain_id: Its id.
        balance: Of the account, wei.
        base_fee: Of the next blocks, wei per gas.
        floor: Least ``max_fee`` taken into the pool.
        blocks: All, the first is block 0.
        pool: What waits, by nonce.
        refused: Input data of calls that the contract refuses, with its reason.
    """

    def __init__(self, address: bytes, *, chain_id: int = 1337) -> None:
        self.address = address
        self.chain_id = chain_id
        self.balance = 10**18
        self.base_fee = 10**9
        self.floor = 0
        self.blocks = [Block(0, 1_700_000_000, self.base_fee)]
        self.pool: dict[int, Payment] = {}
        self.refused: dict[bytes, str] = {}

    @property
    def mined(self) -> list[Payment]:
        """Everything mined, in order."""
        return [payment for block in self.blocks for payment in block.payments]

    def endpoint(self) -> "PaymentEndpoint":
        """Return one more endpoint."""
        return PaymentEndpoint(self)

    def take(self, raw: bytes) -> bytes:
        """Take a transaction into the pool; return its hash."""
        payment = _decode(raw, self.chain_id)
        if payment.nonce < len(self.mined):
            raise RpcError(-32000, "nonce too low")
        other = self.pool.get(payment.nonce)
        if other is not None:
            _check_replacement(payment, other)
        if payment.max_fee < self.floor:
            raise RpcError(-32000, "transaction underpriced")
        if payment.value + payment.gas * payment.max_fee > self.balance:
            raise RpcError(-32000, "insufficient funds for gas * price + value")
        self.pool[payment.nonce] = payment
        return payment.hash

    def mine(self) -> Block:
        """Add a block with everything from the pool that can be in it."""
        last = self.blocks[-1]
        block = Block(last.number + 1, last.timestamp + 12, self.base_fee)
        nonce = len(self.mined)
        while nonce in self.pool and self.pool[nonce].max_fee >= self.base_fee:
            payment = self.pool.pop(nonce)
            block.payments.append(payment)
            paid = payment.used * self.price(payment, block)
            moved = 0 if payment.data in self.refused else payment.value
            self.balance -= paid + moved
            nonce += 1
        self.blocks.append(block)
        return block

    def drop_block(self) -> None:
        """Undo the newest block; nobody remembers what was in it."""
        for payment in self.blocks.pop().payments:
            self.balance += payment.value

    async def mine_for_ever(self, every: float = 12.0) -> None:
        """Add a block now and then."""
        while True:
            await asyncio.sleep(every)
            self.mine()

    @staticmethod
    def price(payment: Payment, block: Block) -> int:
        """Return what a payment pays per gas in a block."""
        return min(payment.max_fee, block.base_fee + payment.tip)


class PaymentEndpoint:
    """One endpoint, which may misbehave.

    Attributes:
        is_dead: It never answers.
        lag: Blocks it is behind; it forgets what waits, too.
        answers: What it says instead of the truth, by method; a function is called
            with the parameters.
        before: Called with each method before it is done, and
        after: when it is done; they may raise `ProcessKilled`.
        asked: Methods, in order.
    """

    def __init__(self, chain: PaymentChain) -> None:
        self.chain = chain
        self.is_dead = False
        self.lag = 0
        self.answers: dict[str, Any] = {}
        self.before: Hook = lambda _: None
        self.after: Hook = lambda _: None
        self.asked: list[str] = []

    async def call(self, method: str, *params: Any) -> object:  # noqa: ANN401
        """Answer as an endpoint does."""
        self.asked.append(method)
        self.before(method)
        await asyncio.sleep(0)
        if self.is_dead:
            raise RpcUnavailableError("endpoint: no answer within 5 s")
        if method in self.answers:
            said = self.answers[method]
            return said(*params) if callable(said) else said
        answer: object = getattr(self, f"_{method}")(*params)
        self.after(method)
        return answer

    @property
    def _blocks(self) -> list[Block]:
        return self.chain.blocks[: max(1, len(self.chain.blocks) - self.lag)]

    def _eth_chainId(self) -> str:  # noqa: N802 - the method's name
        return hex(self.chain.chain_id)

    def _eth_getBlockByNumber(self, number: str, _: bool) -> object:  # noqa: FBT001, N802
        block = self._blocks[-1 if number == "latest" else int(number, 16)]
        return {
            "number": hex(block.number),
            "timestamp": hex(block.timestamp),
            "baseFeePerGas": hex(block.base_fee),
            "gasLimit": hex(30_000_000),
            "hash": "0x" + keccak256(bytes([block.number % 256])).hex(),
        }

    def _eth_maxPriorityFeePerGas(self) -> str:  # noqa: N802
        return hex(10**8)

    def _eth_getBalance(self, *_: str) -> str:  # noqa: N802
        return hex(self.chain.balance)

    def _eth_getTransactionCount(self, _: str, when: str) -> str:  # noqa: N802
        count = sum(len(block.payments) for block in self._blocks)
        while when == "pending" and not self.lag and count in self.chain.pool:
            count += 1
        return hex(count)

    def _eth_call(self, request: dict[str, str], *_: str) -> str:
        self._check_call(request)
        return "0x"

    def _eth_estimateGas(self, request: dict[str, str]) -> str:  # noqa: N802
        self._check_call(request)
        return hex(GAS if request["data"] != "0x" else _TRANSFER_GAS)

    def _check_call(self, request: dict[str, str]) -> None:
        reason = self.chain.refused.get(bytes.fromhex(request["data"][2:]))
        if reason is not None:
            text = reason.encode()
            words = (32).to_bytes(32) + len(text).to_bytes(32) + text.ljust(32, b"\0")
            raise RpcError(3, "execution reverted", _ERROR_SELECTOR + words.hex())

    def _eth_sendRawTransaction(self, raw: str) -> str:  # noqa: N802
        return "0x" + self.chain.take(bytes.fromhex(raw[2:])).hex()

    def _eth_getTransactionReceipt(self, transaction: str) -> object:  # noqa: N802
        for block in self._blocks:
            for payment in block.payments:
                if "0x" + payment.hash.hex() == transaction:
                    return {
                        "transactionHash": transaction,
                        "blockNumber": hex(block.number),
                        "gasUsed": hex(payment.used),
                        "effectiveGasPrice": hex(self.chain.price(payment, block)),
                        "status": hex(payment.data not in self.chain.refused),
                        "logs": [],
                        "contractAddress": None,
                    }
        return None


def _decode(raw: bytes, chain_id: int) -> Payment:
    item = rlp.decode(raw[1:])
    assert raw[0] == 2 and isinstance(item, tuple)  # noqa: PT018, S101
    fields = [field for field in item[:8] if isinstance(field, bytes)]
    chain, nonce, tip, max_fee, gas, to, value, data = fields
    if int.from_bytes(chain) != chain_id:
        raise RpcError(-32000, "invalid chain id for signer")
    return Payment(
        keccak256(raw),
        raw,
        int.from_bytes(nonce),
        int.from_bytes(tip),
        int.from_bytes(max_fee),
        int.from_bytes(gas),
        to,
        int.from_bytes(value),
        data,
    )


def _check_replacement(payment: Payment, other: Payment) -> None:
    if payment.hash == other.hash:
        raise RpcError(-32000, "already known")
    if 10 * payment.max_fee < 11 * other.max_fee or 10 * payment.tip < 11 * other.tip:
        raise RpcError(-32000, "replacement transaction underpriced")

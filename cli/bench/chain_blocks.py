"""Blocks made by hand on a development chain, as full as they get.

Transactions are signed by their accounts as anywhere and sent in batches; a thread sends
one batch while the next is signed. Works on both development chains.
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

from discovery.devchain.accounts import dev_account
from discovery.devchain.config import CHAIN_ID
from discovery.devchain.process import ChainError, ChainProcess, post
from discovery.transactions.abi import call_data, decode_result
from discovery.transactions.call import Call
from discovery.transactions.fees import GWEI, Fees
from discovery.transactions.wallet import Transaction, Wallet

BATCH = 240
"""Transactions of a block: registrations of 219,500 gas each fill 88 % of one."""
GAS = 250_000
"""Limit of a usual one; the first registration takes 236,700."""
BIG_GAS = 8_000_000
"""Limit of a deployment, or of a whole election."""

_FEES = Fees(10_000 * GWEI, GWEI)
"""The base fee rises by a tenth with each full block: to the fortyfold in 40 of them."""
_WITHIN = 60.0
"""Seconds for a batch; a block of the embedded chain takes 3."""

Work = Sequence[tuple[Wallet, Call]]


class BlockMaker:
    """Makes the blocks of one chain; use as a context manager.

    Attributes:
        chain: The process.
        deployer: An account with money.
    """

    def __init__(self, chain: ChainProcess) -> None:
        """Take the making of blocks over."""
        self.chain = chain
        self.deployer = Wallet(dev_account("deployer").key)
        address = self.deployer.address
        sent = chain.rpc("eth_getTransactionCount", _hex(address), "latest")
        self._nonces = {address: int(sent, 16)}
        self._thread = ThreadPoolExecutor(1)
        self._sent: Future[None] | None = None
        chain.rpc("evm_setAutomine", *[False])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._thread.shutdown(cancel_futures=True)

    def fund(self, addresses: Iterable[bytes], wei: int) -> None:
        """Give accounts money."""
        asked = [("anvil_setBalance", (_hex(a), hex(wei))) for a in addresses]
        for part in batches(asked, BATCH):
            batch(self.chain.url, part)

    def fill(self, work: Work) -> None:
        """Put transactions into a block, while the caller prepares the next ones."""
        signed = [self._sign(wallet, call, GAS) for wallet, call in work]
        self.finish()
        self._sent = self._thread.submit(self._make, signed)

    def finish(self) -> None:
        """Wait until what was filled is on the chain.

        Raises:
            ChainError: If the chain refused a transaction.
        """
        if self._sent is not None:
            self._sent.result()
            self._sent = None

    def do(self, wallet: Wallet, call: Call) -> dict[str, Any]:
        """Put one transaction into a block of its own; return its receipt.

        Raises:
            ChainError: If the contract refused it.
        """
        self.finish()
        raw = self._sign(wallet, call, BIG_GAS)
        name = self.chain.rpc("eth_sendRawTransaction", _hex(raw))
        self.mine()
        receipt: dict[str, Any] | None
        receipt = self.chain.rpc("eth_getTransactionReceipt", name)
        if receipt is None or receipt["status"] != "0x1":
            raise ChainError(f"refused: {call.what}")
        return receipt

    def mine(self, blocks: int = 1, *, at: int | None = None) -> None:
        """Make blocks of what waits; the first at a time, if one is given."""
        self.finish()
        if at is not None:
            self.chain.rpc("evm_setNextBlockTimestamp", hex(at))
        for _ in range(blocks):
            self.chain.rpc("evm_mine")

    def head(self) -> tuple[int, int]:
        """Return number and time stamp of the newest block."""
        block = self.chain.rpc("eth_getBlockByNumber", "latest", *[False])
        return int(block["number"], 16), int(block["timestamp"], 16)

    def read(self, contract: str, address: bytes, function: str, *args: object) -> Any:  # noqa: ANN401 - the contract's interface says what
        """Return the result of a contract's view at the newest block."""
        data = call_data(contract, function, *args)
        request = {"to": _hex(address), "data": _hex(data), "gas": hex(30_000_000)}
        answer = self.chain.rpc("eth_call", request, "latest")
        return decode_result(contract, function, bytes.fromhex(answer[2:]))

    def _sign(self, wallet: Wallet, call: Call, gas: int) -> bytes:
        nonce = self._nonces.get(wallet.address, 0)
        self._nonces[wallet.address] = nonce + 1
        return wallet.sign(Transaction(CHAIN_ID, nonce, call, gas, _FEES)).raw

    def _make(self, signed: Sequence[bytes]) -> None:
        asked = [("eth_sendRawTransaction", (_hex(raw),)) for raw in signed]
        names = batch(self.chain.url, asked)
        # Not in the batch: anvil works on its calls side by side.
        self.chain.rpc("evm_mine")
        wanted = [("eth_getTransactionReceipt", (name,)) for name in names]
        receipts = batch(self.chain.url, wanted)
        good = sum(receipt and receipt["status"] == "0x1" for receipt in receipts)
        if good < len(signed):
            raise ChainError(f"{good} of {len(signed)} transactions were carried out")


def batch(url: str, calls: Sequence[tuple[str, Sequence[object]]]) -> list[Any]:
    """Make several calls in one request; return their results.

    Raises:
        ChainError: If one of them failed.
        OSError: If there is no answer.
    """
    body = [
        {"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)}
        for number, (method, params) in enumerate(calls)
    ]
    answers = post(url, body, within=_WITHIN)
    for answer in answers:
        if "error" in answer:
            raise ChainError(str(answer["error"]), answer["error"])
    answers.sort(key=lambda answer: answer["id"])
    return [answer["result"] for answer in answers]


def batches(items: Sequence[Any], size: int) -> list[Any]:
    """Cut a sequence into pieces of ``size``, the last one shorter."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def _hex(data: bytes) -> str:
    return "0x" + data.hex()

"""Several endpoints asked side by side, as one chain.

What may cost money is decided here by more than one of them: figures are the median of
what they say, a nonce counts as used only when most of them say so, a transaction goes
to all. A lone endpoint is believed: whoever names only one trusts it with fees (up to
the limits) and with news, never with the key.

Nothing here is proven; readers of the registry use `psp.directory.chain` instead.
"""

import asyncio
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from discovery.transactions import answers
from discovery.transactions.abi import call_data, decode_result, decode_revert
from discovery.transactions.answers import Head, Receipt, SendAnswer
from discovery.transactions.call import Call
from discovery.transactions.config import EndpointsConfig
from discovery.transactions.errors import (
    ChainUnreachableError,
    RevertedError,
    WrongChainError,
)
from discovery.transactions.reasons import explain
from psp.errors import DecodeError
from psp.runtime.rpc import RpcError, RpcUnavailableError
from psp.units import Monotonic, Seconds

T = TypeVar("T")

_CALL_GAS = 30_000_000
"""For reading calls; endpoints have limits of their own, often this one."""

_HEADER_ONLY = False
"""Of a block: hashes of its transactions, which are few bytes, not themselves."""

_DEFAULT_TIP = 10**9
"""Wei per gas where no endpoint suggests any."""


class Rpc(Protocol):
    """One endpoint; `psp.runtime.rpc.RpcEndpoint` is one."""

    async def call(self, method: str, *params: object) -> object:
        """Ask; raises RpcError or RpcUnavailableError."""
        ...


class Endpoints:
    """One chain behind one or more endpoints.

    Attributes:
        chain_id: Of the chain; endpoints that serve another are not asked.
    """

    def __init__(
        self,
        rpcs: Sequence[Rpc],
        chain_id: int,
        config: EndpointsConfig | None = None,
    ) -> None:
        """Name the endpoints; none is asked yet."""
        self.chain_id = chain_id
        self._rpcs = tuple(rpcs)
        self._config = config or EndpointsConfig()
        self._chain_ids: dict[int, int] = {}
        self._late_until: dict[int, Monotonic] = {}

    # ---- the chain

    async def check(self) -> None:
        """Make sure of the chain; the good endpoints are remembered.

        Raises:
            WrongChainError: If all that answer serve another chain.
            ChainUnreachableError: If none answers.
        """
        unknown = [i for i in range(len(self._rpcs)) if i not in self._chain_ids]
        if self._good:
            # Those that did not say yet are given another chance now and then.
            unknown = [i for i in unknown if not self._is_late(i)]
        if not unknown:
            return
        asked = await self._gather(unknown, answers.quantity, "eth_chainId")
        for i, found in asked.items():
            if isinstance(found, int):
                self._chain_ids[i] = found
        if self._good:
            return
        if self._chain_ids:
            found = next(iter(self._chain_ids.values()))
            # Whoever corrects an endpoint need not start us anew.
            self._chain_ids.clear()
            raise WrongChainError(self.chain_id, found)
        raise ChainUnreachableError(_nobody(len(self._rpcs), asked.values()))

    async def genesis(self) -> bytes:
        """Return the hash of block 0, on which most must agree: it names the chain.

        Raises:
            ChainUnreachableError: If they do not.
        """
        found = await self._ask(
            _block_hash, "eth_getBlockByNumber", "0x0", _HEADER_ONLY
        )
        most = max(found, key=found.count)
        if 2 * found.count(most) <= len(found):
            raise ChainUnreachableError("the endpoints do not agree on the first block")
        return most

    async def head(self) -> Head:
        """Return the newest block by the median height, of those that answered."""
        heads = await self._ask(
            answers.head, "eth_getBlockByNumber", "latest", _HEADER_ONLY
        )
        return sorted(heads, key=lambda h: (h.number, h.base_fee))[
            (len(heads) - 1) // 2
        ]

    async def tip(self) -> int:
        """Return the tip that endpoints suggest, wei per gas."""
        try:
            return await self._median("eth_maxPriorityFeePerGas")
        except ChainUnreachableError:
            # Not all know the method; the blocks' builders take what wallets give.
            return _DEFAULT_TIP

    # ---- one account

    async def balance(self, address: bytes) -> int:
        """Return what an account has, wei."""
        return await self._median("eth_getBalance", _hex(address), "latest")

    async def known_nonce(self, address: bytes) -> int:
        """Return the first nonce that no transaction uses, mined or waiting."""
        return await self._median("eth_getTransactionCount", _hex(address), "pending")

    async def mined_nonce(self, address: bytes) -> int:
        """Return the first nonce that no mined transaction uses.

        It is one that most of all endpoints have passed or reached: silence of some
        lowers it, one liar cannot raise it.
        """
        counts = await self._ask(
            answers.quantity, "eth_getTransactionCount", _hex(address), "latest"
        )
        counts += [0] * (len(self._good) - len(counts))
        return statistics.median_low(counts)

    # ---- calls

    async def read(
        self,
        contract: str,
        address: bytes,
        function: str,
        *args: object,
        block: int | None = None,
    ) -> Any:  # noqa: ANN401 - the contract's interface says what
        """Return what a function of a contract answers, as most endpoints have it.

        Args:
            contract: Its name, see `discovery.transactions.abi`.
            address: Where it is.
            function: Its function.
            args: The function's.
            block: At which height; None is each endpoint's newest.

        Raises:
            RevertedError: If it refuses.
            ChainUnreachableError: If no endpoint answers, or there is no such contract.
        """

        def parse(value: object) -> object:
            return decode_result(contract, function, answers.octets(value))

        request = {
            "to": _hex(address),
            "data": _hex(call_data(contract, function, *args)),
            "gas": hex(_CALL_GAS),
        }
        height = "latest" if block is None else hex(block)
        found = await self._ask(parse, "eth_call", request, height)
        return max(found, key=found.count)

    async def try_call(
        self, call: Call, sender: bytes, *, block: int | None = None
    ) -> bytes:
        """Return what a call would return if it were mined now, or after a block.

        Raises:
            RevertedError: If it would be refused.
            ChainUnreachableError: If no endpoint answers.
        """
        height = "latest" if block is None else hex(block)
        request = _request(call, sender)
        found = await self._ask(answers.octets, "eth_call", request, height)
        return max(found, key=found.count)

    async def estimate(self, call: Call, sender: bytes) -> int:
        """Return the gas a call would take now.

        Raises:
            RevertedError: If it would be refused.
            ChainUnreachableError: If no endpoint answers.
        """
        return await self._median("eth_estimateGas", _request(call, sender))

    # ---- sending

    async def send(self, raw: bytes) -> dict[SendAnswer, str]:
        """Send a signed transaction to all; return what they made of it, with texts.

        Raises:
            ChainUnreachableError: If none answers.
        """
        await self.check()
        method = "eth_sendRawTransaction"
        found = await self._gather(self._good, answers.octets, method, _hex(raw))
        made: dict[SendAnswer, str] = {}
        for answer in found.values():
            if isinstance(answer, RpcError):
                made.setdefault(answers.send_answer(answer.message), answer.message)
            elif isinstance(answer, bytes):
                made[SendAnswer.TAKEN] = ""
        if not made:
            raise ChainUnreachableError(_nobody(len(self._good), found.values()))
        return made

    async def receipt(self, transactions: Sequence[bytes]) -> Receipt | None:
        """Return the receipt on which most that answer agree, of the one that is mined.

        Raises:
            ChainUnreachableError: If none answers.
        """
        for transaction in transactions:
            found = await self._ask(
                _receipt_of(transaction),
                "eth_getTransactionReceipt",
                _hex(transaction),
            )
            most = max(found, key=found.count)
            if most is not None and 2 * found.count(most) > len(found):
                return most
        return None

    # ---- time, for those who poll

    async def pause(self, seconds: Seconds) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    def now(self) -> Monotonic:
        """Return the loop's clock."""
        return Monotonic(asyncio.get_running_loop().time())

    # ---- asking

    @property
    def _good(self) -> list[int]:
        return [i for i, found in self._chain_ids.items() if found == self.chain_id]

    async def _median(self, method: str, *params: object) -> int:
        return statistics.median_low(await self._ask(answers.quantity, method, *params))

    async def _ask(
        self, parse: Callable[[object], T], method: str, *params: object
    ) -> list[T]:
        """Return all good answers, at least one.

        Raises:
            RevertedError: If there is none, and a contract refuses.
            ChainUnreachableError: If there is none.
        """
        await self.check()
        found = (await self._gather(self._good, parse, method, *params)).values()
        good = [answer for answer in found if not isinstance(answer, Exception)]
        if good:
            return good
        for answer in found:
            if isinstance(answer, RpcError) and answers.is_revert(
                answer.code, answer.message
            ):
                raise RevertedError(_reason(answer))
        # Next time everybody has a chance, also those that were late.
        self._late_until.clear()
        raise ChainUnreachableError(_nobody(len(self._good), found))

    async def _gather(
        self,
        numbers: Sequence[int],
        parse: Callable[[object], T],
        method: str,
        *params: object,
    ) -> dict[int, T | Exception]:
        """Return what endpoints answered, or why they did not; late ones are left out."""

        async def one(i: int) -> T | Exception:
            try:
                return parse(await self._rpcs[i].call(method, *params))
            except (RpcError, RpcUnavailableError, DecodeError) as error:
                return error

        tasks = {i: asyncio.create_task(one(i)) for i in numbers}
        try:
            await self._most(tasks)
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)
        found = {i: t.result() for i, t in tasks.items() if not t.cancelled()}
        for i in numbers:
            if i not in found or isinstance(found[i], RpcUnavailableError):
                self._late_until[i] = Monotonic(self.now() + self._config.forgive_after)
        return found

    async def _most(self, tasks: Mapping[int, asyncio.Task[object]]) -> None:
        """Wait for good answers of most that are not known to be slow, then a little."""
        prompt = {task for i, task in tasks.items() if not self._is_late(i)}
        pending = set(tasks.values())
        enough = len(prompt or pending) // 2 + 1
        good = 0
        while pending and good < enough:
            done, pending = await asyncio.wait(
                pending, return_when=asyncio.FIRST_COMPLETED
            )
            good += sum(not isinstance(task.result(), Exception) for task in done)
        if prompt & pending:
            await asyncio.wait(prompt & pending, timeout=self._config.grace)

    def _is_late(self, i: int) -> bool:
        return self.now() < self._late_until.get(i, 0)


async def finish(function: Callable[[], None]) -> None:
    """Run something in a thread to its end, even if the caller is cancelled meanwhile.

    A write of the journal must not go on after the lock of the account is open again.
    """
    task = asyncio.ensure_future(asyncio.to_thread(function))
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    task.result()
    if cancelled is not None:
        raise cancelled


def _request(call: Call, sender: bytes) -> dict[str, str]:
    request = {
        "from": _hex(sender),
        "data": _hex(call.data),
        "value": hex(call.value),
    }
    if call.to is not None:
        request["to"] = _hex(call.to)
    return request


def _block_hash(value: object) -> bytes:
    if not isinstance(value, dict):
        raise DecodeError("not a block")
    return answers.octets(value.get("hash"), 32)


def _receipt_of(transaction: bytes) -> Callable[[object], Receipt | None]:
    return lambda value: answers.receipt(value, transaction)


def _reason(error: RpcError) -> str:
    data = answers.revert_data(error.data)
    if data:
        return explain(decode_revert(data))
    # Some endpoints give the words only in their message.
    return explain(error.message.rpartition("reverted: ")[2] or "no reason given")


def _nobody(asked: int, found: Iterable[object]) -> str:
    for answer in found:
        if isinstance(answer, Exception):
            return f"none of {asked} endpoints gives a usable answer: {answer}"
    return f"none of {asked} endpoints answers"


def _hex(data: bytes) -> str:
    return f"0x{data.hex()}"

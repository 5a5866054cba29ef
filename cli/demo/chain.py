"""The demo's chain: contracts, stakes, users and a first election, all before the start.

Made at once on a development chain whose clock starts more than two epochs ago and has
arrived at the present when it is done::

    epoch 4   contracts, relays with their owners' stakes, users paid for by a sponsor
    epoch 5   the stakes count; seed and nominations by the relays' hot keys
    epoch 6   now: the first list is in force

After that the relays' own epoch drivers hold the elections, as anywhere.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from discovery.devchain.accounts import dev_account
from discovery.devchain.config import CHAIN_ID, WEI
from discovery.transactions.abi import call_data, decode_result
from discovery.transactions.call import Call, transfer
from discovery.transactions.calls import NodeBook, Relays, Users, deployment
from discovery.transactions.fees import GWEI, Fees
from discovery.transactions.wallet import Transaction, Wallet
from psp.client.identities.identity import ClientIdentity
from psp.directory.chain.users import user_signing_input
from psp.entropy import Entropy
from psp.errors import PspError
from psp.netdoc.node_entry import SignedNode
from psp.runtime.rpc import RpcError, RpcUnavailableError
from psp.units import UnixTime
from psp.wire.network import Network

CHAIN_FILE = "chain.sqlite"
OPERATOR_KEY = "operator.key"
Ask = Callable[..., Awaitable[object]]
"""Takes a method and its parameters, returns the result."""

MIN_STAKE = WEI
STAKES = (1, 2, 4, 8)
"""Stake of one relay after the other, in ether, again and again: unequal on purpose."""
SEED_DELAY = 1
POCKET_MONEY = WEI // 10
"""Of a relay's hot key: some hundred elections."""
_GAS = 700_000
_DEPLOY_GAS = 8_000_000
_FEES = Fees(100 * GWEI, GWEI)
_MARGIN = 2
"""Seconds by which the list in force is older than the demo."""


class ChainSetupError(PspError):
    """The demo's chain could not be founded."""


@dataclass(frozen=True, slots=True)
class FoundedChain:
    """The contracts of the demo.

    Attributes:
        network: Chain and registry.
        book: Address of NodeBook.
        users: Address of Users.
        epoch_length: Seconds.
        seats: Of a list.
        stakes: Of each relay, wei, in their order; its number on the chain is its
            place, counted from 1.
    """

    network: Network
    book: bytes
    users: bytes
    epoch_length: int
    seats: int
    stakes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Account:
    """A relay's two accounts.

    Attributes:
        owner: Holds the stake.
        hot: Lies on the relay's host with a little money for elections.
    """

    owner: Wallet
    hot: Wallet


@dataclass(slots=True)
class Founder:
    """Founds one chain, block by block.

    Attributes:
        rpc: Asks the chain, one that takes the methods of development chains.
        epoch_length: Seconds.
        unix_now: When it is to be done.
        deployer: Who pays.
        nonces: Transactions of each account so far.
    """

    rpc: Ask
    epoch_length: int
    unix_now: int
    deployer: Wallet = field(
        default_factory=lambda: Wallet(dev_account("deployer").key)
    )
    nonces: dict[bytes, int] = field(default_factory=dict)

    @staticmethod
    def genesis_time(epoch_length: int, unix_now: float) -> UnixTime:
        """Return the time stamp that block 0 must have."""
        return UnixTime(int(unix_now) - 2 * epoch_length - _MARGIN)

    async def deploy(self, seats: int) -> FoundedChain:
        """Put the three contracts on the chain."""
        users = await self._create("Users")
        book = await self._create("NodeBook")
        registry = await self._create(
            "Relays",
            book,
            users,
            self.epoch_length,
            7 * self.epoch_length,
            MIN_STAKE,
            seats,
            SEED_DELAY,
            True,  # noqa: FBT003 - sortition
            True,  # noqa: FBT003 - self_only
            0,
        )
        await self.block([(self.deployer, NodeBook(book).bind(registry))])
        network = Network(CHAIN_ID, registry)
        return FoundedChain(network, book, users, self.epoch_length, seats)

    async def fill(
        self,
        founded: FoundedChain,
        relays: Sequence[tuple[Account, SignedNode]],
        users: Iterable[tuple[Wallet, ClientIdentity]],
        trusted: Sequence[int],
    ) -> FoundedChain:
        """Register everybody and hold the first election.

        Args:
            founded: The contracts.
            relays: Each one's accounts and signed entry.
            users: Each one's own account, which never has any money, and identity.
            trusted: Numbers of the trusted partners' relays.
        """
        contract = Relays(founded.network.registry)
        stakes = tuple(STAKES[i % len(STAKES)] * WEI for i in range(len(relays)))
        money = [
            (self.deployer, transfer(wallet.address, amount))
            for (account, _), stake in zip(relays, stakes, strict=True)
            for wallet, amount in (
                (account.owner, stake + WEI),
                (account.hot, POCKET_MONEY),
            )
        ]
        await self.block(money)
        entries = [
            (account.owner, contract.register_node(signed, stake=stake))
            for (account, signed), stake in zip(relays, stakes, strict=True)
        ]
        sponsored = [
            (self.deployer, _sponsored(founded, wallet, identity))
            for wallet, identity in users
        ]
        await self.block([*entries, *sponsored])
        operators = [
            (account.owner, contract.set_operator(number, account.hot.address))
            for number, (account, _) in enumerate(relays, 1)
        ]
        await self.block([*operators, (self.deployer, contract.set_trusted(trusted))])
        await self._elect(contract, [account.hot for account, _ in relays])
        return FoundedChain(
            founded.network,
            founded.book,
            founded.users,
            founded.epoch_length,
            founded.seats,
            stakes,
        )

    async def _elect(self, contract: Relays, hot: Sequence[Wallet]) -> None:
        half = self.epoch_length // 2
        parameters = await self._rpc(
            "eth_call",
            {
                "to": _hex(contract.address),
                "data": _hex(call_data("Relays", "parameters")),
            },
            "latest",
        )
        genesis = decode_result("Relays", "parameters", _bytes(parameters))[0]
        await self._jump(genesis + self.epoch_length + half + 1)
        await self.block([(hot[0], contract.request_seed())])
        for _ in range(SEED_DELAY):
            await self._rpc("evm_mine")
        await self.block([(hot[0], contract.reveal_seed())])
        await self.block(
            [(wallet, contract.nominate(n)) for n, wallet in enumerate(hot, 1)],
            may_fail=True,  # outbid: the list is full of better ones
        )
        await self._jump(self.unix_now)
        await self._rpc("evm_mine")

    async def _jump(self, timestamp: int) -> None:
        await self._rpc("evm_setNextBlockTimestamp", hex(timestamp))

    async def _rpc(self, method: str, *params: object) -> object:
        try:
            return await self.rpc(method, *params)
        except (RuntimeError, RpcError, RpcUnavailableError) as error:
            raise ChainSetupError(f"{method}: {error}") from None

    async def _create(self, contract: str, *arguments: object) -> bytes:
        call = deployment(contract, *arguments)
        (receipt,) = await self.block([(self.deployer, call)], gas=_DEPLOY_GAS)
        return _bytes(receipt["contractAddress"])

    async def block(
        self,
        work: Sequence[tuple[Wallet, Call]],
        *,
        gas: int = _GAS,
        may_fail: bool = False,
    ) -> list[dict[str, object]]:
        """Put transactions into one block; return their receipts."""
        await self._rpc("evm_setAutomine", False)  # noqa: FBT003
        hashes = [await self._send(wallet, call, gas) for wallet, call in work]
        await self._rpc("evm_mine")
        await self._rpc("evm_setAutomine", True)  # noqa: FBT003
        receipts: list[dict[str, object]] = []
        for name, (_, call) in zip(hashes, work, strict=True):
            receipt = await self._rpc("eth_getTransactionReceipt", name)
            if not isinstance(receipt, dict):
                raise ChainSetupError(f"{call.what}: not in the block")
            if receipt["status"] != "0x1" and not may_fail:
                raise ChainSetupError(f"{call.what}: refused by the contract")
            receipts.append(receipt)
        return receipts

    async def _send(self, wallet: Wallet, call: Call, gas: int) -> object:
        nonce = self.nonces.get(wallet.address, 0)
        self.nonces[wallet.address] = nonce + 1
        signed = wallet.sign(Transaction(CHAIN_ID, nonce, call, gas, _FEES))
        return await self._rpc("eth_sendRawTransaction", _hex(signed.raw))


def make_accounts(homes: Iterable[Path], entropy: Entropy) -> list[Account]:
    """Make the owner's and the hot key of each relay, in its folder."""
    return [
        Account(
            Wallet.create(home / "owner.key", entropy=entropy),
            Wallet.create(home / OPERATOR_KEY, entropy=entropy),
        )
        for home in homes
    ]


def _sponsored(founded: FoundedChain, wallet: Wallet, identity: ClientIdentity) -> Call:
    text = user_signing_input(founded.network, wallet.address, identity.user_id)
    signature = identity.key.sign(text)
    deadline = (1 << 40) - 1
    permission = wallet.sign_user_set(
        CHAIN_ID,
        founded.users,
        number=0,
        identity=identity.user_id,
        signature=signature,
        nonce=0,
        deadline=deadline,
    )
    return Users(founded.users).set_for(
        wallet.address,
        0,
        identity.user_id,
        signature,
        deadline=deadline,
        permission=permission,
    )


def _hex(data: bytes) -> str:
    return "0x" + data.hex()


def _bytes(text: object) -> bytes:
    return bytes.fromhex(str(text).removeprefix("0x"))

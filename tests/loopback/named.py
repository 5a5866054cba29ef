"""A network with names on a real chain, and what lying endpoints say of them."""

from dataclasses import dataclass

from discovery.transactions.calls import Names, deployment
from psp.directory.chain import layout
from psp.runtime.chain_names import ChainNames
from tests.loopback.chains import Network, reader

DEPOSIT = 10**16
DEPLOYMENT = 2_000_000
"""Gas."""
ALICE, BOB = 1, 2


@dataclass
class Named:
    """A network with a contract of names, in which Alice has one."""

    network: Network
    contract: Names
    before: int = 0

    @classmethod
    def on(cls, network: Network) -> "Named":
        for user in (ALICE, BOB):
            address = "0x" + network.owner(user).address.hex()
            network.rpc("anvil_setBalance", address, hex(10**18))
        network.settle()  # anvil changes a state without a root: go past it
        call = deployment("Names", network.founded.users, DEPOSIT)
        receipt = network.do(network.deployer(), call, gas=DEPLOYMENT)
        contract = Names(bytes.fromhex(str(receipt["contractAddress"])[2:]))
        named = cls(network, contract)
        named.register("alice", ALICE)
        return named

    def register(self, name: str, user: int, **options) -> None:
        call = self.contract.register(name, user, deposit=DEPOSIT)
        self.network.do(self.network.owner(options.get("sender", user)), call)

    def wait(self, seconds: int) -> None:
        self.network.rpc("evm_increaseTime", hex(seconds))
        self.network.settle()

    def identity(self, user: int):
        return self.network.users[user - 1].user_id

    async def read(self, *urls, quorum=1, held=(), address=None):
        """Read the names through some endpoints."""
        async with reader(self.network, *urls, quorum=quorum) as chain:
            reading = await chain.read()
            names = ChainNames(chain, address or self.contract.address)
            return await names.read(reading, held)


# -- lies


def is_of(named, method, params, *selectors):
    return (
        method == "eth_call"
        and int(params[0]["to"], 16) == int.from_bytes(named.contract.address)
        and params[0]["data"][2:10] in {selector.hex() for selector in selectors}
    )


def with_byte(result, place, value):
    raw = bytearray.fromhex(result[2:])
    raw[place] = value
    return "0x" + raw.hex()


def of_another_user(named, method, params, result):
    if is_of(named, method, params, layout.PAGE):
        return with_byte(result, 64 + 7, BOB)
    return result


def of_another_spelling(named, method, params, result):
    if is_of(named, method, params, layout.PAGE):
        return with_byte(result, 64 + 32, ord("b"))
    return result


def left_out(named, method, params, result):
    """All but the last."""
    if not is_of(named, method, params, layout.PAGE):
        return result
    raw = bytes.fromhex(result[2:])
    words = int.from_bytes(raw[32:64]) - layout.NAME_WORDS
    return "0x" + (raw[:32] + words.to_bytes(32) + raw[64 : 64 + 32 * words]).hex()


def ended(named, method, params, result):
    if is_of(named, method, params, layout.PAGE):
        return with_byte(result, 64 + 11, 2)
    return result


def added(named, method, params, result):
    if not is_of(named, method, params, layout.PAGE):
        return result
    raw = bytes.fromhex(result[2:])
    words = int.from_bytes(raw[32:64]) + layout.NAME_WORDS
    return "0x" + (raw[:32] + words.to_bytes(32) + raw[64:] + raw[64:128]).hex()


def as_it_was_before(named, method, params, result):
    """The list of the block before Bob came, at whatever block is asked for."""
    if is_of(named, method, params, layout.PAGE, layout.VERSIONS):
        return named.network.rpc("eth_call", params[0], hex(named.before))
    return result


def not_changed_since(named, method, params, result):
    """For returning readers: no record is of another version than before."""
    if is_of(named, method, params, layout.VERSIONS):
        return with_byte(result, 64 + 30, 1)
    return result


def nothing_at_all(named, method, params, result):
    if is_of(named, method, params, layout.PAGE, layout.VERSIONS):
        return "0x" + (32).to_bytes(32).hex() + bytes(32).hex()
    return result


def another_account(named, method, params, result):
    """The proof of another contract in the place of this one's."""
    if method == "eth_getProof" and int(params[0], 16) == int.from_bytes(
        named.contract.address
    ):
        other = "0x" + named.network.founded.users.hex()
        return named.network.rpc("eth_getProof", other, params[1], params[2])
    return result


LIES = [
    *(of_another_user, of_another_spelling, left_out, ended, added),
    *(as_it_was_before, nothing_at_all, another_account),
]

"""Money out of nothing, which only development chains make."""

from cli.chain_work.chain import Chain
from psp.errors import DecodeError, PspError
from psp.runtime.rpc import RpcError, RpcUnavailableError

_SET_BALANCE = "anvil_setBalance"
_MAX = (1 << 128) - 1


class NoFaucetError(PspError):
    """The chain is a real one."""


async def fill(chain: Chain, address: bytes, amount: int) -> int:
    """Give an account more money; return its balance.

    Raises:
        NoFaucetError: If the chain cannot do that.
        ChainError: If it cannot be read.
    """
    balance = await chain.endpoints.balance(address)
    wanted = min(balance + amount, _MAX)
    reasons: list[str] = []
    for rpc in chain.rpcs:
        try:
            await rpc.call(_SET_BALANCE, f"0x{address.hex()}", hex(wanted))
        except (RpcError, RpcUnavailableError, DecodeError) as error:
            reasons.append(str(error))
            continue
        return await chain.endpoints.balance(address)
    raise NoFaucetError(
        "this chain has no faucet: only development chains (psp chain dev, anvil) make "
        "money out of nothing; on a real chain somebody has to send it, on a public test "
        f"network a web page may ({reasons[0]})"
    )

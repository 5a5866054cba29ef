"""Money out of nothing, where there is any (cli/chain_work/faucet.py)."""

import pytest

from cli.chain_work.chain import Chain
from cli.chain_work.faucet import NoFaucetError, fill
from cli.chain_work.target import find_target
from psp.runtime.rpc import RpcError

ADDRESS = b"\x77" * 20


class Endpoint:
    """A chain's, perhaps with a faucet."""

    name = "endpoint 1"

    def __init__(self, *, has_faucet=True):
        self.balance = 5
        self.has_faucet = has_faucet

    async def call(self, method, *params):
        if method == "eth_chainId":
            return hex(7)
        if method == "eth_getBalance":
            return hex(self.balance)
        if not self.has_faucet:
            raise RpcError(-32_601, f"the method {method} does not exist")
        assert (method, params[0]) == ("anvil_setBalance", f"0x{ADDRESS.hex()}")
        self.balance = int(params[1], 16)
        return None


def chain(*endpoints):
    urls = tuple(f"http://{i}" for i in range(len(endpoints)))
    return Chain(find_target(None, rpc=urls, chain_id=7), endpoints)


async def test_a_faucet_adds_to_what_is_there():
    assert await fill(chain(Endpoint()), ADDRESS, 10) == 15


async def test_the_first_endpoint_that_has_one_is_enough():
    dry, wet = Endpoint(has_faucet=False), Endpoint()

    await fill(chain(dry, wet), ADDRESS, 10)

    assert (dry.balance, wet.balance) == (5, 15)


async def test_a_real_chain_has_none_and_that_is_said_with_what_to_do():
    with pytest.raises(NoFaucetError, match=r"only development chains .* somebody has"):
        await fill(chain(Endpoint(has_faucet=False)), ADDRESS, 10)

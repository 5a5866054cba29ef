"""Errors that speak of money, in units that people know."""

from cli.chain_work.amounts import ether, fee, price
from discovery.transactions.errors import (
    FeeLimitError,
    InsufficientFundsError,
    RevertedError,
)
from psp.errors import PspError


def explain(error: PspError) -> str:
    """Return what to tell a person who ran a command, in a sentence."""
    match error:
        case InsufficientFundsError():
            missing = ether(error.needed - error.available)
            return (
                f"the account has {ether(error.available)}, up to {ether(error.needed)} "
                f"are needed, fees included; send it {missing} more. Nothing was sent"
            )
        case FeeLimitError(what="max_fee_per_gas"):
            return (
                f"a unit of gas costs {price(error.needed)} now, above the limit of "
                f"{price(error.allowed)}; wait for lower fees, or raise --max-fee"
            )
        case FeeLimitError():
            return (
                f"fees may come to {fee(error.needed)}, above the limit of "
                f"{fee(error.allowed)}; wait for lower fees, or raise --max-cost"
            )
        case RevertedError(cost=cost) if cost:
            return (
                f"the contract refuses: {error.reason}; fees of {fee(cost)} are spent"
            )
        case RevertedError():
            return f"the contract refuses: {error.reason}. Nothing was sent"
        case _:
            return str(error)

"""What a transaction costs, before and after."""

from dataclasses import dataclass

from discovery.transactions.answers import Receipt
from discovery.transactions.call import Call
from discovery.transactions.errors import InsufficientFundsError, RevertedError
from discovery.transactions.fees import Fees

TRANSFER_GAS = 21_000
"""What a payment without data takes on every chain."""

_MARGIN = (5, 4)
_MARGIN_GAS = 20_000
"""Gas limits are a quarter and this above the estimate: what others do to the same
storage before our turn moves it, and what is not used is not paid."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What is known before sending.

    Attributes:
        gas: Units it would take now.
        gas_limit: Units it may take.
        base_fee: Of the newest block, wei per gas.
        fees: What would be offered.
        value: Wei sent along.
        balance: Wei on the account.
        height: Of the newest block.
    """

    gas: int
    gas_limit: int
    base_fee: int
    fees: Fees
    value: int
    balance: int
    height: int = 0

    @property
    def expected(self) -> int:
        """Fees if the next block is like the newest, wei."""
        return self.gas * self.fees.price(self.base_fee)

    @property
    def maximum(self) -> int:
        """The most it can cost in fees, wei."""
        return self.gas_limit * self.fees.max_fee

    def check_funds(self) -> None:
        """Make sure that the account can pay.

        Raises:
            InsufficientFundsError: If it cannot, at the highest fees.
        """
        needed = self.value + self.maximum
        if needed > self.balance:
            raise InsufficientFundsError(needed, self.balance)


@dataclass(frozen=True, slots=True)
class DryRun:
    """What would happen.

    Attributes:
        cost: What it would cost.
        result: What the contract would return, not decoded.
    """

    cost: Cost
    result: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an action.

    Attributes:
        call: The action.
        receipt: Of its mined transaction.
        is_cancelled: Whether the nonce was used up by nothing instead.
        is_resumed: Whether an earlier process had begun it.
    """

    call: Call
    receipt: Receipt
    is_cancelled: bool = False
    is_resumed: bool = False

    def check(self, reason: str) -> None:
        """Make sure that the contract did not refuse.

        Raises:
            RevertedError: If it did.
        """
        if not self.receipt.is_success:
            raise RevertedError(
                reason, transaction=self.receipt.hash, cost=self.receipt.cost
            )


def gas_limit(estimate: int, block_gas_limit: int) -> int:
    """Return the gas limit for an estimate, within what a block takes."""
    if estimate == TRANSFER_GAS:
        return estimate
    wanted = estimate * _MARGIN[0] // _MARGIN[1] + _MARGIN_GAS
    return max(estimate, min(wanted, block_gas_limit))

"""How much is paid for a transaction: pure arithmetic, whole wei.

The block's base fee is burnt, the tip goes to the block's builder (EIP-1559). We offer
twice the base fee plus the tip, which stays valid for six full blocks in a row (the base
fee rises by at most an eighth a block), and pay only what the block asks.
"""

from dataclasses import dataclass

from discovery.transactions.errors import FeeLimitError

GWEI = 10**9
"""Wei."""

HEADROOM = 2
"""Times the base fee that is offered; what wallets do."""

_BUMP_EIGHTHS = 9
"""A replacement must offer more in both figures: geth and anvil ask for a tenth, an
eighth leaves room for stricter ones."""


@dataclass(frozen=True, slots=True)
class Fees:
    """What is offered for a unit of gas.

    Attributes:
        max_fee: The most that is paid, wei per gas.
        tip: Of that for the builder, wei per gas.
    """

    max_fee: int
    tip: int

    def price(self, base_fee: int) -> int:
        """Return what is paid per gas in a block with this base fee."""
        return min(self.max_fee, base_fee + self.tip)


@dataclass(frozen=True, slots=True)
class FeeLimits:
    """The most that may be spent, fees only: stake and other value do not count.

    Attributes:
        max_fee_per_gas: Wei per gas, base fee and tip together.
        max_tip_per_gas: Wei per gas of tip.
        max_cost: Wei for one transaction, at the highest fee it offers.
        max_cost_per_period: Wei for all transactions of one period (an epoch).
    """

    max_fee_per_gas: int = 100 * GWEI
    max_tip_per_gas: int = 2 * GWEI
    max_cost: int = 50_000_000 * GWEI
    max_cost_per_period: int = 50_000_000 * GWEI


def offer(base_fee: int, tip: int, limits: FeeLimits) -> Fees:
    """Return what to offer now.

    Args:
        base_fee: Of the newest block, wei per gas.
        tip: What the endpoints suggest, wei per gas; cut to the limit.
        limits: Of the operator.

    Raises:
        FeeLimitError: If a block like the newest would cost more than allowed.
    """
    tip = min(tip, limits.max_tip_per_gas)
    needed = base_fee + tip
    if needed > limits.max_fee_per_gas:
        raise FeeLimitError("max_fee_per_gas", needed, limits.max_fee_per_gas)
    wanted = HEADROOM * base_fee + tip
    return Fees(min(wanted, limits.max_fee_per_gas), tip)


def bump(last: Fees, base_fee: int, tip: int, limits: FeeLimits) -> Fees:
    """Return what to offer for the same nonce instead of ``last``.

    Raises:
        FeeLimitError: If the least that endpoints accept is more than allowed.
    """
    least = Fees(_raised(last.max_fee), _raised(last.tip))
    if least.max_fee > limits.max_fee_per_gas:
        raise FeeLimitError("max_fee_per_gas", least.max_fee, limits.max_fee_per_gas)
    # The tip must rise by as much even above its own limit, or nobody replaces.
    fresh_tip = max(least.tip, min(tip, limits.max_tip_per_gas))
    wanted = max(least.max_fee, HEADROOM * base_fee + fresh_tip)
    max_fee = min(wanted, limits.max_fee_per_gas)
    return Fees(max_fee, min(fresh_tip, max_fee))


def check_cost(gas: int, fees: Fees, limits: FeeLimits, *, spent: int = 0) -> int:
    """Return the most a transaction can cost in fees, in wei.

    Args:
        gas: Its gas limit.
        fees: What it offers.
        limits: Of the operator.
        spent: Wei already spent, or promised, in this period.

    Raises:
        FeeLimitError: If that is more than allowed.
    """
    cost = gas * fees.max_fee
    if cost > limits.max_cost:
        raise FeeLimitError("max_cost", cost, limits.max_cost)
    if spent + cost > limits.max_cost_per_period:
        raise FeeLimitError(
            "max_cost_per_period", spent + cost, limits.max_cost_per_period
        )
    return cost


def _raised(fee: int) -> int:
    return -(-fee * _BUMP_EIGHTHS // 8) + 1

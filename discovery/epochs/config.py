"""Settings of the epoch driver."""

from dataclasses import dataclass
from pathlib import Path

from psp.units import Seconds


@dataclass(frozen=True, slots=True)
class EpochConfig:
    """What a relay does for elections, and what that may cost.

    Attributes:
        operator_key: Key file of the account that nominates this node: its hot operator
            key with little money. Without it the relay follows elections only.
        operator_passphrase_file: A private file with its passphrase.
        max_fee_gwei: The most that is paid per unit of gas.
        max_tip_gwei: Of that, the most for a block's builder.
        max_cost_per_epoch_gwei: The most that is spent in one epoch; at 250,000 units
            of gas, a busy one, this is the default at the highest fee.
        max_tries: Transactions of one kind in one epoch.
        margin: Seconds before an epoch's end in which nothing is begun, at most
        margin_share: this share of the epoch.
        request_spread: Share of the epoch over which relays spread their requests for
            the seed: the first suffices.
        revealers: Relays that are to draw the seed in the very first block: enough that
            nobody can wait for a block that suits him, few enough to be cheap.
        nomination_spread: Share of the time left for nominations over which they are
            spread, the best draws first: later ones see that it is in vain.
        shortest_poll: Seconds between looks when something is about to happen.
        longest_poll: Seconds between looks at other times, at most
        polls_per_epoch: as rare as this many in an epoch.
    """

    operator_key: Path | None = None
    operator_passphrase_file: Path | None = None
    max_fee_gwei: float = 100.0
    max_tip_gwei: float = 2.0
    max_cost_per_epoch_gwei: float = 25_000_000.0
    max_tries: int = 3
    margin: Seconds = Seconds(300.0)
    margin_share: float = 0.05
    request_spread: float = 0.1
    revealers: int = 6
    nomination_spread: float = 0.8
    shortest_poll: Seconds = Seconds(1.0)
    longest_poll: Seconds = Seconds(300.0)
    polls_per_epoch: int = 12

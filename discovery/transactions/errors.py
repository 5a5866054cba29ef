"""What can go wrong when something is written to the chain.

::

    ChainError
    ├── ChainUnreachableError     no endpoint gives a usable answer
    ├── WrongChainError           the endpoints serve another chain
    ├── InsufficientFundsError    the account has not enough
    ├── FeeLimitError             a limit of the operator's forbids it
    ├── RevertedError             the contract refuses
    ├── TransactionRefusedError   every endpoint refuses to pass it on
    ├── StillPendingError         sent, not mined in time: it still may be
    ├── NonceTakenError           another program used the account meanwhile
    ├── ForgottenError            the chain was set back behind our journal
    └── AccountBusyError          another process is sending from the account

Every text is a sentence for whoever pays, with amounts in wei.
"""

from psp.errors import PspError


class ChainError(PspError):
    """The chain could not be read or written."""


class ChainUnreachableError(ChainError):
    """No endpoint gave a usable answer, or they do not agree."""


class WrongChainError(ChainError):
    """Every endpoint that answers serves another chain.

    Attributes:
        expected: Chain id of the settings.
        found: Chain id of an endpoint.
    """

    def __init__(self, expected: int, found: int) -> None:
        super().__init__(
            f"the endpoints serve chain {found}, the settings say {expected}; "
            "correct the one or the other"
        )
        self.expected = expected
        self.found = found


class InsufficientFundsError(ChainError):
    """The account has not enough for value and fees.

    Attributes:
        needed: Wei, fees at their highest.
        available: Wei on the account.
    """

    def __init__(self, needed: int, available: int) -> None:
        super().__init__(
            f"the account has {available} wei, {needed} wei are needed; send it "
            f"{needed - available} wei more"
        )
        self.needed = needed
        self.available = available


class FeeLimitError(ChainError):
    """A limit on fees forbids the transaction for now.

    Attributes:
        what: Which limit, such as ``max_fee_per_gas``.
        needed: Wei.
        allowed: Wei.
    """

    def __init__(self, what: str, needed: int, allowed: int) -> None:
        super().__init__(
            f"{needed} wei exceed the limit {what} of {allowed} wei; wait for lower "
            "fees or raise the limit"
        )
        self.what = what
        self.needed = needed
        self.allowed = allowed


class RevertedError(ChainError):
    """The contract refuses the call.

    Attributes:
        reason: In the contract's words.
        hash: Of the mined transaction, 32 bytes; None if it was only tried.
        cost: Wei of fees that were spent on it.
    """

    def __init__(
        self, reason: str, *, transaction: bytes | None = None, cost: int = 0
    ) -> None:
        where = "" if transaction is None else f"; fees of {cost} wei are spent"
        super().__init__(f"the contract refuses: {reason}{where}")
        self.reason = reason
        self.hash = transaction
        self.cost = cost


class TransactionRefusedError(ChainError):
    """No endpoint takes a signed transaction; it keeps its nonce until it is cancelled."""

    def __init__(self, message: str) -> None:
        super().__init__(
            f"the endpoints refuse the transaction: {message}; try again, or cancel it"
        )


class StillPendingError(ChainError):
    """A transaction was sent and is not mined yet; it is taken up again next time.

    Attributes:
        what: What it does, in words.
        nonce: Its nonce.
    """

    def __init__(self, what: str, nonce: int) -> None:
        super().__init__(
            f"not mined yet: {what or 'a transaction'} (nonce {nonce}); it stays under "
            "way and is taken up by the next command, or cancel it"
        )
        self.what = what
        self.nonce = nonce


class NonceTakenError(ChainError):
    """The nonce went to a transaction of another program; ours can never be mined.

    Attributes:
        nonce: The nonce.
    """

    def __init__(self, nonce: int) -> None:
        super().__init__(
            f"another program used nonce {nonce} of this account, so nothing was done; "
            "try again, and give each program an account of its own"
        )
        self.nonce = nonce


class AccountBusyError(ChainError):
    """Another process is sending from the same account."""

    def __init__(self) -> None:
        super().__init__(
            "another process is sending from this account; try again when it is done"
        )


class ForgottenError(ChainError):
    """The chain knows less of the account than its journal: it was set back.

    Attributes:
        expected: First nonce that the journal has not given away.
        found: First nonce that the chain does not know.
    """

    def __init__(self, journal: str, expected: int, found: int) -> None:
        super().__init__(
            f"the chain knows {found} transactions of this account, the journal "
            f"{expected}; if the chain was set up anew, move {journal} away"
        )
        self.expected = expected
        self.found = found

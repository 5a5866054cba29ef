"""What one transaction does, before it has a nonce, fees and a signature."""

from dataclasses import dataclass

from psp.errors import LocalProtocolError

ADDRESS_SIZE = 20


@dataclass(frozen=True, slots=True)
class Call:
    """Something an account asks of the chain.

    Two calls are the same action if they are equal but for ``what``.

    Attributes:
        to: Address of the contract or account, 20 bytes; None creates a contract.
        data: What the contract is given, or its code.
        value: Wei sent along.
        what: In words, for people and logs; holds no secret.
    """

    to: bytes | None
    data: bytes = b""
    value: int = 0
    what: str = ""

    def __post_init__(self) -> None:
        if self.to is not None and len(self.to) != ADDRESS_SIZE:
            raise LocalProtocolError(f"an address has {ADDRESS_SIZE} bytes")
        if not 0 <= self.value < 1 << 256:
            raise LocalProtocolError("wei are counted from 0 to 2**256 - 1")

    def is_same_action(self, other: "Call") -> bool:
        """Tell whether the other call does exactly the same."""
        ours, theirs = ((c.to, c.data, c.value) for c in (self, other))
        return ours == theirs


def transfer(to: bytes, value: int) -> Call:
    """Return a plain payment of ``value`` wei."""
    return Call(to, value=value, what=f"pay {value} wei")

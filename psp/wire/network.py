"""Which network: the chain and the registry on it, 28 bytes in every signed text."""

from dataclasses import dataclass

from psp.errors import LocalProtocolError

NETWORK_SIZE = 28


@dataclass(frozen=True, slots=True)
class Network:
    """Names one network; records of another never verify.

    Attributes:
        chain_id: The chain's EIP-155 id, or any number for a network without a chain.
        registry: The registry contract's address, 20 bytes.
    """

    chain_id: int
    registry: bytes

    def __post_init__(self) -> None:
        if not 0 <= self.chain_id < 1 << 64 or len(self.registry) != 20:
            raise LocalProtocolError("chain id below 2**64 and 20 address bytes needed")

    def encode(self) -> bytes:
        """Return ``chain id 8 | registry 20``."""
        return self.chain_id.to_bytes(8) + self.registry

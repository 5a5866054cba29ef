"""Which network, which partners, which keys of metadata are ours. Experimental."""

from dataclasses import dataclass
from typing import Final

from discovery.symbol.addresses import ACCOUNT_SIZE
from discovery.symbol.answers import Dialect
from discovery.symbol.metadata import MAX_SEATS
from psp.errors import ConfigError
from psp.wire.network import Network

NODE_KEY: Final = 0x83C991368522889A
"""Scoped key of a node's record: what the chain's own tools make of ``psp-node-v1``
(`metadata_generate_key` of the Symbol SDKs: the first eight bytes of SHA3-256,
little-endian, the highest bit set)."""
USER_KEY: Final = 0x913BD1CEA9758C40
"""The same of ``psp-user-v1``."""
TRUSTED_KEY: Final = 0xC4A47A337ED9743C
"""The same of ``psp-trusted-v1``."""
ELECTED_KEYS: Final = (
    0xB49E540CEEC5301E,
    0xCE8CC25304C412E3,
    0xEA1E96F2DA07FD8A,
    0xBAE9553ECA91996C,
)
"""The same of ``psp-elected-v1-0`` … ``-3``: epoch ``e`` stands under number ``e % 4``,
so that the last lists stay readable, as on EVM."""

HASH_SIZE: Final = 32


@dataclass(frozen=True, slots=True)
class SymbolConfig:
    """One overlay network on one Symbol or Sirius network.

    Attributes:
        dialect: How its gateways speak.
        generation_hash: What tells the network from others, 32 bytes: Symbol's
            ``networkGenerationHashSeed``, the first block's generation hash on Sirius.
        partners: Account of the partners' multisig, 20 bytes.
        partners_target: The same as metadata names it: the account again on Symbol,
            its public key on Sirius.
        min_approval: Partners that must sign what their account says, at least 2.
        epoch_length: Blocks. A multiple of the network's ``importanceGrouping`` (720
            on Symbol's main network): importances are computed at such heights only.
            They can be read until the next ones are computed, so with an epoch of one
            grouping a draw can be checked through all of it.
        seed_delay: Blocks from an epoch's start to the one whose generation hash seeds
            the draw: importances are fixed before the seed exists.
        seats: Of a list, at most 31.
    """

    dialect: Dialect
    generation_hash: bytes
    partners: bytes
    partners_target: bytes
    min_approval: int = 2
    epoch_length: int = 720
    seed_delay: int = 60
    seats: int = 21

    def __post_init__(self) -> None:
        if len(self.generation_hash) != HASH_SIZE:
            raise ConfigError("generation_hash has not 32 bytes; ask /node/info for it")
        if len(self.partners) != ACCOUNT_SIZE:
            raise ConfigError("partners is not an account of 20 bytes")
        if self.min_approval < 2:
            raise ConfigError(f"min_approval is {self.min_approval}; take 2 or more")
        if not 1 <= self.seats <= MAX_SEATS:
            raise ConfigError(f"seats is {self.seats}; take 1 to {MAX_SEATS}")
        if not 0 < self.seed_delay < self.epoch_length:
            raise ConfigError(
                f"seed_delay is {self.seed_delay}; take 1 to {self.epoch_length - 1}, "
                "less than epoch_length"
            )

    @property
    def network(self) -> Network:
        """What records are signed for.

        The chain id is the first eight bytes of the generation hash, big-endian: no two
        networks share it, and none of it is likely to be an EVM chain's id.
        """
        return Network(int.from_bytes(self.generation_hash[:8]), self.partners)

    def epoch_at(self, final_height: int) -> int:
        """Return the newest epoch whose seed is final; 0 if there is none yet."""
        return max(final_height - self.seed_delay, 0) // self.epoch_length

    def start_of(self, epoch: int) -> int:
        """Return the height after which the epoch's importances were computed."""
        return epoch * self.epoch_length

    def seed_height(self, epoch: int) -> int:
        """Return the height of the block that seeds the epoch's draw."""
        return self.start_of(epoch) + self.seed_delay

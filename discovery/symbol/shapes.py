"""Types of JSON fields that both kinds of gateway use. Experimental.

Everything is checked while it is decoded: lengths, ranges and spelling. Fields that we
do not use are skipped, as gateways of different versions add and drop some.
"""

from typing import Annotated

import msgspec

from discovery.symbol.answers import Block
from discovery.symbol.metadata import MAX_VALUE_BYTES
from discovery.symbol.rest import PAGE_SIZE

HexValue = Annotated[
    str,
    msgspec.Meta(pattern=r"\A(?:[0-9A-F]{2})*\Z", max_length=2 * MAX_VALUE_BYTES),
]
"""Gateways write hexadecimal in capitals."""
Hex32 = Annotated[str, msgspec.Meta(pattern=r"\A[0-9A-F]{64}\Z", max_length=64)]
ObjectId = Annotated[str, msgspec.Meta(pattern=r"\A[0-9A-F]{24}\Z", max_length=24)]
"""An id of the gateway's database: seconds 4 | random 5 | counter 3."""
AccountType = Annotated[int, msgspec.Meta(ge=0, le=0)]
"""The type of metadata that hangs on an account; 1 is a mosaic's, 2 a namespace's."""
Approvals = Annotated[int, msgspec.Meta(ge=0, le=1000)]
PageNumber = Annotated[int, msgspec.Meta(ge=1, le=1 << 20)]
PageSize = Annotated[int, msgspec.Meta(ge=1, le=PAGE_SIZE)]
Total = Annotated[int, msgspec.Meta(ge=0, le=1 << 40)]

MAX_COSIGNATORIES = 1000
"""Far above the networks' limits (25 on Symbol, 10 on Sirius)."""


class BlockMeta(msgspec.Struct, frozen=True, rename="camel"):
    """What a gateway says about a block, beside the block itself."""

    hash: Hex32
    generation_hash: Hex32

    def block(self, height: int) -> Block:
        """Return the block, which is at this height."""
        return Block(
            height, bytes.fromhex(self.hash), bytes.fromhex(self.generation_hash)
        )

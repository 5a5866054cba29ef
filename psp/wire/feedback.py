"""The content of a FEEDBACK block: how the other side's blocks have come.

Source: SPEC.md section 7. Integers are big-endian::

    highest counter 8 | received 4 | marked 4 | came 4 | held 4
"""

import struct
from dataclasses import dataclass
from typing import Self

from psp.errors import DecodeError

_LAYOUT = struct.Struct("!QIIII")
_MASK = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a receiver says; numbers of 4 bytes wrap.

    Attributes:
        highest: The greatest counter among the blocks that came.
        received: Blocks that came, since the session began.
        marked: Cells that a relay on the receiver's circuits marked, likewise.
        came: When block ``highest`` came, microseconds since the session began.
        held: Microseconds from then until this was sent.
    """

    highest: int
    received: int
    marked: int
    came: int
    held: int

    def encode(self) -> bytes:
        """Return the 24 bytes."""
        return _LAYOUT.pack(
            self.highest,
            self.received & _MASK,
            self.marked & _MASK,
            self.came & _MASK,
            min(self.held, _MASK),
        )

    @classmethod
    def decode(cls, content: bytes) -> Self:
        """Read the content of a FEEDBACK block; raises `DecodeError`."""
        if len(content) != _LAYOUT.size:
            raise DecodeError(f"feedback of {len(content)} bytes")
        return cls(*_LAYOUT.unpack(content))

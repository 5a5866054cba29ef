"""BLOCK messages, which both ends take apart without making objects.

::

    0      1                        6            1112
    +------+------------------------+------------+--------------+
    | kind | 24 0000 0452           | block      | zeros        |
    +------+------------------------+------------+--------------+

Every BLOCK has the same five bytes of header: stream 0, and always full.
"""

from psp.wire.onion import (
    BLOCK_SIZE,
    MAX_HOPS,
    MESSAGE_HEADER_SIZE,
    message_capacity,
)
from psp.wire.relay_message import RelayCommand, RelayMessage

BLOCK_HEADER = RelayMessage(RelayCommand.BLOCK, 0, bytes(BLOCK_SIZE)).encode()[
    :MESSAGE_HEADER_SIZE
]
BLOCK_START = 1 + MESSAGE_HEADER_SIZE
BLOCK_END = BLOCK_START + BLOCK_SIZE

BLOCK_PADDING = (
    b"",
    *(bytes(message_capacity(hop) - BLOCK_SIZE) for hop in range(1, MAX_HOPS + 1)),
)
"""By hop: the zeros behind a block in a message to or from it."""

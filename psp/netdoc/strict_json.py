"""Reading JSON that strangers wrote."""

from typing import TypeVar

import msgspec

from psp.errors import DecodeError

StructT = TypeVar("StructT", bound=msgspec.Struct)


def decode_json(data: bytes, shape: type[StructT]) -> StructT:
    """Read one JSON object of the given shape.

    The shape's own limits hold while decoding, so nothing larger is ever built.

    Raises:
        DecodeError: If ``data`` is anything else.
    """
    try:
        return msgspec.json.decode(data, type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        # The library's message quotes the input and names fields: not for logs.
        raise DecodeError(f"not a {shape.__name__} in JSON") from None

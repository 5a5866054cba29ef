"""Errors a client of the chain is told: numbers of JSON-RPC and of EIP-1474."""

from typing import NoReturn

PARSE = -32700
INVALID_REQUEST = -32600
NO_METHOD = -32601
INVALID_PARAMS = -32602
INTERNAL = -32603
SERVER = -32000
LIMIT = -32005
REVERTED = 3
"""As geth: the message of a revert, with the revert's data beside it."""


class RpcError(Exception):
    """Something to tell the client.

    Attributes:
        code: One of the numbers above.
        message: The fact.
        data: The revert's data as hex, or None.
    """

    def __init__(self, code: int, message: str, data: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data

    def encode(self) -> dict[str, object]:
        """Return the error object of a response."""
        error: dict[str, object] = {"code": self.code, "message": self.message}
        if self.data is not None:
            error["data"] = self.data
        return error


def refuse_params(message: str) -> NoReturn:
    """Say that the parameters are wrong.

    Raises:
        RpcError: Always.
    """
    raise RpcError(INVALID_PARAMS, message)


def refuse(message: str) -> NoReturn:
    """Say that the chain does not accept this.

    Raises:
        RpcError: Always.
    """
    raise RpcError(SERVER, message)

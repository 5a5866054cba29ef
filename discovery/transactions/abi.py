"""The contracts' application binary interface, by name.

The only user of eth_abi, which takes 0.2 s and 14 MB to import: it is imported at the
first use. Values here: addresses and bytes32 as bytes, numbers as int, several results
as a tuple. What is read may come from an endpoint that lies: `decode_result` and
`decode_log` raise DecodeError for any bytes and nothing else.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from discovery.contract.artefacts import artefact
from psp.crypto.keccak import keccak256
from psp.errors import DecodeError, LocalProtocolError

_ERROR_SELECTOR = keccak256(b"Error(string)")[:4]
_PANIC_SELECTOR = keccak256(b"Panic(uint256)")[:4]
_MAX_REASON = 200
"""Characters of a contract's reason that are shown."""

_Entry = Mapping[str, Any]
"""One function, event or parameter, as the compiler's JSON has it."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something a contract reported.

    Attributes:
        name: Of the event.
        fields: Its values by name.
    """

    name: str
    fields: Mapping[str, Any]


def call_data(contract: str, function: str, *args: object) -> bytes:
    """Return what a contract is sent to call one of its functions.

    Args:
        contract: ``Relays``, ``Users``, ``Names`` or ``NodeBook``.
        function: Its name in the contract.
        args: As many as it takes.

    Raises:
        LocalProtocolError: If there is no such function or an argument does not fit.
    """
    entry = _function(contract, function)
    return _selector(entry) + _encode(function, _types(entry["inputs"]), args)


def deploy_data(contract: str, *args: object) -> bytes:
    """Return the code of a contract with its constructor's arguments.

    Raises:
        LocalProtocolError: If an argument does not fit.
    """
    compiled = artefact(contract)
    entries = [entry for entry in compiled.abi if entry["type"] == "constructor"]
    inputs: Any = entries[0]["inputs"] if entries else []
    return compiled.bytecode + _encode(contract, _types(inputs), args)


def decode_result(contract: str, function: str, data: bytes) -> Any:  # noqa: ANN401
    """Return what a function returned: its value, a tuple of several, None for none.

    Raises:
        DecodeError: If ``data`` is not that; an address without a contract gives none.
    """
    types = _types(_function(contract, function)["outputs"])
    values = _decode(types, data)
    if len(values) == 1:
        return values[0]
    return values or None


def decode_log(contract: str, topics: Sequence[bytes], data: bytes) -> Event | None:
    """Return the event in a log of a contract; None if it is none of its events.

    Raises:
        DecodeError: If it has the name of an event and not its form.
    """
    entry = _events(contract).get(topics[0]) if topics else None
    if entry is None:
        return None
    indexed = [field for field in entry["inputs"] if field["indexed"]]
    plain = [field for field in entry["inputs"] if not field["indexed"]]
    values = dict(zip(_names(plain), _decode(_types(plain), data), strict=True))
    # Ours index nothing but single words, which stand in the topics as they are.
    words = _decode(_types(indexed), b"".join(topics[1:]))
    values.update(zip(_names(indexed), words, strict=True))
    return Event(entry["name"], values)


def decode_revert(data: bytes) -> str:
    """Return why a contract refused, in its words, or what it gave instead of words.

    `discovery.transactions.reasons.explain` makes a sentence of it.
    """
    selector, body = data[:4], data[4:]
    try:
        if selector == _ERROR_SELECTOR:
            reason: str = _decode(["string"], body)[0]
            shown = "".join(c for c in reason[:_MAX_REASON] if c.isprintable())
            return shown or "no reason given"
        if selector == _PANIC_SELECTOR:
            return f"panic {_decode(['uint256'], body)[0]}"
    except DecodeError:
        pass
    return "no reason given" if not data else f"{len(data)} bytes of unknown meaning"


@cache
def _functions(contract: str) -> Mapping[str, _Entry]:
    entries = artefact(contract).abi
    return {str(e["name"]): e for e in entries if e["type"] == "function"}


@cache
def _events(contract: str) -> Mapping[bytes, _Entry]:
    entries: Iterable[_Entry] = artefact(contract).abi
    return {keccak256(_signature(e)): e for e in entries if e["type"] == "event"}


def _function(contract: str, function: str) -> _Entry:
    try:
        return _functions(contract)[function]
    except KeyError:
        raise LocalProtocolError(f"{contract} has no function {function}") from None


def _selector(entry: _Entry) -> bytes:
    return keccak256(_signature(entry))[:4]


def _signature(entry: _Entry) -> bytes:
    return f"{entry['name']}({','.join(_types(entry['inputs']))})".encode()


def _types(fields: Sequence[_Entry]) -> list[str]:
    return [_type(field) for field in fields]


def _type(field: _Entry) -> str:
    """Return a type as signatures have it: a struct is a tuple in parentheses."""
    name: str = field["type"]
    if not name.startswith("tuple"):
        return name
    return f"({','.join(_types(field['components']))}){name.removeprefix('tuple')}"


def _names(fields: Iterable[_Entry]) -> list[str]:
    return [str(field["name"]) for field in fields]


def _encode(what: str, types: list[str], args: Sequence[object]) -> bytes:
    from eth_abi.abi import encode  # noqa: PLC0415 - slow, see above
    from eth_abi.exceptions import EncodingError  # noqa: PLC0415

    if len(args) != len(types):
        raise LocalProtocolError(
            f"{what} takes {len(types)} arguments, not {len(args)}"
        )
    for kind, value in zip(types, args, strict=True):
        # eth_abi would fill a short key up with zeros.
        if kind == "bytes32" and isinstance(value, bytes) and len(value) != 32:
            raise LocalProtocolError(f"{what}: a key has 32 bytes, not {len(value)}")
    try:
        return encode(types, args)
    except (EncodingError, TypeError, ValueError) as error:
        raise LocalProtocolError(f"{what}: {error!s:.100}") from None


def _decode(types: list[str], data: bytes) -> tuple[Any, ...]:
    from eth_abi.abi import decode  # noqa: PLC0415 - slow, see above
    from eth_abi.exceptions import DecodingError  # noqa: PLC0415

    try:
        values = decode(types, data)
    except (DecodingError, OverflowError, ValueError) as error:
        raise DecodeError(f"not {','.join(types)}: {type(error).__name__}") from None
    return tuple(map(_plain, types, values))


def _plain(kind: str, value: object) -> object:
    """Return a value in our form: eth_abi writes addresses as text."""
    if kind == "address" and isinstance(value, str):
        return bytes.fromhex(value[2:])
    return value

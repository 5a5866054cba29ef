"""What the contracts compile to, as shipped: no compiler is needed to use them.

`artefacts/NAME.json` is written by `python -m discovery.contract.compile`, and a test
compiles again and compares.
"""

import importlib.resources
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

NAMES = ("NodeBook", "Relays", "Users", "Names")
WORD_BYTES = 32


@dataclass(frozen=True, slots=True)
class Artefact:
    """One compiled contract.

    Attributes:
        name: Of the contract.
        abi: Functions, events and the constructor, as JSON says them.
        bytecode: What a deployment sends, before the constructor's arguments.
        runtime: Code of the deployed contract, without its immutables.
        storage_layout: Type, slot and n_slots of each variable, by name.
        immutables: Names, in the order in which their words follow the code.
        compiler: Version of vyper.
        evm_version: Oldest chain whose instructions suffice.
        optimiser: What the compiler optimised for.
        source_sha256: Of the .vy file, in hexadecimal.
    """

    name: str
    abi: Sequence[dict[str, object]]
    bytecode: bytes
    runtime: bytes
    storage_layout: dict[str, dict[str, str | int]]
    immutables: tuple[str, ...]
    compiler: str
    evm_version: str
    optimiser: str
    source_sha256: str

    def slot(self, variable: str) -> int:
        """Return the first storage slot of a variable.

        Raises:
            KeyError: The contract has no such variable.
        """
        return int(self.storage_layout[variable]["slot"])

    def code(self, immutables: Iterable[int] = ()) -> bytes:
        """Return the code of a deployment with these values of its immutables.

        Its Keccak-256 is the code hash in the account's proof: whoever compares them
        knows that the contract at an address is ours, with these parameters.

        Raises:
            ValueError: Too few or too many values.
        """
        words = [value.to_bytes(WORD_BYTES, "big") for value in immutables]
        if len(words) != len(self.immutables):
            raise ValueError(
                f"need {len(self.immutables)} immutables, got {len(words)}"
            )
        return self.runtime + b"".join(words)


@cache
def artefact(name: str) -> Artefact:
    """Return a compiled contract: "NodeBook", "Relays", "Users" or "Names".

    Raises:
        KeyError: There is no such contract.
    """
    if name not in NAMES:
        raise KeyError(f"no contract {name!r}; there are {', '.join(NAMES)}")
    folder = importlib.resources.files("discovery.contract") / "artefacts"
    fields = json.loads((folder / f"{name}.json").read_text("utf-8"))
    return Artefact(
        name=name,
        abi=fields["abi"],
        bytecode=bytes.fromhex(fields["bytecode"]),
        runtime=bytes.fromhex(fields["runtime"]),
        storage_layout=fields["storage_layout"],
        immutables=tuple(fields["immutables"]),
        compiler=fields["compiler"],
        evm_version=fields["evm_version"],
        optimiser=fields["optimiser"],
        source_sha256=fields["source_sha256"],
    )

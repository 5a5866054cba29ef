"""Compiles the contracts; for developers only, as vyper is not shipped.

    python -m discovery.contract.compile            write artefacts/NAME.json
    python -m discovery.contract.compile --check    compare; exit code 1 when they differ

Vyper keeps slot 0 free for a reentrancy lock that none of ours has. The layout here is the
compiler's own, moved down by that one slot; it goes in as vyper's storage layout override
(`vyper --storage-layout-file`), which is also how an explorer verifies the source.
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from discovery.contract.artefacts import NAMES

FOLDER = Path(__file__).parent
LOCK_SLOTS = 1


def source_path(name: str) -> Path:
    """Return where the source of a contract lies."""
    return FOLDER / f"{name}.vy"


def artefact_path(name: str) -> Path:
    """Return where a compiled contract lies."""
    return FOLDER / "artefacts" / f"{name}.json"


def _compile(name: str, formats: tuple[str, ...], layout: object = None) -> Any:  # noqa: ANN401 (vyper has no types)
    from vyper import compile_code  # noqa: PLC0415 (dev only)
    from vyper.compiler.input_bundle import JSONInput  # noqa: PLC0415

    override = None
    if layout is not None:
        path = Path(f"{name}.layout.json")
        text = json.dumps(layout) + "\n"  # hashed into the metadata of the bytecode
        override = JSONInput(
            source_id=-1, path=path, resolved_path=path, contents=text, data=layout
        )
    return compile_code(
        source_path(name).read_text("utf-8"),
        contract_path=f"{name}.vy",
        output_formats=formats,
        storage_layout_override=override,
    )


def storage_layout(name: str) -> dict[str, Any]:
    """Return the compiler's layout without the slot of the lock."""
    layout = _compile(name, ("layout",))["layout"]["storage_layout"]
    for row in layout.values():
        row["slot"] -= LOCK_SLOTS
    return dict(layout)


def documentation(name: str) -> dict[str, Any]:
    """Return the NatSpec of a contract: what is in `userdoc` and `devdoc`."""
    return dict(_compile(name, ("userdoc", "devdoc")))


def build(name: str) -> str:
    """Compile a contract and return the text of its artefact: always the same."""
    import vyper  # noqa: PLC0415 (dev only)
    from vyper.compiler.settings import OptimizationLevel  # noqa: PLC0415

    source = source_path(name).read_bytes()
    layout = storage_layout(name)
    formats = ("abi", "bytecode", "bytecode_runtime", "layout")
    out = _compile(name, formats, layout)
    fields = {
        "name": name,
        "compiler": f"vyper {vyper.__version__}",
        "evm_version": "paris",
        "optimiser": OptimizationLevel.default().name.lower(),
        "source_sha256": hashlib.sha256(source).hexdigest(),
        "storage_layout": out["layout"]["storage_layout"],
        "immutables": list(out["layout"].get("code_layout", {})),
        "abi": out["abi"],
        "runtime": out["bytecode_runtime"].removeprefix("0x"),
        "bytecode": out["bytecode"].removeprefix("0x"),
    }
    return json.dumps(fields, indent=1) + "\n"


def main() -> int:
    """Write the artefacts, or compare them."""
    parser = argparse.ArgumentParser(description="Compile the contracts.")
    parser.add_argument("--check", action="store_true", help="write nothing, compare")
    is_check = parser.parse_args().check
    differ = []
    for name in NAMES:
        text = build(name)
        path = artefact_path(name)
        if is_check and path.read_text("utf-8") != text:
            differ.append(name)
        elif not is_check:
            path.write_text(text, "utf-8")
    for name in differ:
        sys.stderr.write(f"{name}: the artefact is not what its source compiles to\n")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())

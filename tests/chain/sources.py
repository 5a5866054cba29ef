"""Contracts of the tests, and variants of ours to measure: compiled when needed."""

from functools import cache
from pathlib import Path

from vyper import compile_code

from discovery.contract.compile import source_path

FOLDER = Path(__file__).parent / "contracts"

HASHED = {
    "_words": "",
    "_next": "",
    "add": "number, identity, onion, sig, endpoints",
    "replace": "number, identity, onion, sig, endpoints",
    "rotate": "number, onion, sig",
    "end": "number, status",
}
"""What writes records, and what a digest of all writes takes in."""


@cache
def compiled(source):
    """Return ABI and bytecode of a source text."""
    out = compile_code(source, output_formats=("abi", "bytecode"))
    return out["abi"], bytes.fromhex(out["bytecode"].removeprefix("0x"))


def helper(name):
    """Return ABI and bytecode of a contract that only tests have."""
    return compiled((FOLDER / f"{name}.vy").read_text("utf-8"))


def joined(*, has_digest=False):
    """Return the source of Relays with the records inside: what the split is measured by.

    Args:
        has_digest: Whether a hash of all writes is kept, the other way to prove that a
            listing is complete: whoever replays every write has the same.
    """
    book, relays = (
        source_path(name).read_text("utf-8") for name in ("NodeBook", "Relays")
    )
    interface = _between(relays, "interface NodeBook:", "ACTIVE: constant")
    record = _between(book, "struct Record:", "event Bound")
    kept = _between(book, "KEPT: constant", "MAX_PAGE: constant")
    relays = relays.replace(interface, kept + record)
    relays = relays.replace(
        "params: uint256\n",
        "node_count: public(uint256)\nrecords: HashMap[uint256, Record]\n"
        "digest: bytes32\nparams: uint256\n",
    )
    check = _between(relays, "    assert book.is_contract", "    assert users")
    relays = relays.replace(check, "")
    for line in ("BOOK: immutable(NodeBook)\n", "    BOOK = NodeBook(book)\n"):
        relays = relays.replace(line, "")
    relays = relays.replace("staticcall BOOK.head(number)", "self.records[number].head")
    relays = relays.replace("staticcall BOOK.node_count()", "self.node_count")
    relays = relays.replace("extcall BOOK.", "self._book_")
    return relays + _writers(book, has_digest=has_digest)


def _between(text, first, last):
    start = text.index(first)
    return text[start : text.index(last, start)]


def _writers(book, *, has_digest):
    """Return the functions that write records, as internal ones."""
    found = []
    for part in book.split("\n\n\n"):
        name = part.partition("def ")[2].partition("(")[0]
        if name not in HASHED:
            continue
        text = part.replace('    assert msg.sender == self.keeper, "keeper"\n', "")
        if "@external" in text:
            text = text.replace("@external", "@internal")
            text = text.replace(f"def {name}(", f"def _book_{name}(")
            if has_digest:
                text = _with_digest(text.rstrip() + "\n", HASHED[name])
        found.append(text.rstrip() + "\n")
    assert len(found) == len(HASHED)
    return "\n\n" + "\n\n".join(found)


def _with_digest(text, hashed):
    """Add the digest behind a function's last write."""
    line = f"    self.digest = keccak256(abi_encode(self.digest, {hashed}))\n"
    body, is_returning, result = text.rpartition("    return ")
    return body + line + is_returning + result if is_returning else text + line

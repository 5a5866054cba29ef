"""Reads the ``Attributes:`` section of a class, so that each fact is written once."""

import inspect
import re

_ENTRY = re.compile(r"^(\w+): (.*)$")


def attribute_docs(kind: type) -> dict[str, str]:
    """Return what a class's docstring says of its attributes, in its order.

    Empty when Python strips docstrings (``-OO``).
    """
    _, _, section = inspect.cleandoc(kind.__doc__ or "").partition("Attributes:\n")
    docs: dict[str, list[str]] = {}
    current: list[str] = []
    for line in section.splitlines():
        if line and not line.startswith("    "):
            break
        text = line[4:]
        entry = _ENTRY.match(text)
        if entry is not None:
            current = docs[entry[1]] = [entry[2]]
        elif text.strip():
            current.append(text.strip())
    return {name: " ".join(lines) for name, lines in docs.items()}

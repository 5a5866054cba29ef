"""Values that must not be read in a log."""

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, repr=False)
class Sensitive(Generic[T]):
    """Carries a value that prints as ``[scrubbed]``.

    Attributes:
        value: The thing itself, for whoever really needs it.
    """

    value: T

    def __repr__(self) -> str:
        return "[scrubbed]"

    __str__ = __repr__

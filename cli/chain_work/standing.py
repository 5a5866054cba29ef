"""How an identity stands among the records of a chain, before anybody pays for another.

Anybody can write anybody's key into a record of his own. Without that key's signature the
record counts for nothing; with it, the lowest number counts, and once revoked none does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cli.output import note, print_warning
from discovery.transactions.wallet import address_text
from psp.directory.chain.listed import ListedRecord, NotCounted
from psp.directory.chain.records import NodeList, NodeStatus
from psp.directory.chain.users import UserList
from psp.errors import PspError

_STATUS = 15
_REVOKED = NodeStatus.REVOKED
"""The same number for users."""


class TakenError(PspError):
    """A record of this identity would not count."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The records of one identity.

    Attributes:
        counting: The one that counts; None without one.
        signed: Active ones that the identity has signed, by number.
        copies: How many others show it without its signature; they do not matter.
        is_dead: Whether it was revoked, which is for ever.
    """

    counting: ListedRecord | None
    signed: tuple[ListedRecord, ...]
    copies: int
    is_dead: bool

    def owned_by(self, owner: bytes) -> ListedRecord | None:
        """Return the first signed record of an account."""
        return next((r for r in self.signed if r.owner == owner), None)


def standing(records: NodeList | UserList, identity: bytes) -> Standing:
    """Return how an identity stands in a list."""
    return _standing(records.listed, records.verdicts, records.numbers, identity)


def check_free(
    stands: Standing, owner: bytes, *, kind: str, is_forced: bool = False
) -> None:
    """Make sure that a new record of an identity would count.

    Args:
        stands: How the identity stands.
        owner: Who is about to register it, 20 bytes.
        kind: ``relay`` or ``user``.
        is_forced: To warn only, where somebody else's record could still be ended.

    Raises:
        TakenError: If it would not.
    """
    if stands.is_dead:
        raise TakenError(
            f"this {kind}'s identity was revoked and never counts again; make a new key. "
            "Nothing was sent"
        )
    ours = stands.owned_by(owner)
    if ours is not None:
        verb = "psp relay update" if kind == "relay" else "psp user rotate"
        raise TakenError(
            f"this identity is registered under the same account already, as number "
            f"{ours.number}; {verb} changes it. Nothing was sent"
        )
    if stands.counting is not None:
        text = (
            f"this identity is registered already, as number {stands.counting.number} of "
            f"{address_text(stands.counting.owner)}, with its own valid signature; the "
            "lower number counts, so a new record would not"
        )
        if not is_forced:
            raise TakenError(
                f"{text}. Nothing was sent; --anyway pays for it nevertheless"
            )
        print_warning(text)
    if stands.copies:
        note(
            f"{stands.copies} others have entered this identity without its signature; "
            "they do not count"
        )


def _standing(
    listed: Sequence[ListedRecord],
    verdicts: Sequence[object],
    numbers: Mapping[int, bytes],
    identity: bytes,
) -> Standing:
    counting: ListedRecord | None = None
    signed: list[ListedRecord] = []
    copies, is_dead = 0, False
    for record, verdict in zip(listed, verdicts, strict=True):
        if record.identity != identity:
            continue
        if isinstance(verdict, NotCounted):
            copies += 1
        elif record.summary & _STATUS == _REVOKED:
            is_dead = True
        else:
            signed.append(record)
            if numbers.get(record.number) == identity:
                counting = record
    return Standing(counting, tuple(signed), copies, is_dead)

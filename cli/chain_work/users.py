"""Which user of the chain is meant, and whether his records count."""

from dataclasses import dataclass
from typing import Self

from cli.chain_work.nodes import NotRegisteredError, parse_id, parse_number
from discovery.transactions.wallet import address_text
from psp.directory.chain.listed import NotCounted
from psp.directory.chain.users import ListedUser, UserList, UserStatus
from psp.errors import ConfigError


@dataclass(frozen=True, slots=True)
class NamedUser:
    """A user, named in one of two ways.

    Attributes:
        number: Of the record; None for all of an identity.
        identity: Ed25519 key, 32 bytes; empty for one of a number.
    """

    number: int | None = None
    identity: bytes = b""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a number or an id.

        Raises:
            ConfigError: If it is neither.
        """
        number = parse_number(text)
        return cls(number) if number is not None else cls(identity=parse_id(text))

    def fits(self, record: ListedUser) -> bool:
        """Tell whether a record is one of this user's."""
        return record.number == self.number or record.identity == self.identity


def own_number(users: UserList, wanted: NamedUser, account: bytes) -> int:
    """Return the number of a user's active record that belongs to an account.

    Raises:
        NotRegisteredError: If the user has no record.
        ConfigError: If it is another account's, or was revoked.
    """
    found = [record for record in users.listed if wanted.fits(record)]
    active = [record for record in found if record.status is UserStatus.ACTIVE]
    ours = [record for record in active if record.owner == account]
    if ours:
        return ours[0].number
    if active:
        raise ConfigError(
            f"user {active[0].number} belongs to {address_text(active[0].owner)}, not to "
            f"this wallet's {address_text(account)}; use its owner's wallet"
        )
    if found:
        raise ConfigError(f"user {found[0].number} was revoked already")
    raise NotRegisteredError(
        "there is no such user; if it was registered a moment ago, wait until that is "
        "final"
    )


def verdict_on(users: UserList, record: ListedUser) -> str:
    """Return why a record does not count; empty if it does."""
    if record.number in users.numbers:
        return ""
    verdict = users.verdicts[record.number - 1]
    if isinstance(verdict, NotCounted):
        return str(verdict)
    if record.status is UserStatus.REVOKED:
        return str(NotCounted.REVOKED)
    is_dead = verdict in users.revoked
    return str(NotCounted.DEAD if is_dead else NotCounted.DOUBLE)


def figures_of(record: ListedUser, verdict: str) -> dict[str, object]:
    """Return a record for programs."""
    return {
        "number": record.number,
        "id": record.identity.hex(),
        "owner": address_text(record.owner),
        "version": record.version,
        "changed": record.changed,
        "counts": not verdict,
        "reason": verdict,
    }

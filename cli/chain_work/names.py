"""Names on the chain: read and proven, whose they are, and what the contract would say.

What is checked here is checked again by the contract; but a sentence now is better than a
refusal later, and says what to do.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cli.chain_work.chain import Chain
from cli.chain_work.nodes import NotRegisteredError, utc
from cli.chain_work.standing import TakenError
from cli.chain_work.target import load_membership
from cli.chain_work.users import NamedUser, own_number, verdict_on
from discovery.transactions.wallet import address_text, parse_address
from psp.client.contacts.contact import REGISTERED_MARK
from psp.directory.chain.names import (
    GRACE,
    HOLD,
    LIFETIME,
    ListedName,
    NameDoubt,
    NameList,
    NameStatus,
    name_word,
)
from psp.directory.chain.users import UserList, UserStatus
from psp.errors import ConfigError
from psp.runtime.chain_names import ChainNames
from psp.runtime.chain_reader import Reading
from psp.runtime.quorum import ChainReadError


@dataclass(frozen=True, slots=True)
class NamesLook:
    """All names and users at one block, proven.

    Attributes:
        reading: The registry at that block.
        users: Its users.
        names: The names.
        deposit: What one costs, in wei.
    """

    reading: Reading
    users: UserList = field(repr=False)
    names: NameList = field(repr=False)
    deposit: int

    def active(self, name: str) -> ListedName | None:
        """Return the active record of a name, expired or not; None without one."""
        word = name_word(name)
        return self._active(lambda record: record.word == word)

    def held(self, user: int) -> ListedName | None:
        """Return the active record that a user has, expired or not."""
        return self._active(lambda record: record.user == user)

    def answer(self, record: ListedName) -> str:
        """Return why a record does not count; empty if it does."""
        verdict = self.names.verdicts[record.number - 1]
        return str(verdict) if isinstance(verdict, NameDoubt) else ""

    def figures(self, record: ListedName) -> dict[str, object]:
        """Return a record for programs."""
        verdict = self.names.verdicts[record.number - 1]
        reason = self.answer(record)
        return {
            "number": record.number,
            "name": record.name,
            "user": record.user,
            "id": "" if isinstance(verdict, NameDoubt) else verdict.hex(),
            "owner": address_text(record.owner),
            "expires": record.expires,
            "counts": not reason,
            "reason": reason,
        }

    def _active(self, fits: Callable[[ListedName], bool]) -> ListedName | None:
        found = (
            record
            for record in self.names.listed
            if record.status is NameStatus.ACTIVE and fits(record)
        )
        return next(found, None)


async def read_names(
    chain: Chain, address: bytes, reading: Reading | None = None
) -> NamesLook:
    """Read all names.

    Args:
        chain: The chain.
        address: Of the contract of names.
        reading: The registry with its users, at the block to read at; None for the
            newest agreed one.

    Raises:
        ContractError: If there is no contract of names of this network.
        ChainReadError: If the chain cannot be read.
    """
    reader = chain.reader()
    if reading is None:
        reading = await reader.read()
    contract = ChainNames(reader, address)
    names = await contract.read(reading)
    users = reading.view.users
    assert users is not None  # noqa: S101 - they were asked for
    return NamesLook(reading, users, names, contract.deposit)


async def names_status(
    chain: Chain, address: bytes | None, reading: Reading
) -> tuple[int | None, str]:
    """Return how many names count, and how they stand, for people.

    Args:
        chain: The chain.
        address: Of the contract; None without one.
        reading: The registry with its users.

    Returns:
        None and the reason if they cannot be told.
    """
    if address is None:
        return None, "the settings name no contract of names"
    try:
        names = (await read_names(chain, address, reading)).names
    except ChainReadError as error:
        return None, str(error)
    return len(names.users), f"{len(names.users)}, proven; records: {len(names.listed)}"


def find_contract(settings_file: Path | None, given: str | None) -> bytes:
    """Return the address of the contract of names.

    Raises:
        ConfigError: If neither the settings nor an option name one.
    """
    if given is not None:
        return parse_address(given)
    address = configured_names(settings_file)
    if address is None:
        raise ConfigError(
            "no contract of names is named: set membership.names, or give --names "
            "ADDRESS. A network that was founded without names has none; psp chain "
            "deploy adds it"
        )
    return address


def configured_names(settings_file: Path | None) -> bytes | None:
    """Return the address in the settings; None without.

    Raises:
        ConfigError: If it is none, or the settings are not in order.
    """
    if settings_file is None:
        return None
    return load_membership(settings_file).names_address()


def user_for_name(look: NamesLook, wanted: NamedUser | None, account: bytes) -> int:
    """Return the number of the user that gets a name.

    Args:
        look: All users.
        wanted: Who was named; None for the only one of the account.
        account: Who pays and owns it, 20 bytes.

    Raises:
        NotRegisteredError: If there is none.
        ConfigError: If it is not clear which, or it is another account's.
        TakenError: If the user's record does not count, so that no name of it would.
    """
    if wanted is not None:
        number = own_number(look.users, wanted, account)
    else:
        number = _only_user(look.users, account)
    reason = verdict_on(look.users, look.users.listed[number - 1])
    if reason:
        raise TakenError(
            f"user {number} does not count ({reason}), and so would no name of it. "
            "Nothing was sent"
        )
    return number


def check_free(look: NamesLook, name: str, user: int, account: bytes, now: int) -> None:
    """Make sure that the contract would give a name to a user.

    Args:
        look: All names.
        name: Normalised.
        user: Number of the user's record, owned by the account.
        account: Who registers it, 20 bytes.
        now: Time of the newest block.

    Raises:
        TakenError: If it would not; says when it will, if ever.
    """
    own = look.held(user)
    if own is not None and own.owner == account and now <= own.expires:
        what = f"has the name {own.name} already, until {utc(own.expires)}"
        cure = "renew keeps it" if own.name == name else "release gives it up"
        raise _taken(f"user {user} {what}; psp name {cure}")
    old = look.active(name)
    if old is not None and old != own and old.owner != account:
        _check_over(old, name, now)
    for record in (own, old):
        if record is not None and now < _free_from(record):
            raise _taken(
                f"the record of {record.name} that this ends has to stay until "
                f"{utc(_free_from(record))}, a week from its registration or renewal"
            )


def own_name(look: NamesLook, name: str, account: bytes) -> ListedName:
    """Return the active record of a name that an account owns.

    Raises:
        NotRegisteredError: If there is none.
        ConfigError: If it is another's.
    """
    record = look.active(name)
    if record is None:
        raise NotRegisteredError(
            f"nobody has the name {name}; if it was registered a moment ago, wait until "
            "that is final"
        )
    if record.owner != account:
        raise ConfigError(
            f"the name {name} belongs to {address_text(record.owner)}, not to this "
            f"wallet's {address_text(account)}; use its owner's wallet"
        )
    return record


def check_release(record: ListedName, now: int) -> None:
    """Make sure that a name can be given up now.

    Raises:
        TakenError: If it is too early.
    """
    if now < _free_from(record):
        raise _taken(
            f"the name {record.name} can be given up from {utc(_free_from(record))} on, "
            "a week after it was registered or renewed"
        )


def state_of(look: NamesLook, name: str) -> str:
    """Return how a name stands, for people: whose it is, or whether it is free."""
    record = look.names.newest(name)
    if record is None:
        return "free: nobody has ever registered it"
    if record.status is NameStatus.ENDED:
        return "free: it was given up"
    reason = look.answer(record)
    if not reason:
        return "counts"
    if reason == NameDoubt.EXPIRED and look.names.timestamp > record.expires + GRACE:
        return "free: it expired more than 30 days ago"
    return f"does not count: {reason}"


def _only_user(users: UserList, account: bytes) -> int:
    owned = [
        record.number
        for record in users.listed
        if record.owner == account and record.status is UserStatus.ACTIVE
    ]
    if not owned:
        raise NotRegisteredError(
            f"{address_text(account)} has no user; a name is for a registered one (psp "
            "user register). If that was a moment ago, wait until it is final"
        )
    if len(owned) > 1:
        named = ", ".join(map(str, owned))
        raise ConfigError(f"which of the users {named}? say so with --user")
    return owned[0]


def _check_over(record: ListedName, name: str, now: int) -> None:
    free = record.expires + GRACE
    if now <= record.expires:
        raise _taken(
            f"{name} is taken, by user {record.user}, until {utc(record.expires)}; it is "
            f"free from {utc(free)} on if it is not renewed"
        )
    if now <= free:
        raise _taken(
            f"{name} expired at {utc(record.expires)} and is kept for its owner until "
            f"{utc(free)}"
        )


def _free_from(record: ListedName) -> int:
    """Return from when on a record can be ended."""
    return record.expires - LIFETIME + HOLD


def _taken(sentence: str) -> TakenError:
    return TakenError(f"{sentence}. Nothing was sent")


def check_name(text: str) -> str:
    """Return a name as typed by a person, with or without ``@``, normalised.

    Raises:
        DecodeError: If it can be no name; says what one looks like.
    """
    return name_word(text.removeprefix(REGISTERED_MARK)).rstrip(b"\0").decode()

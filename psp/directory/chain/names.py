"""Human-readable names of users: which there are, that none is missing, and which count.

Two words each, by number: head | name, ASCII with zeros behind it. A name has 3 to 31 of
``a-z``, ``0-9`` and single hyphens inside, in lower case only: no two spellings and no
letters of other alphabets can stand for one.

A name counts if its record is active and has not expired, its user's record counts and
still belongs to the account that registered the name; if a user has two, the lower
number counts. The storage of the contract holds nothing that the listing does not imply,
so the root rebuilt from a whole listing proves it: nobody is asked for a single name.
"""

import enum
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from psp.directory.chain import layout
from psp.directory.chain.layout import NAME_WORDS, WORD, mapping_slot
from psp.directory.chain.listed import ListedRecord, cut, joined
from psp.directory.chain.trie import StorageTrie
from psp.directory.chain.users import UserList
from psp.errors import DecodeError
from psp.ids import UserId
from psp.units import UnixTime

MIN_NAME = 3
MAX_NAME = 31
"""Characters: with a zero behind it a name fills one word of the contract."""

LIFETIME = 365 * 86_400
GRACE = 30 * 86_400
"""Seconds behind the expiry in which only the old owner can have a name again."""
HOLD = 7 * 86_400
"""Seconds for which a deposit stays at least."""

MAX_NAMES = 65_536
"""Numbers given, ended ones included: 4 MB. Our choice, at what a phone can prove in
seconds; each of them cost a deposit that was bound for a week."""

CODE_HASH = bytes.fromhex(
    "cec7b86d626b1056edcd9dca89cdb5efb9ac3bf387f212978abf32590e022927"
)
"""Keccak-256 of the contract's code, the same everywhere: what is proven about another
code would prove nothing about names."""

_ALPHABET = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-")


class NameStatus(enum.IntEnum):
    """What the contract says of a record."""

    ACTIVE = 1
    ENDED = 2
    """Released by its owner, or replaced by a newer record."""


class NameDoubt(enum.StrEnum):
    """Why a record that the contract holds does not count."""

    ENDED = "released or replaced"
    FORM = "not of a name's form"
    EXPIRED = "expired"
    USER = "its user's record does not count"
    OWNER = "its user's record belongs to another account"
    DOUBLE = "a lower number has the name, or names the user"


def normalised(text: str) -> str:
    """Return a name as the contract has it, from any mixture of small and large letters.

    Raises:
        DecodeError: If it can be no name; says what one looks like.
    """
    # Only of ASCII: other alphabets have letters whose lower case is an ASCII letter.
    name = text.lower() if text.isascii() else text
    if not is_name(name):
        raise DecodeError(
            f"{_shown(text)} can be no name: a name has {MIN_NAME} to {MAX_NAME} "
            "characters of a-z, 0-9 and single hyphens, none at either end"
        )
    return name


def is_name(text: str) -> bool:
    """Tell whether a text is a name in its one spelling."""
    return text.isascii() and _is_name(text.encode())


def name_word(name: str) -> bytes:
    """Return a name, normalised, as the contract takes it, 32 bytes.

    Raises:
        DecodeError: If it can be no name.
    """
    return normalised(name).encode().ljust(WORD, b"\0")


class ListedName(ListedRecord):
    """One record."""

    __slots__ = ()

    @property
    def status(self) -> NameStatus:
        """What the contract says of it."""
        return NameStatus(self.raw[11])

    @property
    def user(self) -> int:
        """Number of the user's record."""
        return int.from_bytes(self.raw[4:8])

    @property
    def expires(self) -> UnixTime:
        """The last second in which it counts."""
        return UnixTime(int.from_bytes(self.raw[0:4]))

    @property
    def word(self) -> bytes:
        """The name as it is on the chain, 32 bytes."""
        return self.raw[WORD:]

    @property
    def name(self) -> str:
        """The name; empty if it has no name's form."""
        text = self.word.rstrip(b"\0")
        return text.decode("ascii") if _is_name(text) else ""


Verdict = UserId | NameDoubt
"""Whose name it is, or why it does not count."""


@dataclass(frozen=True, slots=True)
class NameList:
    """All names, as they count at one time.

    Attributes:
        listed: Every record, the i-th with number i + 1.
        timestamp: Of the block that they were read at.
        users: User by name, of names that count, read-only.
        names: Name by user, read-only.
        refused: How many records do not count, by reason.
        verdicts: On each record.
    """

    listed: tuple[ListedName, ...] = field(repr=False)
    timestamp: UnixTime
    users: Mapping[str, UserId] = field(repr=False, compare=False)
    names: Mapping[UserId, str] = field(repr=False, compare=False)
    refused: Mapping[NameDoubt, int] = field(compare=False)
    verdicts: tuple[Verdict, ...] = field(repr=False, compare=False)

    @property
    def listing(self) -> bytes:
        """The whole listing."""
        return joined(self.listed)

    def newest(self, name: str) -> ListedName | None:
        """Return the newest record of a name, whether it counts or not."""
        word = name_word(name)
        found = (record for record in reversed(self.listed) if record.word == word)
        return next(found, None)


def split_names(data: bytes, *, first: int = 1) -> tuple[ListedName, ...]:
    """Cut a listing, or a page of one, into records.

    Raises:
        DecodeError: If it is not one, or has more than 65,536 records.
    """
    return cut(
        ListedName,
        data,
        first=first,
        words=NAME_WORDS,
        most=MAX_NAMES,
        statuses=frozenset(NameStatus),
        what="names",
    )


def join_names(listed: Sequence[ListedName]) -> bytes:
    """Return the listing of some records, in their order."""
    return joined(listed)


def read_names(
    listed: Sequence[ListedName], users: UserList, timestamp: UnixTime
) -> NameList:
    """Take the names that count.

    Args:
        listed: Every record, by number, proven.
        users: The users of the same network.
        timestamp: Of the block at which the two were read.
    """
    owners: dict[str, UserId] = {}
    names: dict[UserId, str] = {}
    verdicts: list[Verdict] = []
    for record in listed:
        verdict = _verdict(record, users, timestamp)
        if not isinstance(verdict, NameDoubt):
            if record.name in owners or verdict in names:
                verdict = NameDoubt.DOUBLE
            else:
                owners[record.name] = verdict
                names[verdict] = record.name
        verdicts.append(verdict)
    refused = Counter(each for each in verdicts if isinstance(each, NameDoubt))
    return NameList(
        tuple(listed),
        timestamp,
        MappingProxyType(owners),
        MappingProxyType(names),
        MappingProxyType(refused),
        tuple(verdicts),
    )


class NamesTrie:
    """The contract's storage, kept to tell the root of the next listing in milliseconds."""

    def __init__(self, users: bytes, deposit: int) -> None:
        """Start without names.

        Args:
            users: Address of Users, 20 bytes.
            deposit: Wei.
        """
        self._constants = (
            (layout.NAMES_USERS, int.from_bytes(users)),
            (layout.NAMES_DEPOSIT, deposit),
        )
        self._trie = StorageTrie(self._constants)
        self._held: tuple[ListedName, ...] = ()

    def root(self, listed: Sequence[ListedName]) -> bytes:
        """Return the storage root of a contract with exactly these records, 32 bytes."""
        if not self._go_on_from_held(listed):
            self._trie, self._held = StorageTrie(self._constants), ()
        for old, new in zip(self._held, listed, strict=False):
            if old.raw != new.raw:
                self._trie.update(_record_words(new))
        for new in listed[len(self._held) :]:
            self._trie.update(_words(new))
        self._trie.update([(layout.NAMES_COUNT, len(listed))])
        self._held = tuple(listed)
        return self._trie.root()

    def _go_on_from_held(self, listed: Sequence[ListedName]) -> bool:
        """Tell whether only heads have changed and records were added, as on a chain."""
        return len(listed) >= len(self._held) and all(
            old.raw == new.raw or (old.user, old.word) == (new.user, new.word)
            for old, new in zip(self._held, listed, strict=False)
        )


def _words(record: ListedName) -> Iterator[tuple[int, int]]:
    """Yield slot and value of every word that a new record writes."""
    yield from _record_words(record)
    name = int.from_bytes(record.word)
    yield mapping_slot(layout.NAMES_NUMBERS, name), record.number
    yield mapping_slot(layout.NAMES_HELD, record.user), record.number


def _record_words(record: ListedName) -> Iterator[tuple[int, int]]:
    base = mapping_slot(layout.NAMES_RECORDS, record.number)
    yield base, int.from_bytes(record.raw[:WORD])
    yield base + 1, int.from_bytes(record.word)


def _verdict(record: ListedName, users: UserList, timestamp: UnixTime) -> Verdict:
    """Judge a record by itself."""
    if record.status is not NameStatus.ACTIVE:
        return NameDoubt.ENDED
    if not record.name:
        return NameDoubt.FORM
    if timestamp > record.expires:
        return NameDoubt.EXPIRED
    user = users.numbers.get(record.user)
    if user is None:
        return NameDoubt.USER
    if users.listed[record.user - 1].owner != record.owner:
        return NameDoubt.OWNER
    return user


def _is_name(text: bytes) -> bool:
    return (
        MIN_NAME <= len(text) <= MAX_NAME
        and _ALPHABET.issuperset(text)
        and not text.startswith(b"-")
        and not text.endswith(b"-")
        and b"--" not in text
    )


def _shown(text: str) -> str:
    """Return a text for messages: short, and of nothing but ASCII."""
    return ascii(text if len(text) <= MAX_NAME else f"{text[:MAX_NAME]}...")

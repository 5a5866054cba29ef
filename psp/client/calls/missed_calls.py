"""Calls that nobody took: notices collected from mailboxes, and rings that ended.

Kept between runs, sealed, with the keys of the mailboxes that are still to be emptied: a
client that went away hours ago opens what was left for it meanwhile.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from psp.client.sealed_file import SealedFile
from psp.errors import ConfigError
from psp.ids import NodeId, UserId
from psp.runtime.statefile import JsonValue
from psp.units import UnixTime

MissedListener = Callable[["MissedCall"], None]
"""Takes a call that was missed."""
_Rows = list[JsonValue]

MAX_CALLS = 256
"""Kept; the oldest is forgotten first."""
MAX_ABSENCES = 32
"""Mailboxes to be emptied; the oldest is forgotten first. Each lives a day at most."""


@dataclass(frozen=True, slots=True)
class MissedCall:
    """A call that nobody took.

    Attributes:
        when: Unix seconds, of a notice by the caller's clock.
        caller: Who left the notice, verified; None when the caller did not say, and of
            a ring.
        contact: Whose ticket a ring came with; None of a notice, and of strangers.
        text: What the notice says; unverified, may be empty.
        is_notice: Whether it was left in a mailbox; else it rang here.
    """

    when: int
    caller: UserId | None = None
    contact: str | None = None
    text: str = ""
    is_notice: bool = False


@dataclass(frozen=True, slots=True)
class Absence:
    """One mailbox of ours.

    Attributes:
        presence_point: Who keeps it.
        tag: Its name there.
        contact_private: Opens its notices.
        until: When it ends by itself.
    """

    presence_point: NodeId
    tag: bytes = field(repr=False)
    contact_private: bytes = field(repr=False)
    until: UnixTime


class MissedCalls:
    """The list, and its file.

    Attributes:
        on_missed: Told of every new one.
    """

    def __init__(self, file: SealedFile | None = None) -> None:
        """Read the file.

        Args:
            file: None keeps everything in memory only.

        Raises:
            ConfigError: If it is damaged, or another identity's.
        """
        self.on_missed: MissedListener = lambda _: None
        self._file = file
        self._calls: list[MissedCall] = []
        self._absences: list[Absence] = []
        if file is not None:
            try:
                state = file.load()
                self._calls = list(map(_call, _rows(state, "calls")))
                self._absences = list(map(_absence, _rows(state, "absences")))
            except (AttributeError, KeyError, TypeError, ValueError):
                raise ConfigError(f"{file.path} holds something else") from None

    def list(self) -> "tuple[MissedCall, ...]":
        """Return all of them, the newest last."""
        return tuple(self._calls)

    def add(self, *calls: MissedCall) -> "tuple[MissedCall, ...]":
        """Keep calls, save, and return those that are new.

        The same notice may lie in several mailboxes.
        """
        new = []
        for call in calls:
            if not (call.is_notice and call in self._calls):
                self._calls.append(call)
                new.append(call)
        if new:
            self._calls.sort(key=lambda call: call.when)
            del self._calls[:-MAX_CALLS]
            self._save()
        for call in new:
            self.on_missed(call)
        return tuple(new)

    def clear(self) -> None:
        """Forget all calls."""
        self._calls.clear()
        self._save()

    # -- mailboxes

    def absences(self, unix_now: float) -> "tuple[Absence, ...]":
        """Return the mailboxes that are still to be emptied."""
        return tuple(a for a in self._absences if a.until > unix_now)

    def add_absence(self, absence: Absence) -> None:
        """Remember a mailbox, and save."""
        self._absences = [a for a in self._absences if a.tag != absence.tag]
        self._absences.append(absence)
        del self._absences[:-MAX_ABSENCES]
        self._save()

    def remove_absence(self, tag: bytes) -> None:
        """Forget a mailbox that is empty or gone, and save."""
        self._absences = [a for a in self._absences if a.tag != tag]
        self._save()

    def _save(self) -> None:
        if self._file is None:
            return
        calls: _Rows = [
            {
                "when": call.when,
                "caller": None if call.caller is None else call.caller.hex(),
                "contact": call.contact,
                "text": call.text,
                "is_notice": call.is_notice,
            }
            for call in self._calls
        ]
        absences: _Rows = [
            {
                "presence_point": absence.presence_point.hex(),
                "tag": absence.tag.hex(),
                "contact_private": absence.contact_private.hex(),
                "until": absence.until,
            }
            for absence in self._absences
        ]
        self._file.save({"calls": calls, "absences": absences})


def _rows(state: dict[str, object], key: str) -> "list[dict[str, object]]":
    rows = state.get(key, [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise TypeError(key)
    return rows


def _call(row: dict[str, object]) -> MissedCall:
    caller, contact = row["caller"], row["contact"]
    return MissedCall(
        when=int(str(row["when"])),
        caller=None if caller is None else UserId(bytes.fromhex(str(caller))),
        contact=None if contact is None else str(contact),
        text=str(row["text"]),
        is_notice=bool(row["is_notice"]),
    )


def _absence(row: dict[str, object]) -> Absence:
    return Absence(
        NodeId(bytes.fromhex(str(row["presence_point"]))),
        bytes.fromhex(str(row["tag"])),
        bytes.fromhex(str(row["contact_private"])),
        UnixTime(int(str(row["until"]))),
    )

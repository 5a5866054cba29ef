"""What can go wrong for an app, one class per thing that it may want to do about it.

::

    PspError
    ├── KeysEndedError              the keys on this host have ended; delegate anew
    └── PresenceError               about somebody we look for
        ├── UnknownContactError     no such contact, card or name
        ├── ContactRevokedError     the contact was removed meanwhile
        ├── UserRevokedError        the registry says that the identity is lost
        ├── ChangedIdentityError    a known name came with another identity
        ├── WordsDifferError        the fingerprint words are not the same
        ├── WrongNetworkError       a card or name of another network
        ├── ClockError              our clock is too far off to tell anything
        └── CallError               a call did not come about
            ├── UserOfflineError    the user is off line; a notice may be left
            ├── UnreachableError    nobody can tell, or no presence point answers
            ├── CallRefusedError    the callee's app refused at once
            ├── BusyError           too many calls there; try later
            └── NoAnswerError       it rang, and nobody took it in time
"""

from psp.errors import PspError
from psp.netdoc.presence_inner import Presence


class KeysEndedError(PspError):
    """The keys made ahead for this host have ended, or have not begun."""


class PresenceError(PspError):
    """Something about the user we look for keeps us from going on."""


class UnknownContactError(PresenceError):
    """There is no such contact, card or name."""


class ContactRevokedError(PresenceError):
    """The contact was removed from the book, maybe while this was under way."""


class UserRevokedError(PresenceError):
    """The registry says that this identity is lost or stolen: do not trust it."""


class ChangedIdentityError(PresenceError):
    """A name of the book came with another identity: ask the person, then decide."""


class WordsDifferError(PresenceError):
    """The words heard are not ours: somebody may sit between, or one is misheard."""


class WrongNetworkError(PresenceError):
    """The card or name belongs to another network."""


class ClockError(PresenceError):
    """This host's clock is so far off that no answer could be judged."""


class CallError(PresenceError):
    """The call did not come about; the text says why."""


class UserOfflineError(CallError):
    """The user is off line.

    Attributes:
        mailboxes: Where notices can be left.
        was_noted: Whether one was left.
    """

    def __init__(self, *args: object, mailboxes: tuple[Presence, ...] = ()) -> None:
        super().__init__(*args)
        self.mailboxes = mailboxes
        self.was_noted = False


class UnreachableError(CallError):
    """It is not known where the user is, or no presence point led there."""


class CallRefusedError(CallError):
    """The callee's app refused before anything was opened."""


class BusyError(CallError):
    """The callee is being called too often; try later."""


class NoAnswerError(CallError):
    """It rang, and nobody took the call in time."""

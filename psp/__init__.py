"""PSP: presence and live media over onion-routed circuits (the library an app imports).

::

    import psp

    async with psp.connect("client.toml", identity="alice.key") as client:
        await client.announce()
        session = await client.call("bob")

Everything an app needs has a name here. Each is loaded when it is first used, so that
relays and tools do not carry the client. `psp.testing.network` is a whole network for
an app's tests.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from psp import testing as testing
    from psp.client.announcing.visibility import Visibility as Visibility
    from psp.client.api import Client as Client
    from psp.client.api import ClientStatus as ClientStatus
    from psp.client.api import Who as Who
    from psp.client.api import connect as connect
    from psp.client.calls.established import EstablishedCall as EstablishedCall
    from psp.client.calls.missed_calls import MissedCall as MissedCall
    from psp.client.calls.ringing import CallDecision as CallDecision
    from psp.client.calls.ringing import IncomingCall as IncomingCall
    from psp.client.calls.session import ClientSession as ClientSession
    from psp.client.calls.session import SessionClosedError as SessionClosedError
    from psp.client.config import ClientConfig as ClientConfig
    from psp.client.contacts.contact import Contact as Contact
    from psp.client.contacts.contacts import ContactBook as ContactBook
    from psp.client.errors import BusyError as BusyError
    from psp.client.errors import CallError as CallError
    from psp.client.errors import CallRefusedError as CallRefusedError
    from psp.client.errors import ChangedIdentityError as ChangedIdentityError
    from psp.client.errors import ClockError as ClockError
    from psp.client.errors import ContactRevokedError as ContactRevokedError
    from psp.client.errors import KeysEndedError as KeysEndedError
    from psp.client.errors import NoAnswerError as NoAnswerError
    from psp.client.errors import PresenceError as PresenceError
    from psp.client.errors import UnknownContactError as UnknownContactError
    from psp.client.errors import UnreachableError as UnreachableError
    from psp.client.errors import UserOfflineError as UserOfflineError
    from psp.client.errors import UserRevokedError as UserRevokedError
    from psp.client.errors import WordsDifferError as WordsDifferError
    from psp.client.errors import WrongNetworkError as WrongNetworkError
    from psp.client.identities.delegation import DelegatedIdentity as DelegatedIdentity
    from psp.client.identities.identity import ClientIdentity as ClientIdentity
    from psp.client.identities.identity import Identity as Identity
    from psp.client.identities.identity_file import create_identity as create_identity
    from psp.client.identities.identity_file import load_identity as load_identity
    from psp.client.lookups.lookup import LookupResult as LookupResult
    from psp.client.lookups.lookup import PresenceState as PresenceState
    from psp.client.watching.presence_event import PresenceEvent as PresenceEvent
    from psp.client.watching.presence_event import WatchReason as WatchReason
    from psp.client.watching.presence_watch import PresenceWatch as PresenceWatch
    from psp.client.watching.watcher import WatchLimitError as WatchLimitError
    from psp.errors import ConfigError as ConfigError
    from psp.errors import DecodeError as DecodeError
    from psp.errors import PspError as PspError
    from psp.ids import UserId as UserId
    from psp.netdoc.contact_card import ContactCard as ContactCard

__version__ = "0.1.0"
__all__ = [
    "BusyError",
    "CallDecision",
    "CallError",
    "CallRefusedError",
    "ChangedIdentityError",
    "Client",
    "ClientConfig",
    "ClientIdentity",
    "ClientSession",
    "ClientStatus",
    "ClockError",
    "ConfigError",
    "Contact",
    "ContactBook",
    "ContactCard",
    "ContactRevokedError",
    "DecodeError",
    "DelegatedIdentity",
    "EstablishedCall",
    "Identity",
    "IncomingCall",
    "KeysEndedError",
    "LookupResult",
    "MissedCall",
    "NoAnswerError",
    "PresenceError",
    "PresenceEvent",
    "PresenceState",
    "PresenceWatch",
    "PspError",
    "SessionClosedError",
    "UnknownContactError",
    "UnreachableError",
    "UserId",
    "UserOfflineError",
    "UserRevokedError",
    "Visibility",
    "WatchLimitError",
    "WatchReason",
    "Who",
    "WordsDifferError",
    "WrongNetworkError",
    "__version__",
    "connect",
    "create_identity",
    "load_identity",
    "testing",
]

_PLACES = {
    "psp.client.api": (
        "Client",
        "ClientStatus",
        "Who",
        "connect",
    ),
    "psp.client.config": ("ClientConfig",),
    "psp.client.contacts.contact": ("Contact",),
    "psp.client.contacts.contacts": ("ContactBook",),
    "psp.client.identities.delegation": ("DelegatedIdentity",),
    "psp.client.errors": (
        "BusyError",
        "CallError",
        "CallRefusedError",
        "ChangedIdentityError",
        "ClockError",
        "ContactRevokedError",
        "KeysEndedError",
        "NoAnswerError",
        "PresenceError",
        "UnknownContactError",
        "UnreachableError",
        "UserOfflineError",
        "UserRevokedError",
        "WordsDifferError",
        "WrongNetworkError",
    ),
    "psp.client.calls.established": ("EstablishedCall",),
    "psp.client.identities.identity": (
        "ClientIdentity",
        "Identity",
    ),
    "psp.client.identities.identity_file": (
        "create_identity",
        "load_identity",
    ),
    "psp.client.lookups.lookup": (
        "LookupResult",
        "PresenceState",
    ),
    "psp.client.calls.missed_calls": ("MissedCall",),
    "psp.client.watching.presence_event": (
        "PresenceEvent",
        "WatchReason",
    ),
    "psp.client.watching.presence_watch": ("PresenceWatch",),
    "psp.client.calls.ringing": (
        "CallDecision",
        "IncomingCall",
    ),
    "psp.client.calls.session": (
        "ClientSession",
        "SessionClosedError",
    ),
    "psp.client.announcing.visibility": ("Visibility",),
    "psp.client.watching.watcher": ("WatchLimitError",),
    "psp.errors": (
        "ConfigError",
        "DecodeError",
        "PspError",
    ),
    "psp.ids": ("UserId",),
    "psp.netdoc.contact_card": ("ContactCard",),
}
"""Where each name is defined."""

_MODULE_OF = {name: module for module, names in _PLACES.items() for name in names}


def __getattr__(name: str) -> object:
    if name == "testing":
        return importlib.import_module("psp.testing")
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module 'psp' has no attribute {name!r}")
    value: object = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

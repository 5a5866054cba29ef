"""Makes psp-presence.json: ``python -m tests.vectors.presence > tests/vectors/psp-presence.json``.

Every input stands in the file or is said in README.md; keys are SHA-256 of their names.
Another implementation that gets these bytes from these inputs speaks our version 1.
"""

import hashlib
import json
import sys

from psp.crypto import work
from psp.crypto.blinding import Credential, blind_public
from psp.crypto.keys import SigningKey
from psp.crypto.primitives import x25519_public
from psp.ids import Cookie, NodeId, UserId
from psp.netdoc import missed_call, presence_inner, ticket, watch_handle
from psp.netdoc.collection import sign_collection
from psp.netdoc.contact_card import ContactCard
from psp.netdoc.presence_inner import Place
from psp.netdoc.presence_keys import DayKey, PresenceKey, UserSigner
from psp.netdoc.presence_record import STATUS_SLOT, RecordHead, location
from psp.netdoc.presence_status import Status, seal_status
from psp.netdoc.registration import sign_registration
from psp.netdoc.voice import Question, Voice
from psp.units import UnixTime
from psp.wire.endpoint import Endpoint
from psp.wire.network import Network
from psp.wire.watch import Change

PERIOD = 20_000
NOW = UnixTime(PERIOD * 86_400 + 43_200)
SEQUENCE = NOW * 1_000 + 7
NETWORK = Network(31_337, bytes(range(20)))


_secrets: dict[str, str] = {}


def secret(name: str, size: int = 32) -> bytes:
    """Return the first bytes of the SHA-256 of a name, and list them in the file."""
    value = hashlib.sha256(name.encode()).digest()[:size]
    _secrets[name] = value.hex()
    return value


class Given:
    """Gives the listed bytes, in their order, wherever randomness is asked for."""

    def __init__(self, *tokens: bytes) -> None:
        self._tokens = list(tokens)

    def token(self, size: int) -> bytes:
        """Return the next."""
        token = self._tokens.pop(0)
        if len(token) != size:
            raise ValueError(f"{len(token)} bytes given, {size} wanted")
        return token

    def below(self, bound: int) -> int:
        """Nothing here needs a number."""
        raise NotImplementedError

    def uniform(self) -> float:
        """Nothing here needs a number."""
        raise NotImplementedError


IDENTITY = SigningKey.from_seed(secret("identity"))
USER = UserId(IDENTITY.public)
RELAY = SigningKey.from_seed(secret("presence point"))
POINT = NodeId(RELAY.public)
CREDENTIAL = Credential.derive(USER, secret("discovery secret"))
CONTACT_PRIVATE = secret("contact key")
TAG = secret("tag", 16)
RANDOM_VALUE = secret("random value of the day")
COOKIE = Cookie(secret("cookie", 20))
PRESENCE_KEY = PresenceKey.make(IDENTITY, NETWORK, NOW, Given(secret("presence key")))
MAILBOX = missed_call.Mailbox(NETWORK, POINT, x25519_public(CONTACT_PRIVATE), TAG)
CALLER = UserSigner.by_identity(SigningKey.from_seed(secret("caller")))
SCOPE = ticket.TicketScope(
    NETWORK, USER, POINT, COOKIE, UnixTime(NOW + 60), NodeId(secret("rendezvous"))
)


def vectors() -> dict[str, dict[str, object]]:
    """Return everything that comes out the same each time."""
    made: dict[str, dict[str, object]] = {
        "given": {
            "network": NETWORK.encode().hex(),
            "identity": USER.hex(),
            "presence point": POINT.hex(),
            "period": PERIOD,
            "unix time": NOW,
            "sequence": SEQUENCE,
        },
        "keys": _keys(),
        "records": _records(),
        "lookups": _lookups(),
        "introductions": _introductions(),
        "cards": _cards(),
    }
    return {"secrets": dict(sorted(_secrets.items())), **made}


def day_key() -> DayKey:
    """Return the user's key of the day."""
    entropy = Given(secret("day key"))
    return DayKey.make(IDENTITY, CREDENTIAL, NETWORK, PERIOD, entropy)


def _keys() -> dict[str, object]:
    day = day_key()
    place = location(day.blinded, PERIOD, RANDOM_VALUE)
    return {
        "credential": CREDENTIAL.value.hex(),
        "credential of public presence": Credential.derive(USER).value.hex(),
        "blinded": day.blinded.hex(),
        "blinded of public presence": blind_public(
            Credential.derive(USER), PERIOD
        ).hex(),
        "day key": day.key.public.hex(),
        "certificate": day.certificate.hex(),
        "location": place.hex(),
        "grant": PRESENCE_KEY.grant.encode().hex(),
    }


def _records() -> dict[str, object]:
    day = day_key()
    head = RecordHead.under(day, 1, SEQUENCE, NOW, 1_800)
    contact_key = x25519_public(CONTACT_PRIVATE)
    endpoints = (Endpoint("192.0.2.1", 443), Endpoint("2001:db8::1", 9_001))
    place = Place(POINT, contact_key, TAG, endpoints)
    consent = RELAY.sign(place.consent_text(NETWORK, head.encode()))
    registration = sign_registration(
        USER,
        PRESENCE_KEY,
        network=NETWORK,
        channel=secret("channel"),
        head=head,
        place=place,
    )
    record = presence_inner.seal(
        head.encode(),
        place,
        consent,
        day=day,
        credential=CREDENTIAL,
        network=NETWORK,
        entropy=Given(secret("nonce", 24)),
    )
    said = Status.of("At lunch", ["audio", "app0"])
    status = seal_status(
        RecordHead.under(day, STATUS_SLOT, SEQUENCE, NOW, 1_800).encode(),
        said,
        day=day,
        credential=CREDENTIAL,
        network=NETWORK,
        entropy=Given(secret("nonce of the status", 24)),
    )
    return {
        "head": head.encode().hex(),
        "co-signature": consent.hex(),
        "registration": registration.hex(),
        "record": record.hex(),
        "status text": said.text,
        "status capabilities": sorted(said.capabilities),
        "status record": status.hex(),
    }


def _lookups() -> dict[str, object]:
    place = location(day_key().blinded, PERIOD, RANDOM_VALUE)
    question = Question(NETWORK, place, secret("nonce of the look-up", 16))
    voice = Voice.of(RELAY, question, NOW, (0, SEQUENCE, 0, SEQUENCE))
    change = watch_handle.seal_change(
        secret("watch key"), secret("watch cookie", 20), Change.STATUS, SEQUENCE
    )
    return {"voice": voice.encode().hex(), "watch change": change.hex()}


def _introductions() -> dict[str, object]:
    key = secret("ticket key")
    made = ticket.make_ticket(key, SCOPE, Given(secret("ticket nonce", 16)))
    challenge = secret("challenge")
    nonce = work.search(challenge, 6, 0, 10_000) or work.NO_WORK
    signed = MAILBOX.signed_text(NOW, b"call me back")
    collect = sign_collection(
        UserSigner.by_presence_key(USER, PRESENCE_KEY),
        network=NETWORK,
        presence_point=POINT,
        channel=secret("channel"),
        tag=TAG,
        issued=NOW,
        first=3,
    )
    return {
        "ticket id": ticket.ticket_id(key).hex(),
        "ticket": made.hex(),
        "work nonce": nonce.hex(),
        "work bits": work.zero_bits(challenge, nonce),
        "missed call signature": CALLER.sign(signed).hex(),
        "collect": collect.hex(),
    }


def _cards() -> dict[str, object]:
    of = secret("discovery secret")
    return {
        "public": ContactCard(NETWORK, USER, name="Ada").encode(),
        "contacts": ContactCard(NETWORK, USER, of, "Ada").encode(),
        "personal": ContactCard(
            NETWORK, USER, of, "Ada", secret("ticket key")
        ).encode(),
    }


def missed_call_of_today() -> str:
    """Return a sealed notice; HPKE has a random key of its own in it."""
    return missed_call.seal_notice(
        MAILBOX,
        text="call me back",
        time=NOW,
        caller=CALLER.user_id,
        sign=lambda text: (CALLER.grant, CALLER.sign(text)),
    ).hex()


def main() -> None:
    """Print the file."""
    made = vectors()
    made["sealed"] = {"missed call": missed_call_of_today()}
    json.dump(made, sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()

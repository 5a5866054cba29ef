"""The bytes of presence do not change by accident (tests/vectors/psp-presence.json).

A test here that fails means that two releases no longer understand each other.
"""

import json
from pathlib import Path

import pytest

from psp.crypto import work
from psp.crypto.blinding import Credential
from psp.ids import NodeId
from psp.netdoc import missed_call, ticket, watch_handle
from psp.netdoc.collection import Collection
from psp.netdoc.contact_card import ContactCard
from psp.netdoc.presence_inner import open_record
from psp.netdoc.presence_keys import Grant
from psp.netdoc.presence_record import OuterRecord, parse
from psp.netdoc.presence_status import open_status
from psp.netdoc.registration import Registration
from psp.netdoc.voice import Question, Voice
from psp.wire.watch import Change
from tests.vectors import presence as made

FILE = Path(__file__).parents[3] / "vectors" / "psp-presence.json"
VECTORS = json.loads(FILE.read_text())


def raw(group: str, name: str) -> bytes:
    return bytes.fromhex(VECTORS[group][name])


def parsed(name: str) -> OuterRecord:
    place = raw("keys", "location")
    return parse(
        raw("records", name),
        network=made.NETWORK,
        random_value={made.PERIOD: made.RANDOM_VALUE}.get,
        unix_now=made.NOW,
        expected_location=place,
    )


@pytest.mark.parametrize("group", [name for name in VECTORS if name != "sealed"])
def test_what_is_made_is_what_was_made(group):
    assert made.vectors()[group] == VECTORS[group]


def test_the_record_is_read_by_its_users_contacts():
    credential = Credential(made.USER, raw("keys", "credential"))

    presence = open_record(
        parsed("record"),
        credential=credential,
        network=made.NETWORK,
        is_relay=lambda node: node == made.POINT,
    )

    assert presence.head.encode() == raw("records", "head")
    assert presence.place.tag == made.TAG
    assert [e.host for e in presence.place.endpoints] == ["192.0.2.1", "2001:db8::1"]


def test_the_status_is_read_by_its_users_contacts():
    status = open_status(parsed("status record"), made.CREDENTIAL)

    assert status.text == VECTORS["records"]["status text"]
    assert sorted(status.capabilities) == VECTORS["records"]["status capabilities"]


def test_the_registration_is_the_users():
    registration = Registration.decode(raw("records", "registration"))

    registration.check_time(made.NOW)
    registration.check_signatures(made.NETWORK)
    assert registration.grant == Grant.decode(raw("keys", "grant"))


def test_the_voice_is_the_nodes():
    nonce = raw("secrets", "nonce of the look-up")
    question = Question(made.NETWORK, raw("keys", "location"), nonce)
    voice = Voice.decode(raw("lookups", "voice"))

    assert voice.is_of(NodeId(made.POINT), question)
    assert voice.sequences == (0, made.SEQUENCE, 0, made.SEQUENCE)


def test_the_change_opens_for_its_watcher():
    change = watch_handle.open_change(
        raw("secrets", "watch key"),
        raw("secrets", "watch cookie"),
        raw("lookups", "watch change"),
    )

    assert change == (Change.STATUS, made.SEQUENCE)


def test_ticket_work_and_collection_are_good():
    group = "introductions"
    collection = Collection.decode(raw(group, "collect"))

    assert ticket.is_ticket(
        raw(group, "ticket"), raw("secrets", "ticket key"), made.SCOPE
    )
    assert work.is_proof(raw("secrets", "challenge"), raw(group, "work nonce"), 6)
    assert collection.first == 3
    assert collection.is_signed(made.NETWORK, made.NOW)


def test_the_missed_call_opens_for_its_callee():
    notice = missed_call.open_notice(
        raw("sealed", "missed call"),
        made.CONTACT_PRIVATE,
        network=made.NETWORK,
        presence_point=made.POINT,
        tag=made.TAG,
        unix_now=made.NOW,
    )

    assert notice.text == "call me back"
    assert notice.caller == made.CALLER.user_id


def test_every_kind_of_card_is_read():
    cards = {k: ContactCard.decode(text) for k, text in VECTORS["cards"].items()}

    assert cards["public"].is_public
    assert cards["contacts"].credential == made.CREDENTIAL
    assert cards["personal"].ticket_key == raw("secrets", "ticket key")

"""A program that asks a gateway, and cards of others."""

import json
from dataclasses import dataclass
from typing import Any

from psp.client.identities.identity import ClientIdentity
from psp.testing.entropy import SeededEntropy
from psp.testing.presence_client import NETWORK

TOKEN = "t0ken-of-the-test-" + "x" * 25
PAGE = "http://127.0.0.1:8000"


def card_of(name: str):
    """The card of somebody else; the same for the same name."""
    return ClientIdentity.generate(SeededEntropy(name), name).contact_card(NETWORK)


@dataclass
class Answer:
    status: int
    headers: dict
    body: Any

    @property
    def problem(self):
        assert self.headers["Content-Type"] == "application/problem+json"
        assert self.body["status"] == self.status
        return self.body["type"].removeprefix("urn:psp:problem:")


class Program:
    """A program on this host: it has the token, and asks."""

    def __init__(self, gateway, client, session):
        self.gateway = gateway
        self.client = client
        self.session = session

    async def ask(self, method, path, body=None, *, token=TOKEN, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            headers.setdefault("Authorization", f"Bearer {token}")
        data = None
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        async with self.session.request(
            method, self.gateway.url + path, data=data, headers=headers
        ) as answer:
            text = await answer.read()
            is_json = "json" in answer.headers.get("Content-Type", "")
            return Answer(
                answer.status, answer.headers, json.loads(text) if is_json else text
            )

    def stream(self, path, last=None):
        headers = {"Authorization": f"Bearer {TOKEN}"}
        if last is not None:
            headers["Last-Event-ID"] = last
        return self.session.get(self.gateway.url + path, headers=headers)

    def befriend(self, *names):
        return [
            self.client.contacts.add(card_of(name).encode(), name) for name in names
        ]


async def read_events(answer, count):
    """Read so many events of a stream; comments are passed over."""
    events, event = [], {}
    while len(events) < count:
        line = (await answer.content.readline()).decode().rstrip("\n")
        if answer.content.at_eof() and not line:
            raise EOFError(f"the stream ended after {len(events)} events")
        if line.startswith((":", "retry:")):
            continue
        if not line:
            if event:
                events.append(event)
            event = {}
            continue
        name, _, value = line.partition(": ")
        event[name] = json.loads(value) if name == "data" else value
    return events

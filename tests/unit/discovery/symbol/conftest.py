"""Gateways that give recorded answers, and networks to read through them."""

import json

import pytest

from discovery.symbol.reader import SymbolBackend
from discovery.symbol.rest import GatewayError
from psp.ids import NodeId
from tests.unit.discovery.symbol import make_answers


class RecordedGateway:
    """Answers what was asked when it was recorded, and nothing else.

    Attributes:
        bodies: Answers by path and parameters; tests change them.
        asked: Every path so far.
    """

    def __init__(self, exchanges):
        self.bodies = {
            (exchange["path"], frozenset(exchange["params"].items())): exchange["body"]
            for exchange in exchanges
        }
        self.asked = []

    async def get(self, path, params):
        self.asked.append(path)
        body = self.bodies.get((path, frozenset(params.items())))
        if body is None:
            raise GatewayError("answers with status 404")
        return body if isinstance(body, bytes) else json.dumps(body).encode()

    def body(self, path, **params):
        """Return the only answer from a path whose request had these parameters."""
        (body,) = (
            body
            for (found, asked), body in self.bodies.items()
            if found == path and params.items() <= dict(asked).items()
        )
        return body

    def forget(self, path):
        """Have no answers from a path any more."""
        self.bodies = {
            asked: body for asked, body in self.bodies.items() if asked[0] != path
        }


class Recorded:
    """A network and what its gateway was heard to say."""

    def __init__(self, kind):
        overlay, self.answers = make_answers.overlay_and_answers(kind)
        self.kind = kind
        self.overlay = overlay
        self.config = overlay.config
        recorded = make_answers.ANSWERS / f"{kind}.json"
        self.gateway = RecordedGateway(json.loads(recorded.read_text("utf-8")))
        self.backend = SymbolBackend(self.config, self.gateway)

    def ids(self, *names):
        return tuple(sorted(NodeId(make_answers.key(name).public) for name in names))

    def account(self, name):
        return make_answers.account(name)


@pytest.fixture
def made():
    return make_answers


@pytest.fixture
def symbol():
    return Recorded("symbol")


@pytest.fixture
def sirius():
    return Recorded("sirius")


@pytest.fixture(params=["symbol", "sirius"])
def either(request):
    return Recorded(request.param)

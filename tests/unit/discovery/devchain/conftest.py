"""Development chains in memory for tests."""

import pytest

from discovery.devchain.config import RpcLimits
from tests.unit.discovery.devchain.rig import Chain, Clock, Code


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def make_chain(clock):
    made = []

    def make(limits=None, **settings):
        chain = Chain(clock, limits, **settings)
        made.append(chain)
        return chain

    yield make
    for chain in made:
        chain.node.close()


@pytest.fixture
def chain(make_chain):
    return make_chain()


@pytest.fixture
def small_limits():
    return RpcLimits(batch=3, logs=2, slots=2, mine=5)


@pytest.fixture
def code():
    return Code

"""Each test runs on both chains: the embedded one, and anvil, which is not ours.

anvil is skipped where it is not installed (`make anvil`), which CI does not allow.
"""

import pytest

from discovery.devchain.anvil import find_anvil, running_anvil
from discovery.devchain.process import running_devchain
from tests.chain.chains import Chain
from tests.chain.deployment import Deployment

CHAINS = ("embedded", "anvil")


@pytest.fixture(scope="session")
def embedded():
    with running_devchain() as process:
        yield Chain(process.url)


@pytest.fixture(scope="session")
def anvil():
    if find_anvil() is None:
        pytest.skip("anvil is not installed")
    with running_anvil() as process:
        yield Chain(process.url)


@pytest.fixture(params=CHAINS)
def chain(request):
    """One of the chains: started once, it goes on from test to test."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module", params=CHAINS)
def wandering(request):
    """A chain of a file's own, for tests that go through a century: others need not."""
    if request.param == "embedded":
        with running_devchain() as process:
            yield Chain(process.url)
    elif find_anvil() is None:
        pytest.skip("anvil is not installed")
    else:
        with running_anvil() as process:
            yield Chain(process.url)


@pytest.fixture
def deployed(chain):
    """Contracts of this test's own, with a draw."""
    return Deployment.deploy(chain)


@pytest.fixture
def counted(chain):
    """The same where the largest weights win."""
    return Deployment.deploy(chain, sortition=False)

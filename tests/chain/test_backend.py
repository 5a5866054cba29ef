"""The EVM backend on real chains: register, rotate, nominate, and read it back proven."""

import pytest

from discovery.backend import Standing
from discovery.evm import EvmBackend
from discovery.transactions.client import Endpoints
from discovery.transactions.config import SenderConfig
from discovery.transactions.sender import Sender
from discovery.transactions.wallet import Wallet
from psp.crypto.keys import SigningKey
from psp.directory.chain.users import user_signing_input
from psp.ids import NodeId, UserId
from psp.netdoc.node_record import NodeRecord, UserRecord, node_signing_input
from psp.runtime.chain_reader import ChainReader
from psp.runtime.quorum import QuorumRpc
from psp.runtime.rpc import RpcEndpoint, new_session
from psp.testing.entropy import SeededEntropy
from psp.units import Seconds
from psp.wire.endpoint import Endpoint
from psp.wire.network import Network
from tests.chain.chains import ETHER

QUICK = SenderConfig(poll_every=Seconds(0.02))
FINAL_BLOCKS = 70
"""anvil calls a block final when 64 are above it."""


@pytest.fixture
async def backend(deployed, tmp_path):
    chain = deployed.chain
    chain_id = chain.w3.eth.chain_id
    network = Network(chain_id, bytes.fromhex(deployed.relays.address[2:]))
    wallet = Wallet.create(tmp_path / "wallet.key", entropy=SeededEntropy(72))
    payment = {
        "from": chain.accounts[1],
        "to": chain.w3.to_checksum_address(wallet.address),
        "value": 10 * ETHER,
    }
    chain.receipt(chain.w3.eth.send_transaction(payment))
    chain.mine(FINAL_BLOCKS)
    async with new_session(2) as session:
        url = chain.w3.provider.endpoint_uri
        # Two voices: anvil's tries are not canonical, so its lists need a quorum.
        rpcs = [RpcEndpoint(url, session, name=f"endpoint {n}") for n in (1, 2)]
        quorum = QuorumRpc(rpcs, chain_id=chain_id, quorum=2, entropy=SeededEntropy(73))
        sender = Sender(
            wallet, Endpoints(rpcs, chain_id), tmp_path / "wallet.key", config=QUICK
        )
        backend = EvmBackend(network, ChainReader(quorum, network), sender)
        yield backend, wallet.address


@pytest.mark.timeout(120)
async def test_what_a_backend_writes_it_reads_back_proven(backend, deployed):
    backend, owner = backend
    chain = deployed.chain
    keys = [SigningKey.from_seed(bytes([n]) * 32) for n in (1, 2)]

    async def published(key, port):
        record = NodeRecord(
            NodeId(key.public), b"o" * 32, (Endpoint("192.0.2.1", port),), owner
        )
        signature = key.sign(node_signing_input(backend.network, record))
        return record, await backend.publish(record, signature, ETHER)

    (first, written), (second, other) = [
        await published(key, 443 + i) for i, key in enumerate(keys)
    ]
    user = UserId(keys[0].public)
    text = user_signing_input(backend.network, owner, user)
    as_user = await backend.publish(UserRecord(user), keys[0].sign(text))
    chain.mine(FINAL_BLOCKS)

    assert (written.number, other.number, as_user.number) == (1, 2, 1)
    assert written.cost > 0
    nodes = await backend.nodes()
    assert set(nodes) == {first.node_id, second.node_id}
    assert nodes[first.node_id].endpoints == first.endpoints
    assert set(await backend.users()) == {user}

    moved = NodeRecord(
        first.node_id, b"n" * 32, (Endpoint("2001:db8::1", 8443),), owner
    )
    signature = keys[0].sign(node_signing_input(backend.network, moved))
    assert (await backend.rotate(moved, signature)).number == 1
    deployed.next_epoch()
    chain.mine(FINAL_BLOCKS)
    found = (await backend.nodes())[first.node_id]
    assert (found.onion_key, found.endpoints) == (b"n" * 32, moved.endpoints)

    assert (await backend.elected()).standing is Standing.UNKNOWN
    deployed.draw()
    await backend.nominate([first.node_id, second.node_id])
    epoch = deployed.next_epoch()
    chain.mine(FINAL_BLOCKS)

    elected = await backend.elected()

    assert elected.standing is Standing.PROVEN
    assert elected.epoch == epoch
    assert set(elected.nodes) == {first.node_id, second.node_id}

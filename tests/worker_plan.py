"""A planned network whose relays have several workers."""

from collections.abc import Sequence
from dataclasses import replace

from cli.demo.plan import HOST, NetworkPlan, PlannedRelay
from psp.crypto.keys import SigningKey
from psp.netdoc import trusted_file
from psp.netdoc.node_entry import SignedNode
from psp.runtime import keyfiles
from psp.testing.entropy import SeededEntropy
from psp.wire.endpoint import Endpoint


def with_workers(plan: NetworkPlan, ports: Sequence[Sequence[int]]) -> NetworkPlan:
    """Return a plan anew, each relay with a worker at each of its ports.

    The partners' file is written again, signed by a partner of its own.
    """
    partner = SigningKey.generate(SeededEntropy("partner of workers"))
    membership, network = plan.membership, plan.membership.network()
    file = membership.file
    assert file is not None
    anchor = membership.anchor()
    document = trusted_file.decode(
        file.read_bytes(),
        network=network,
        partners=anchor.partners,
        threshold=anchor.threshold,
    )
    membership = replace(membership, partners=(partner.public.hex(),))
    relays = []
    for relay, own in zip(plan.relays, ports, strict=True):
        identity = SigningKey.from_seed(keyfiles.load_seed(relay.config.keys.identity))
        endpoints = tuple(Endpoint(HOST, port) for port in own)
        record = replace(relay.signed.record, endpoints=endpoints)
        config = replace(
            relay.config,
            membership=membership,
            listen=replace(relay.config.listen, port=own[0], host=HOST),
            workers=len(own),
        )
        signed = SignedNode.sign(network, record, identity)
        relays.append(PlannedRelay(relay.node_id, config, signed))
    document = replace(
        document, nodes={relay.node_id: relay.signed for relay in relays}
    )
    file.write_bytes(trusted_file.encode(document, [partner]))
    return replace(plan, membership=membership, relays=tuple(relays))

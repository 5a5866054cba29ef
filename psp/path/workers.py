"""Which worker of each relay a circuit goes over.

A relay of several processes has an endpoint for each, and every one forwards. Circuits
spread over them evenly; the node's services are at the first alone, and who meets
somebody must come to where the other waits.
"""

from collections.abc import Sequence
from dataclasses import replace

from psp.entropy import Entropy
from psp.netdoc.node_record import NodeRecord
from psp.wire.endpoint import Endpoint, by_worker


def spread(
    hops: Sequence[NodeRecord],
    entropy: Entropy,
    *,
    last_is_first_worker: bool,
    last_endpoint: Endpoint | None = None,
) -> tuple[NodeRecord, ...]:
    """Return the hops, each with the endpoints of one worker before all others.

    Args:
        hops: A path, the guard first.
        entropy: For the draws; untouched for relays with one worker.
        last_is_first_worker: Whether the last hop is asked for a service of its node.
        last_endpoint: Of the last hop, where it is given; one of its record's.
    """
    chosen = [at_worker(node, _drawn(node, entropy)) for node in hops[:-1]]
    last = hops[-1]
    if last_endpoint is None and not last_is_first_worker:
        last_endpoint = _drawn(last, entropy)
    if last_endpoint is not None:
        last = at_worker(last, last_endpoint)
    return (*chosen, last)


def at_worker(node: NodeRecord, endpoint: Endpoint) -> NodeRecord:
    """Return a record with ``endpoint`` first, then what else its worker has."""
    if node.endpoints[:1] == (endpoint,):
        return node
    others = sorted(
        (other for other in node.endpoints if other != endpoint),
        key=lambda other: other.port != endpoint.port,
    )
    return replace(node, endpoints=(endpoint, *others))


def _drawn(node: NodeRecord, entropy: Entropy) -> Endpoint:
    workers = by_worker(node.endpoints)
    number = entropy.below(len(workers)) if len(workers) > 1 else 0
    return workers[number][0]

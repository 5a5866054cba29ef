"""The virtual neighbourhood and idle links."""

from psp.crypto.primitives import sha256
from psp.ids import LinkId, NodeId
from psp.units import Monotonic
from relay.config import RelayConfig
from relay.mesh import RETRY, Mesh, neighbourhood

NODES = [NodeId(sha256(b"node", bytes([number]))) for number in range(60)]
NOW = Monotonic(5.0)


def test_everybody_draws_at_least_four_neighbours_and_links_are_mutual():
    chosen = {node: neighbourhood(node, NODES, b"seed", 4) for node in NODES}

    for node, neighbours in chosen.items():
        assert 4 <= len(set(neighbours)) <= 5
        assert node not in neighbours
    mutual = sum(
        node in chosen[other] for node, others in chosen.items() for other in others
    )
    assert mutual >= 0.9 * sum(map(len, chosen.values()))


def test_neighbourhood_joins_all_nodes():
    seen = {NODES[0]}
    frontier = [NODES[0]]
    while frontier:
        for other in neighbourhood(frontier.pop(), NODES, b"seed", 4):
            if other not in seen:
                seen.add(other)
                frontier.append(other)

    assert seen == set(NODES)


def test_another_epoch_draws_another_neighbourhood():
    first = neighbourhood(NODES[0], NODES, b"one", 4)
    second = neighbourhood(NODES[0], NODES, b"two", 4)

    assert set(first) != set(second)


def test_small_network_is_fully_meshed():
    assert set(neighbourhood(NODES[0], NODES[:4], b"seed", 4)) == set(NODES[1:4])


def test_smaller_id_opens_first_and_the_other_waits_for_one_retry():
    small, large = sorted(NODES[:2])
    ours = Mesh(RelayConfig(), small)
    theirs = Mesh(RelayConfig(), large)

    ours.draw(b"seed", [small, large], NOW)
    theirs.draw(b"seed", [small, large], NOW)

    assert ours.due(NOW) == [large]
    assert theirs.due(NOW) == []
    assert theirs.due(Monotonic(NOW + RETRY)) == [small]
    assert ours.next_timeout() == NOW + RETRY


def test_redrawing_forgets_former_neighbours():
    mesh = Mesh(RelayConfig(), NODES[0])
    mesh.draw(b"one", NODES, NOW)

    mesh.draw(b"two", NODES[:1], NOW)

    assert mesh.neighbours == ()
    assert mesh.next_timeout() is None


def test_no_neighbours_can_be_configured():
    mesh = Mesh(RelayConfig(neighbours=0), NODES[0])

    mesh.draw(b"one", NODES, NOW)

    assert mesh.neighbours == ()


def test_idle_link_expires_three_minutes_after_its_last_use():
    mesh = Mesh(RelayConfig(), NODES[0])
    for number in (1, 2, 3):
        mesh.link_idle(LinkId(number), NOW)
    mesh.link_idle(LinkId(2), Monotonic(NOW + 100.0))
    mesh.link_closed(LinkId(3))

    assert mesh.expired(Monotonic(NOW + 179.9)) == []
    assert mesh.expired(Monotonic(NOW + 180.0)) == [LinkId(1)]
    assert mesh.expired(Monotonic(NOW + 280.0)) == [LinkId(2)]
    assert mesh.expired(Monotonic(NOW + 999.0)) == []

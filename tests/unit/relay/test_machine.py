"""Real relays between real origins: build, forward, end."""

from psp.wire.onion import BLOCK_SIZE


def block(number: int) -> bytes:
    return number.to_bytes(4).ljust(BLOCK_SIZE, b"b")


def test_three_hop_circuit_is_built_over_three_relays(make_rig):
    rig = make_rig(3)

    _, circuit = rig.build(0, 1, 2)

    assert circuit.origin.hops == 3
    assert [relay.machine.stats.circuits_created for relay in rig.relays] == [1, 1, 1]
    assert [relay.machine.stats.circuits_extended for relay in rig.relays] == [1, 1, 0]
    rig.audit()


def test_blocks_cross_two_joined_circuits_of_three_and_four_hops(make_rig):
    rig = make_rig(6)
    alice, caller = rig.build(0, 1, 5)
    bob, callee = rig.build(2, 3, 4, 5)

    rig.join(caller, callee, b"c" * 20)
    sent = [block(number) for number in range(120)]
    alice.send_blocks(caller, sent, rig.now)
    bob.send_blocks(callee, sent[::-1], rig.now)
    rig.run(0.5)

    assert callee.blocks == sent
    assert caller.blocks == sent[::-1]
    assert rig.relays[5].machine.stats.cells_spliced == 240
    rig.audit()

"""The Prometheus view: every counter, no secrets in labels."""

import dataclasses

from prometheus_client import CollectorRegistry, generate_latest

from psp.runtime.udp import UdpSocket
from psp.wire.cell import Reason
from relay.metrics import register, register_socket


def text_of(machine):
    registry = CollectorRegistry()
    register(machine, registry)
    return generate_latest(registry).decode()


def test_cells_and_circuits_are_shown(make_rig):
    rig = make_rig(2)
    _, circuit = rig.build(0, 1)
    circuit.origin.ping(2, rig.now)
    rig.run(0.2)
    stats = rig.relays[0].machine.stats
    stats.circuits_closed[Reason.TIMEOUT] += 3

    text = text_of(rig.relays[0].machine)

    assert (
        f'cells_forwarded_total{{direction="forward"}} {stats.cells_forward}.0' in text
    )
    assert "psp_relay_circuits_created_total 1.0" in text
    assert 'psp_relay_circuits_closed_total{reason="timeout"} 3.0' in text
    assert "psp_relay_circuits 1.0" in text


def test_no_counter_is_forgotten(make_rig):
    machine = make_rig(1).relays[0].machine
    for field in dataclasses.fields(machine.stats):
        if field.type is int or field.type == "int":
            setattr(machine.stats, field.name, 987_000)

    text = text_of(machine)

    shown = text.count(" 987000.0")
    counters = [f for f in dataclasses.fields(machine.stats) if f.type in {int, "int"}]
    assert shown == len(counters)


def test_a_socket_tells_what_was_lost_and_whether_it_moves_trains():
    registry = CollectorRegistry()
    udp = UdpSocket(("127.0.0.1", 0), gro=False)
    register_socket(udp, registry)
    udp.stats.kernel_drops = 3
    udp.stats.errors["EPERM"] += 2

    text = generate_latest(registry).decode()
    udp.close()

    assert "psp_udp_kernel_drops_total 3.0" in text
    assert 'psp_udp_errors_total{reason="EPERM"} 2.0' in text
    assert f"psp_udp_is_gso {float(udp.is_gso)}" in text
    assert "psp_udp_is_gro 0.0" in text


def test_every_help_text_is_more_than_a_name(make_rig):
    registry = CollectorRegistry()
    register(make_rig(1).relays[0].machine, registry)

    assert [
        family.name for family in registry.collect() if " " not in family.documentation
    ] == []


def test_ten_relays_fit_one_process(make_rig):
    rig = make_rig(10)

    assert all(text_of(relay.machine) for relay in rig.relays)

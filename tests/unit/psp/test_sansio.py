"""The machine contract (psp/sansio.py)."""

from psp.sansio import MAX_TRAIN, Machine
from psp.testing.machines import PACKET_SIZE, Pinger
from psp.wire.packet import PACKET_SIZE as LINK_PACKET_SIZE


def test_longest_train_fits_one_ip_packet():
    assert MAX_TRAIN * LINK_PACKET_SIZE <= 65_535 - 40 - 8


def test_machines_of_tests_keep_the_contract_and_the_size():
    machine: Machine[str] = Pinger()  # checked by mypy

    assert machine.next_timeout() is None
    assert PACKET_SIZE == LINK_PACKET_SIZE

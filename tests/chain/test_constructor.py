"""What a registry is founded with, and where that can be proven."""

import pytest

from discovery.contract.artefacts import artefact
from discovery.election import beacon_of, seed_of
from psp.crypto.keccak import keccak256
from tests.chain.chains import ETHER
from tests.chain.deployment import (
    EPOCH,
    FIRST_EPOCH,
    NOBODY,
    SEATS,
    SEED_DELAY,
    UNBONDING,
    Deployment,
    parameters,
)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"strategy": 1}, "strategy"),
        ({"epoch_length": 15}, "epoch"),
        ({"epoch_length": 2**32, "unbonding": 2**33}, "epoch"),
        ({"unbonding": 2 * EPOCH - 1}, "unbonding"),
        ({"unbonding": 2**32}, "unbonding"),
        ({"min_stake": 0}, "stake"),
        ({"min_stake": 2**96}, "stake"),
        ({"seats": 0}, "seats"),
        ({"seats": 257}, "seats"),
        ({"seed_delay": 0}, "delay"),
        ({"seed_delay": 2**16}, "delay"),
        ({"book": NOBODY}, "book"),
        ({"users": NOBODY}, "users"),
    ],
    ids=str,
)
def test_constructor_refuses(chain, changes, reason):
    users, book = chain.deploy("Users"), chain.deploy("NodeBook")
    given = parameters(**({"book": book.address, "users": users.address} | changes))
    compiled = artefact("Relays")
    factory = chain.w3.eth.contract(abi=compiled.abi, bytecode=compiled.bytecode)

    call = factory.constructor(*given.values())

    assert chain.refusal(Constructed(chain, call)) == reason


class Constructed:
    """A deployment as a call, which leaves nothing behind."""

    def __init__(self, chain, constructor):
        self._chain = chain
        self._data = constructor.data_in_transaction

    def call(self, options):
        return self._chain.w3.eth.call(options | {"data": self._data})


def test_book_with_records_is_refused(deployed):
    deployed.register("a")
    given = parameters(book=deployed.book.address, users=deployed.users.address)
    compiled = artefact("Relays")
    factory = deployed.chain.w3.eth.contract(
        abi=compiled.abi, bytecode=compiled.bytecode
    )

    call = Constructed(deployed.chain, factory.constructor(*given.values()))

    assert deployed.chain.refusal(call) == "book"


def test_parameters_are_told_and_stored_in_one_word(deployed):
    values = deployed.read("parameters")

    assert values == [
        deployed.genesis,
        EPOCH,
        UNBONDING,
        ETHER,
        SEATS,
        SEED_DELAY,
        True,
        False,
        0,
    ]
    stored = deployed.chain.slot(deployed.relays.address, 0)
    assert stored == (
        deployed.genesis
        | EPOCH << 64
        | UNBONDING << 96
        | SEATS << 128
        | SEED_DELAY << 144
        | 1 << 160
    )


@pytest.mark.parametrize(
    ("flags", "stored"),
    [((False, False), 0), ((True, False), 1), ((False, True), 2), ((True, True), 3)],
)
def test_flags_are_stored_as_bits(chain, flags, stored):
    sortition, self_only = flags
    deployed = Deployment.deploy(chain, sortition=sortition, self_only=self_only)

    assert (chain.slot(deployed.relays.address, 0) >> 160) & 255 == stored
    assert tuple(deployed.read("parameters")[6:8]) == flags


def test_first_slots_lead_to_the_other_contracts(deployed):
    slots = [deployed.chain.slot(deployed.relays.address, n) for n in range(1, 6)]

    assert slots[0] == ETHER
    assert slots[1:] == [
        int(address, 16)
        for address in (
            deployed.book.address,
            deployed.users.address,
            deployed.chain.accounts[0],
            NOBODY,
        )
    ]


def test_code_of_a_deployment_is_that_of_the_artefact(deployed):
    values = deployed.read("parameters")[:-1]
    immutables = [*values, int(deployed.book.address, 16)]

    for contract, code in [
        (deployed.relays, artefact("Relays").code(map(int, immutables))),
        (deployed.book, artefact("NodeBook").code()),
        (deployed.users, artefact("Users").code()),
    ]:
        assert deployed.chain.w3.eth.get_code(contract.address) == code


def test_beacons_of_the_first_two_days_are_set(deployed):
    chain = deployed.chain
    number = chain.w3.eth.block_number - 1  # the last block bound the book
    block = chain.w3.eth.get_block(number)
    assert block["timestamp"] == deployed.genesis

    seed = seed_of(
        block["mixHash"],
        block["parentHash"],
        FIRST_EPOCH,
        bytes.fromhex(deployed.relays.address[2:]),
    )
    today = deployed.genesis // 86_400
    for day in (today, today + 1):
        assert deployed.read("beacon", day) == beacon_of(seed, day)
        slot = keccak256((1059).to_bytes(32, "big"), day.to_bytes(32, "big"))
        stored = chain.slot(deployed.relays.address, int.from_bytes(slot, "big"))
        assert stored.to_bytes(32, "big") == beacon_of(seed, day)
    assert deployed.read("beacon", today + 2) == bytes(32)


def test_book_is_bound_once_and_by_its_deployer(chain):
    book, other = chain.deploy("NodeBook"), chain.deploy("NodeBook")
    bind = book.functions.bind(other.address)

    assert chain.refusal(bind, sender=1) == "keeper"
    assert chain.refusal(book.functions.bind(chain.accounts[1])) == "bound"
    chain.send(bind)
    assert chain.refusal(bind) == "keeper"
    assert book.functions.keeper().call() == other.address


def test_money_is_not_accepted_without_a_purpose(deployed):
    plain = {"to": deployed.relays.address, "data": "0x"}

    class Transfer:
        def call(self, options):
            return deployed.chain.w3.eth.call(options | plain)

    assert deployed.chain.refusal(Transfer(), value=1) == ""

"""Deployment (discovery/transactions/deploy.py); real ones are made in tests/chain."""

from dataclasses import replace

import pytest

from discovery.transactions.answers import Receipt
from discovery.transactions.calls import NodeBook, deployment
from discovery.transactions.costs import Outcome
from discovery.transactions.deploy import Deployment, RelaysParameters, deploy
from discovery.transactions.errors import StillPendingError, WrongChainError
from discovery.transactions.wallet import address_text
from psp.errors import ConfigError
from psp.testing.simloop import run_simulation

PARAMETERS = RelaysParameters(epoch_length=60, unbonding=120)


class Chain:
    """Takes deployments and keeps what the book is bound to."""

    chain_id = 1337

    def __init__(self):
        self.sent = []
        self.keeper = bytes(20)
        self.dies_at = None

    async def read(self, contract, address, function):
        return self.keeper

    async def send(self, call):
        if len(self.sent) == self.dies_at:
            self.dies_at = None
            raise StillPendingError(call.what, 0)
        self.sent.append(call.what)
        contract = None
        if call.to is None:
            contract = bytes([len(self.sent)]) * 20
        else:
            self.keeper = call.data[-20:]
        receipt = Receipt(b"", 1, 100, 2, is_success=True, contract=contract)
        return Outcome(call, receipt)


def run(chain, record, parameters=PARAMETERS, **options):
    async def main(_):
        return await deploy(chain, chain, parameters, record, **options)

    return run_simulation(main)


def test_everything_is_deployed_bound_and_recorded(tmp_path):
    chain, record = Chain(), tmp_path / "net" / "deployment.json"

    done = run(chain, record)

    assert chain.sent == [
        "deploy Users",
        "deploy NodeBook",
        "deploy Relays",
        "bind the book to its registry",
    ]
    assert done.contracts == Deployment.load(record)
    assert done.contracts == Deployment(1337, b"\3" * 20, b"\2" * 20, b"\1" * 20)
    assert chain.keeper == done.contracts.relays
    assert done.gas == dict.fromkeys(("users", "book", "relays", "bind"), 100)
    assert done.cost == 800


def test_a_contract_of_names_comes_last(tmp_path):
    chain, record = Chain(), tmp_path / "deployment.json"

    done = run(chain, record, name_deposit=7)

    assert chain.sent[4:] == ["deploy Names"]
    assert done.contracts.names == b"\5" * 20
    assert done.contracts == Deployment.load(record)
    assert run(chain, record, name_deposit=7).gas == {}
    assert run(chain, record).contracts == done.contracts


def test_names_are_added_to_a_network_that_has_none(tmp_path):
    chain, record = Chain(), tmp_path / "deployment.json"
    before = run(chain, record).contracts

    after = run(chain, record, name_deposit=7).contracts

    assert before.names is None
    assert after == replace(before, names=b"\5" * 20)
    assert Deployment.load(record) == after


def test_nothing_is_done_twice(tmp_path):
    chain, record = Chain(), tmp_path / "deployment.json"
    first = run(chain, record)

    again = run(chain, record)

    assert again.contracts == first.contracts
    assert again.gas == {}
    assert len(chain.sent) == 4


@pytest.mark.parametrize("step", range(4))
def test_interrupted_deployment_goes_on_where_it_was(tmp_path, step):
    chain, record = Chain(), tmp_path / "deployment.json"
    chain.dies_at = step
    with pytest.raises(StillPendingError):
        run(chain, record)
    if step < 3:
        with pytest.raises(ConfigError, match="names no deployment"):
            Deployment.load(record)

    run(chain, record)

    assert len(chain.sent) == len(set(chain.sent)) == 4


def test_record_of_another_chain_is_refused(tmp_path):
    record = tmp_path / "deployment.json"
    run(Chain(), record)
    other = Chain()
    other.chain_id = 1

    with pytest.raises(WrongChainError):
        run(other, record)
    assert not other.sent


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"chain_id": "1"}', "\xff", "[" * 9999]
)
def test_damaged_record_is_refused(tmp_path, text):
    record = tmp_path / "deployment.json"
    record.write_text(text, "latin-1")

    with pytest.raises(ConfigError, match="damaged"):
        Deployment.load(record)
    with pytest.raises(ConfigError, match="damaged"):
        run(Chain(), record)


def test_record_that_cannot_be_read_or_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigError, match="file"):
        run(Chain(), tmp_path / "file" / "deployment.json")
    with pytest.raises(ConfigError, match="names no deployment"):
        Deployment.load(tmp_path / "missing.json")
    (tmp_path / "directory" / ".deployment.json.new").mkdir(parents=True)
    with pytest.raises(ConfigError, match="check the disk"):
        run(Chain(), tmp_path / "directory" / "deployment.json")


def test_record_has_a_bad_address(tmp_path):
    record = tmp_path / "deployment.json"
    run(Chain(), record)
    good = address_text(b"\1" * 20)
    record.write_text(record.read_text().replace(good, good[:-1]))

    with pytest.raises(ConfigError, match="is no address"):
        Deployment.load(record)


def test_receipt_without_a_contract_is_not_believed(tmp_path):
    chain = Chain()
    send = chain.send

    async def lie(call):
        await send(call)
        return Outcome(call, Receipt(b"", 1, 1, 1, is_success=True))

    chain.send = lie

    with pytest.raises(Exception, match="names no contract"):
        run(chain, tmp_path / "deployment.json")


def test_parameters_reach_the_constructor(tmp_path):
    chain, seen = Chain(), []
    send = chain.send

    async def listen(call):
        seen.append(call)
        return await send(call)

    chain.send = listen
    parameters = RelaysParameters(60, 180, 7, 9, 2, sortition=False, self_only=False)

    run(chain, tmp_path / "deployment.json", parameters)

    run(chain, tmp_path / "deployment.json", parameters, name_deposit=7)
    wanted = deployment(
        "Relays", b"\2" * 20, b"\1" * 20, 60, 180, 7, 9, 2, False, False, 0  # noqa: FBT003
    )  # fmt: skip
    assert seen[2] == wanted
    assert seen[3] == NodeBook(b"\2" * 20).bind(b"\3" * 20)
    assert seen[4] == deployment("Names", b"\1" * 20, 7)

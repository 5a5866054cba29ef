"""Several relays run elections on their own (discovery/epochs), on both chains."""

from contextlib import asynccontextmanager

from discovery.election import effective_weight, elect, number_of
from discovery.epochs.config import EpochConfig
from discovery.epochs.driver import Reason
from discovery.epochs.service import EpochService
from discovery.transactions.client import Endpoints
from discovery.transactions.config import SenderConfig
from discovery.transactions.sender import Sender
from discovery.transactions.wallet import Wallet
from psp.crypto.keccak import keccak256
from psp.runtime.logs import logger
from psp.runtime.rpc import RpcEndpoint, new_session
from psp.testing.entropy import SeededEntropy
from psp.units import Seconds
from tests.chain.chains import ETHER
from tests.chain.deployment import Deployment, record

RELAYS = 6
SEATS = 3
BLOCK = 12
"""Seconds."""

SENDING = SenderConfig(
    first_poll=Seconds(0.01),
    poll_every=Seconds(0.1),
    lock_wait=Seconds(5),
    give_up_after=Seconds(10),
)


class Network:
    """Relays with hot keys of their own, and one chain."""

    def __init__(self, chain, deployed, directory, session):
        self.chain = chain
        self.deployed = deployed
        self.directory = directory
        self.session = session
        self.services = []

    def add(self, stake, *, money=ETHER, number=None):
        """Register a node and start following epochs for it."""
        i = len(self.services)
        wallet = Wallet(
            keccak256(b"hot key", self.deployed.relays.address.encode(), bytes([i]))
        )
        relays = self.deployed.relays.functions
        if number is None:
            self.chain.send(relays.register(*record("relay", i)), value=stake)
            number = self.deployed.book.functions.node_count().call()
            self.chain.send(relays.set_operator(number, wallet.address_text))
        if money:
            payment = {"from": self.chain.accounts[0], "to": wallet.address_text}
            self.chain.w3.eth.send_transaction({**payment, "value": money})
        directory = self.directory / str(i)
        directory.mkdir(mode=0o700)
        uri = self.chain.w3.provider.endpoint_uri
        endpoints = Endpoints(
            [RpcEndpoint(uri, self.session)], self.chain.w3.eth.chain_id
        )
        heard = []
        service = EpochService(
            EpochConfig(),
            endpoints=endpoints,
            relays=bytes.fromhex(self.deployed.relays.address[2:]),
            number=lambda: number,
            entropy=SeededEntropy(f"relay {i}"),
            log=logger("epochs"),
            sender=Sender(wallet, endpoints, directory / "key", config=SENDING),
            on_epoch=heard.append,
        )
        service.heard = heard
        self.services.append(service)
        return service

    async def run_epoch(self):
        """Let one epoch pass; return the list of the next one and what it should be."""
        relays, epoch = self.deployed.relays.functions, self.epoch()
        length = self.deployed.epoch_length
        start = self.deployed.genesis + (epoch - 4) * length
        self.chain.go_to(start + length // 2)
        weights = self.weights(epoch)
        while self.chain.now() + BLOCK < start + length:
            for service in self.services:
                await service.step()
                await service.idle()
            self.chain.go_to(min(self.next_look(), start + length - 1))
        _, seed = relays.seed_of(epoch + 1).call()
        listed = [number_of(key) for key in relays.elected(epoch + 1).call()]
        self.chain.go_to(start + length)
        return sorted(listed), sorted(elect(seed, weights, SEATS, sortition=True))

    def next_look(self):
        """Return when something may happen: the time that passes is in no test's way."""
        soon = self.chain.now() + BLOCK
        return min(max(service.last.until, soon) for service in self.services)

    def epoch(self):
        return self.deployed.relays.functions.epoch().call()

    def weights(self, epoch):
        words = self.deployed.relays.functions.weights(1, 400).call()
        return {i: effective_weight(word, epoch) for i, word in enumerate(words, 1)}


@asynccontextmanager
async def network(chain, directory, **changes):
    async with new_session(1) as session:
        deployed = Deployment.deploy(chain, seats=SEATS, **changes)
        made = Network(chain, deployed, directory, session)
        yield made
        for service in made.services:
            await service.close()


async def test_relays_elect_as_the_draw_says_over_two_epochs(chain, tmp_path):
    async with network(chain, tmp_path) as net:
        for i in range(RELAYS):
            net.add(ETHER * (1 + i % 3))
        first = net.epoch()
        assert (await net.run_epoch())[0] == []  # registered in it: nobody counts yet

        for _ in range(2):
            listed, expected = await net.run_epoch()
            assert listed == expected
            assert len(listed) == SEATS

        sent = [sum(s.stats.sent[kind] for s in net.services) for kind in
                ("request_seed", "reveal_seed", "nominate")]  # fmt: skip
        assert sent[0] == 2
        assert 2 <= sent[1] <= 2 * RELAYS
        assert 2 * SEATS <= sent[2] <= 2 * RELAYS
        assert all(s.heard == [first, first + 1, first + 2] for s in net.services)


async def test_relay_without_money_gives_way_to_the_next(chain, tmp_path):
    async with network(chain, tmp_path) as net:
        poor = net.add(1_000 * ETHER, money=0)
        for _ in range(SEATS):
            net.add(ETHER)
        await net.run_epoch()

        listed, expected = await net.run_epoch()

        assert listed == [2, 3, 4]
        assert 1 in expected
        assert poor.stats.idle[Reason.NO_MONEY] == 1
        assert not poor.stats.sent


async def test_largest_weights_win_where_nothing_is_drawn(chain, tmp_path):
    async with network(chain, tmp_path, sortition=False) as net:
        for i in range(5):
            net.add(ETHER * (1 + i))
        await net.run_epoch()

        listed, _ = await net.run_epoch()

        assert listed == [3, 4, 5]
        assert not any(s.stats.sent["request_seed"] for s in net.services)


async def test_nobody_stands_with_a_node_of_others(chain, tmp_path):
    async with network(chain, tmp_path) as net:
        net.add(ETHER)
        stranger = net.add(0, number=1)
        unknown = net.add(0, number=99)
        net.chain.send(net.deployed.relays.functions.retire(1), sender=0)

        await net.run_epoch()
        reasons = [service.last.reason for service in net.services]

        assert reasons == [Reason.ENDED, Reason.ENDED, Reason.NOT_REGISTERED]
        assert not stranger.stats.sent
        assert not unknown.is_nominating

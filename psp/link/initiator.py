"""The initiator's side of link handshakes.

A `Dial` ends with hybrid keys or not at all::

    initiation ------------>            again after 250 ms, 500 ms … 5 s, at the
               <------------ response   endpoints in turn; answers to the last 3 count
    LINK_KEM 1 ------------>            again after 250 ms, 375 ms …, 6 times in all,
               <------------ LINK_KEM 2 then from the beginning

It makes packets, it does not send them: its owner takes them from `Dial.packets`.
Source: SPEC.md section 1.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from psp.crypto.kdf import link_keys, mac1_key
from psp.crypto.keys import SigningKey
from psp.crypto.noise import NoiseHandshake, Pattern
from psp.crypto.primitives import KemKey, kem_generate
from psp.entropy import Entropy
from psp.errors import DecodeError, HandshakeError, RemoteProtocolError
from psp.ids import LinkId
from psp.link.config import COOKIE_LIFETIME, MAX_ATTEMPTS, LinkConfig
from psp.link.cookie import add_macs, has_mac1, mac1_of, open_cookie
from psp.link.freshness import NO_TIME, HandshakeClock
from psp.link.keypair import Keypair
from psp.link.prologue import link_prologue
from psp.link.stats import LinkStats
from psp.sansio import Address
from psp.units import Monotonic
from psp.wire.cell import HEADER, CellCommand
from psp.wire.link_cells import KemAnswer, KemOffer, decode_kem, link_cell
from psp.wire.network import Network
from psp.wire.packet import CookieReply, Initiation, Response

KEM_BACKOFF = 1.5

NEW_LINK = bytes(16)
"""The resume token that asks for a new link."""

CookieJar = dict[Address, tuple[bytes, Monotonic]]
"""Cookies by the address that gave them; one per endpoint of one peer at most."""


@dataclass(frozen=True, slots=True)
class Target:
    """Whom to reach, and for which link.

    Attributes:
        link: The link that gets the keys.
        static: The responder's X25519 public key.
        endpoints: Where it may be reached, in the order to try.
        cookies: What its endpoints gave us; kept by the link.
    """

    link: LinkId
    static: bytes
    endpoints: Sequence[Address]
    cookies: CookieJar


@dataclass(frozen=True, slots=True)
class Agreed:
    """What a successful handshake gives.

    Attributes:
        keypair: The hybrid keys.
        is_resumed: Whether the peer continues the link of the token.
        address: Where the peer answered.
        rtt: Seconds from the initiation to its response.
    """

    keypair: Keypair
    is_resumed: bool
    address: Address
    rtt: float


@dataclass(frozen=True, slots=True)
class Upgrade:
    """The second half of a handshake: on the way to hybrid keys.

    Attributes:
        first: The keys before the upgrade.
        kem: The key that was offered.
        hybrid_index: Our receiver index under the keys that will result.
        cell: The offer.
        address: Where the answered initiation went.
        rtt: Seconds from the initiation to its response.
    """

    first: Keypair
    kem: KemKey
    hybrid_index: int
    cell: bytes
    address: Address
    rtt: float


class Indexes(Protocol):
    """What a dial needs of its machine's receiver indexes."""

    def draw(self) -> int:
        """Return an index that nobody owns."""
        ...

    def give(self, index: int, owner: "Attempt") -> None:
        """Let an index lead to an attempt."""

    def release(self, index: int) -> None:
        """Forget an index."""


class Attempt:
    """One initiation and what became of it; owns its receiver indexes.

    Attributes:
        dial: What it is part of.
        address: Where it went.
        upgrade: What followed its response, if one came.
    """

    __slots__ = (
        "address",
        "dial",
        "is_cookie_answered",
        "local_index",
        "message",
        "noise",
        "packet",
        "sent_at",
        "upgrade",
    )

    def __init__(self, dial: "Dial", address: Address, now: Monotonic) -> None:
        dialer = dial.dialer
        self.dial = dial
        self.address = address
        self.sent_at = now
        self.upgrade: Upgrade | None = None
        self.is_cookie_answered = False
        self.noise = dialer.noise(dial.target.static, address[1])
        self.local_index = dialer.indexes.draw()
        dialer.indexes.give(self.local_index, self)
        noise = self.noise.write_message(dialer.handshake_time() + dial.resume_token)
        initiation = Initiation(self.local_index, noise, is_client=dialer.is_client)
        self.message = initiation.encode()
        self.packet = b""


class Dialer:
    """What all dials of one machine share.

    Attributes:
        config: Times and limits.
        stats: Counters.
        entropy: Randomness.
        indexes: Receiver indexes of the machine.
        is_client: NK without a key of our own, instead of IK.
    """

    def __init__(
        self,
        config: LinkConfig,
        *,
        network: Network,
        identity: SigningKey | None,
        entropy: Entropy,
        unix_time: Callable[[], float],
        indexes: Indexes,
        stats: LinkStats,
    ) -> None:
        self.config = config
        self.stats = stats
        self.entropy = entropy
        self.is_client = identity is None
        self.indexes = indexes
        self._network = network
        self._private = None if identity is None else identity.link_private
        self._clock = HandshakeClock(unix_time)

    def noise(self, responder_static: bytes, port: int) -> NoiseHandshake:
        """Return a new handshake with a node's worker at ``port``."""
        return NoiseHandshake.initiator(
            Pattern.NK if self.is_client else Pattern.IK,
            prologue=link_prologue(self._network, port),
            remote_static=responder_static,
            static=self._private,
            entropy=self.entropy,
        )

    def handshake_time(self) -> bytes:
        """Return the 12 bytes of time for an initiation."""
        return NO_TIME if self.is_client else self._clock.next()


class Dial:
    """Tries to get keys with one peer until it has them or its owner ends it.

    Attributes:
        target: Whom to reach.
        resume_token: The link to continue, or zeros.
        is_failover: Begun because the link went silent.
        due: When to call `handle_timeout`.
        gives_up: When to give up.
        packets: Whole packets to send, oldest first; the owner takes them.
    """

    def __init__(
        self,
        dialer: Dialer,
        target: Target,
        *,
        resume_token: bytes,
        is_failover: bool,
        now: Monotonic,
    ) -> None:
        self.dialer = dialer
        self.target = target
        self.resume_token = resume_token
        self.is_failover = is_failover
        self.due = now
        self.gives_up = Monotonic(now + dialer.config.give_up)
        self.packets: list[tuple[Address, bytes]] = []
        self._attempts: list[Attempt] = []
        self._tries = 0
        self._upgrade: Upgrade | None = None
        self._offers = 0

    def handle_timeout(self, now: Monotonic) -> None:
        """Send what is due; at the first call the first initiation."""
        if now < self.due:
            return
        if self._upgrade is not None:
            if self._offers < self.dialer.config.kem_tries:
                self._offer(self._upgrade, now)
                return
            self.end()
        self._initiate(now)

    def end(self) -> None:
        """Give back every receiver index."""
        if self._upgrade is not None:
            self.dialer.indexes.release(self._upgrade.hybrid_index)
            self._upgrade = None
        self._drop_attempts(keep=None)

    def read_response(
        self, attempt: Attempt, packet: bytes, response: Response, now: Monotonic
    ) -> None:
        """Take in the answer to an initiation.

        Raises:
            HandshakeError: If it does not verify; nothing has changed then.
        """
        if self._upgrade is not None:
            raise HandshakeError("answered already")
        if not has_mac1(packet, mac1_key(attempt.noise.local_ephemeral)):
            raise HandshakeError("mac1 of the response is wrong")
        attempt.noise.read_message(response.noise)
        index, remote = attempt.local_index, response.sender_index
        first = self._keypair(attempt, index, remote, b"", now)
        kem = kem_generate(self.dialer.entropy)
        hybrid_index = self.dialer.indexes.draw()
        self.dialer.indexes.give(hybrid_index, attempt)
        offer = KemOffer(hybrid_index, kem.public).encode()
        self._upgrade = attempt.upgrade = Upgrade(
            first,
            kem,
            hybrid_index,
            link_cell(CellCommand.LINK_KEM, offer),
            attempt.address,
            now - attempt.sent_at,
        )
        self._drop_attempts(keep=attempt)
        self._offers = 0
        self._offer(self._upgrade, now)

    def read_cookie(self, attempt: Attempt, reply: CookieReply, now: Monotonic) -> None:
        """Take in a cookie; send the same initiation with it, once.

        Raises:
            HandshakeError: If it is not for this initiation.
        """
        if attempt.upgrade is not None or attempt.is_cookie_answered:
            raise HandshakeError("no cookie was asked for")
        static = self.target.static
        cookie = open_cookie(reply, static, mac1_of(attempt.packet))
        attempt.is_cookie_answered = True
        self.target.cookies[attempt.address] = (cookie, now)
        self.dialer.stats.cookies_received += 1
        self._send(attempt, now)

    def read_cells(
        self, attempt: Attempt, upgrade: Upgrade, cells: list[bytes], now: Monotonic
    ) -> Agreed | None:
        """Take in cells under the first keys.

        Returns:
            The keys, when an answer to our offer was among them. The dial is over then.

        Raises:
            RemoteProtocolError: If any cell may not be sent before the upgrade.
        """
        for cell in cells:
            _, command = HEADER.unpack_from(cell)
            if command == CellCommand.PADDING:
                continue
            if command != CellCommand.LINK_KEM:
                raise RemoteProtocolError(f"command {command} before the upgrade")
            answer = decode_kem(cell[HEADER.size :])
            if not isinstance(answer, KemAnswer):
                raise DecodeError("an offer where an answer belongs")
            secret = upgrade.kem.decapsulate(answer.ciphertext)
            index, remote = upgrade.hybrid_index, answer.receiver_index
            keypair = self._keypair(attempt, index, remote, secret, now)
            self._upgrade = None
            self._drop_attempts(keep=None)
            return Agreed(keypair, answer.is_resumed, upgrade.address, upgrade.rtt)
        return None

    def _keypair(
        self,
        attempt: Attempt,
        local_index: int,
        remote_index: int,
        kem_secret: bytes,
        now: Monotonic,
    ) -> Keypair:
        keys = link_keys(
            attempt.noise.split(),
            is_initiator=True,
            handshake_hash=attempt.noise.handshake_hash,
            kem_secret=kem_secret,
        )
        return Keypair(
            keys,
            local_index=local_index,
            remote_index=remote_index,
            created=now,
            stats=self.dialer.stats,
        )

    def _initiate(self, now: Monotonic) -> None:
        attempt = Attempt(self, self._next_address(), now)
        self._attempts.append(attempt)
        while len(self._attempts) > MAX_ATTEMPTS:
            self.dialer.indexes.release(self._attempts.pop(0).local_index)
        config = self.dialer.config
        wait = min(config.first_retry * 2**self._tries, config.retry)
        jitter = config.retry_jitter / config.retry * self.dialer.entropy.uniform()
        self.due = Monotonic(now + wait * (1 + jitter))
        self._tries += 1
        self._send(attempt, now)

    def _next_address(self) -> Address:
        # A link that is up stays where it is: another endpoint may be another worker,
        # which knows nothing of its circuits. A silent one gets two tries there.
        endpoints = self.target.endpoints
        tries = self._tries
        if self.resume_token != NEW_LINK:
            tries = max(0, tries - 1) if self.is_failover else 0
        return endpoints[tries % len(endpoints)]

    def _send(self, attempt: Attempt, now: Monotonic) -> None:
        cookie, since = self.target.cookies.get(attempt.address, (None, now))
        if now - since >= COOKIE_LIFETIME:
            cookie = None
        attempt.packet = add_macs(attempt.message, mac1_key(self.target.static), cookie)
        self.packets.append((attempt.address, attempt.packet))
        self.dialer.stats.initiations += 1

    def _offer(self, upgrade: Upgrade, now: Monotonic) -> None:
        packet = upgrade.first.seal([upgrade.cell])
        self.packets.append((upgrade.address, packet))
        wait = self.dialer.config.kem_retry * KEM_BACKOFF**self._offers
        self.due = Monotonic(now + wait)
        self._offers += 1

    def _drop_attempts(self, *, keep: Attempt | None) -> None:
        for attempt in self._attempts:
            if attempt is not keep:
                self.dialer.indexes.release(attempt.local_index)
        self._attempts = [] if keep is None else [keep]

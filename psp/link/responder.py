"""The responder's side of link handshakes.

What a first message must pass, cheapest first (R-LNK-4, R-LNK-5, R-LNK-6)::

    decoded -> mac1 -> cookie, if there is load or the source is over its limit
            -> not seen before -> Noise -> known peer -> later time -> response

Nothing is answered before mac1 is right, and what is answered is one packet of the same
size. Keys are half open until the initiator has used the hybrid ones; half-open state
is bounded and freed after `LinkConfig.half_open_life`.
Source: SPEC.md section 1.
"""

from collections.abc import Callable
from dataclasses import dataclass

from psp.crypto.kdf import link_keys, mac1_key
from psp.crypto.keys import SigningKey, link_public
from psp.crypto.noise import NoiseHandshake, Pattern
from psp.crypto.primitives import kem_encapsulate
from psp.entropy import Entropy
from psp.errors import DecodeError, HandshakeError, RemoteProtocolError
from psp.ids import LinkId, NodeId
from psp.link.config import LinkConfig
from psp.link.cookie import CookieIssuer, add_macs, has_mac1
from psp.link.freshness import NO_TIME, TIME_SIZE, Seen, Timestamps
from psp.link.keypair import Keypair
from psp.link.limits import LoadGauge, RateLimit
from psp.link.prologue import link_prologue
from psp.link.stats import LinkStats
from psp.sansio import Address
from psp.units import Monotonic
from psp.wire.cell import HEADER, CellCommand
from psp.wire.link_cells import KemAnswer, KemOffer, decode_kem, link_cell
from psp.wire.network import Network
from psp.wire.packet import Initiation, Response

LOADED_SHARE = 8
"""Half-open handshakes count as load at 1/8 of their limit (R-LNK-4)."""


class HalfOpen:
    """A handshake that the initiator has not finished.

    Attributes:
        peer: The relay that began it; None for a client.
        source: Where the response went.
        resume_token: What message 1 asked to continue.
        created: When message 1 came.
        first: Keys before the upgrade, which the initiator may not have yet.
        hybrid: Keys after it, once an offer came.
        resumed: The link that these keys will continue.
    """

    __slots__ = (
        "_answer",
        "_noise",
        "_offer",
        "_stats",
        "created",
        "first",
        "hybrid",
        "peer",
        "resume_token",
        "resumed",
        "source",
    )

    def __init__(
        self,
        noise: NoiseHandshake,
        *,
        local_index: int,
        remote_index: int,
        peer: NodeId | None,
        source: Address,
        resume_token: bytes,
        created: Monotonic,
        stats: LinkStats,
    ) -> None:
        self.peer = peer
        self.source = source
        self.resume_token = resume_token
        self.created = created
        self.hybrid: Keypair | None = None
        self.resumed: LinkId | None = None
        self._noise = noise
        self._offer = b""
        self._answer = b""
        self._stats = stats
        self.first = self.keypair(local_index, remote_index, b"", created)

    def keypair(
        self, local_index: int, remote_index: int, kem_secret: bytes, now: Monotonic
    ) -> Keypair:
        """Return keys of this handshake; without a secret, those before the upgrade."""
        keys = link_keys(
            self._noise.split(),
            is_initiator=False,
            handshake_hash=self._noise.handshake_hash,
            kem_secret=kem_secret,
        )
        return Keypair(
            keys,
            local_index=local_index,
            remote_index=remote_index,
            created=now,
            stats=self._stats,
        )

    def repeated_answer(self, offer: bytes) -> bytes | None:
        """Return the cell that answered this very offer; None when it is the first.

        Raises:
            RemoteProtocolError: If another offer was answered.
        """
        if not self._answer:
            return None
        if offer != self._offer:
            raise RemoteProtocolError("a second, different offer")
        return self._answer

    def remember(self, offer: bytes, answer: bytes) -> None:
        """Keep an answered offer, so that it is answered alike when it comes again."""
        self._offer, self._answer = offer, answer


@dataclass(frozen=True, slots=True)
class Doors:
    """What the responder asks of its machine.

    Attributes:
        draw_index: Returns a receiver index that nobody owns.
        give_index: Lets one lead to a handshake.
        release_index: Forgets one.
        resumable: Finds the link of a token; of this peer only.
        add_token: Lets a token continue a link.
        is_full: Whether there are as many links as there may be.
    """

    draw_index: Callable[[], int]
    give_index: Callable[[int, HalfOpen], None]
    release_index: Callable[[int], None]
    resumable: Callable[[bytes, NodeId | None], LinkId | None]
    add_token: Callable[[LinkId, bytes], None]
    is_full: Callable[[], bool]


class Responder:
    """Answers the handshakes of one node.

    Attributes:
        timestamps: Latest handshake time per relay; to be kept over restarts.
    """

    def __init__(
        self,
        config: LinkConfig,
        *,
        network: Network,
        identity: SigningKey,
        own_port: int,
        entropy: Entropy,
        peer_of_static: Callable[[bytes], NodeId | None],
        doors: Doors,
        stats: LinkStats,
    ) -> None:
        self.timestamps = Timestamps(config.max_timestamps)
        self._config = config
        self._private = identity.link_private
        static = link_public(identity.public)
        self._mac1_key = mac1_key(static)
        self._prologue = link_prologue(network, own_port)
        self._entropy = entropy
        self._peer_of_static = peer_of_static
        self._doors = doors
        self._stats = stats
        self._cookies = CookieIssuer(static, entropy=entropy)
        self._ephemerals = Seen(config.max_ephemerals)
        self._load = LoadGauge(config.load_handshakes)
        # Strangers' addresses may be forged, so they use up an allowance of their own:
        # who shows a cookie is never held to what others did in its name.
        self._strangers, self._shown = (
            RateLimit(
                rate=config.handshakes_per_second,
                burst=config.handshake_burst,
                max_sources=config.max_sources,
            )
            for _ in range(2)
        )
        self._half_open: dict[HalfOpen, None] = {}

    def __len__(self) -> int:
        """Return how many handshakes are half open."""
        return len(self._half_open)

    @property
    def due(self) -> Monotonic | None:
        """When the oldest half-open handshake is to be freed."""
        oldest = next(iter(self._half_open), None)
        if oldest is None:
            return None
        return Monotonic(oldest.created + self._config.half_open_life)

    def answer(self, packet: bytes, source: Address, now: Monotonic) -> bytes | None:
        """Return the packet that answers an initiation, or None for silence.

        Raises:
            DecodeError: If ``packet`` is not an initiation.
        """
        initiation = Initiation.decode(packet)
        if not has_mac1(packet, self._mac1_key):
            self._stats.drop_mac1 += 1
            return None
        if self._cookies.is_mac2_valid(packet, source, now):
            if not self._shown.allow(source[0], now):
                self._stats.drop_rate += 1
                return None
        elif self._is_loaded(now) or not self._strangers.allow(source[0], now):
            self._stats.cookies_sent += 1
            return self._cookies.reply(packet, initiation.sender_index, source, now)
        if self._doors.is_full():
            self._stats.drop_full += 1
            return None
        return self._respond(initiation, source, now)

    def read_cells(
        self, half_open: HalfOpen, cells: list[bytes], now: Monotonic
    ) -> bytes | None:
        """Take in cells under the first keys.

        Returns:
            The packet to send to where the cells came from, if an offer was among them.

        Raises:
            RemoteProtocolError: If any cell may not be sent before the upgrade.
        """
        for cell in cells:
            _, command = HEADER.unpack_from(cell)
            if command == CellCommand.PADDING:
                continue
            if command != CellCommand.LINK_KEM:
                raise RemoteProtocolError(f"command {command} before the upgrade")
            answer = half_open.repeated_answer(cell)
            if answer is None:
                answer = self._agree(half_open, cell, now)
                half_open.remember(cell, answer)
            return half_open.first.seal([answer])
        return None

    def finish(self, half_open: HalfOpen) -> None:
        """Forget a handshake whose hybrid keys are in use."""
        del self._half_open[half_open]
        self._doors.release_index(half_open.first.local_index)

    def drop(self, half_open: HalfOpen) -> None:
        """Forget a handshake that came to nothing."""
        self.finish(half_open)
        self._stats.drop_half_open += 1
        if half_open.hybrid is not None:
            self._doors.release_index(half_open.hybrid.local_index)

    def handle_timeout(self, now: Monotonic) -> None:
        """Free handshakes that were half open for too long."""
        while (due := self.due) is not None and due <= now:
            self.drop(next(iter(self._half_open)))

    def _is_loaded(self, now: Monotonic) -> bool:
        is_crowded = len(self._half_open) * LOADED_SHARE >= self._config.max_half_open
        return is_crowded or self._load.is_loaded(now)

    def _respond(
        self, initiation: Initiation, source: Address, now: Monotonic
    ) -> bytes | None:
        ephemeral = initiation.noise[:32]
        if ephemeral in self._ephemerals:
            self._stats.drop_replayed_handshake += 1
            return None
        self._load.spend(now)
        noise = NoiseHandshake.responder(
            Pattern.NK if initiation.is_client else Pattern.IK,
            prologue=self._prologue,
            static=self._private,
            entropy=self._entropy,
        )
        try:
            payload = noise.read_message(initiation.noise)
        except HandshakeError:
            self._stats.drop_noise += 1
            return None
        self._ephemerals.add(ephemeral)
        time, token = payload[:TIME_SIZE], payload[TIME_SIZE:]
        if initiation.is_client:
            if time != NO_TIME:
                self._stats.drop_malformed += 1
                return None
            peer = None
        else:
            peer = self._fresh_peer(noise, time)
            if peer is None:
                return None
        try:
            message = noise.write_message()
        except HandshakeError:
            self._stats.drop_noise += 1
            return None
        index = self._doors.draw_index()
        half_open = HalfOpen(
            noise,
            local_index=index,
            remote_index=initiation.sender_index,
            peer=peer,
            source=source,
            resume_token=token,
            created=now,
            stats=self._stats,
        )
        self._keep(half_open)
        response = Response(index, initiation.sender_index, message).encode()
        return add_macs(response, mac1_key(ephemeral), None)

    def _keep(self, half_open: HalfOpen) -> None:
        self._doors.give_index(half_open.first.local_index, half_open)
        self._half_open[half_open] = None
        if len(self._half_open) > self._config.max_half_open:
            self.drop(next(iter(self._half_open)))
        self._stats.responses += 1

    def _fresh_peer(self, noise: NoiseHandshake, time: bytes) -> NodeId | None:
        static = noise.remote_static
        peer = None if static is None else self._peer_of_static(static)
        if static is None or peer is None:
            self._stats.drop_unknown_peer += 1
            return None
        if not self.timestamps.accept(static, time):
            self._stats.drop_replayed_handshake += 1
            return None
        return peer

    def _agree(self, half_open: HalfOpen, cell: bytes, now: Monotonic) -> bytes:
        offer = decode_kem(cell[HEADER.size :])
        if not isinstance(offer, KemOffer):
            raise DecodeError("an answer where an offer belongs")
        ciphertext, secret = kem_encapsulate(offer.key)
        index = self._doors.draw_index()
        self._doors.give_index(index, half_open)
        half_open.hybrid = half_open.keypair(index, offer.receiver_index, secret, now)
        half_open.resumed = self._doors.resumable(
            half_open.resume_token, half_open.peer
        )
        if half_open.resumed is not None:
            # The initiator may get the keys and never be heard using them; the next
            # time it comes with their token.
            token = half_open.hybrid.resume_token
            self._doors.add_token(half_open.resumed, token)
        answer = KemAnswer(index, ciphertext, half_open.resumed is not None)
        return link_cell(CellCommand.LINK_KEM, answer.encode())

"""Packets that are not for keys in use: handshakes, and what comes in their course.

::

    initiation              --> Responder          answer, cookie or silence
    response, cookie        --> Attempt's Dial     by the index we gave in message 1
    data for Attempt        --> Dial               the peer's half of the upgrade
    data for HalfOpen       --> Responder          the initiator's half
      … under hybrid keys   --> a link comes up, or goes on under new keys
    anything else           --> silence, counted
"""

from psp.errors import DecodeError, HandshakeError, RemoteProtocolError
from psp.link.events import CloseReason
from psp.link.initiator import Attempt, Upgrade
from psp.link.keypair import PREFIX_SIZE, Keypair
from psp.link.lifecycle import Lifecycle, Owner, Session
from psp.link.responder import HalfOpen
from psp.link.stats import LinkStats
from psp.sansio import Address, Train
from psp.units import Monotonic
from psp.wire.packet import CookieReply, PacketType, Response, packet_type


class Strangers:
    """Reads the packets of peers that have no keys with us yet."""

    def __init__(self, life: Lifecycle, stats: LinkStats) -> None:
        self._life = life
        self._stats = stats

    def read(
        self, data: memoryview, owner: Owner | None, source: Address, now: Monotonic
    ) -> Session | None:
        """Take in one packet of 1,232 bytes.

        Args:
            data: The packet.
            owner: What its first 8 bytes lead to.
            source: Where it came from.
            now: The time.

        Returns:
            The session that came of it, when the packet is to be opened with that.
        """
        packet = bytes(data)
        try:
            match packet_type(packet):
                case PacketType.DATA:
                    return self._read_data(data, owner, source, now)
                case PacketType.RESPONSE:
                    self._read_response(packet, now)
                case PacketType.COOKIE:
                    self._read_cookie(packet, now)
                case PacketType.INITIATION_IK | PacketType.INITIATION_NK:
                    self._read_initiation(packet, source, now)
        except HandshakeError:
            self._stats.drop_noise += 1
        except DecodeError:
            self._stats.drop_malformed += 1
        return None

    def _read_initiation(self, packet: bytes, source: Address, now: Monotonic) -> None:
        responder = self._life.responder
        if responder is None:
            self._stats.drop_not_a_node += 1
            return
        answer = responder.answer(packet, source, now)
        if answer is not None:
            self._life.trains.append(Train(source, [answer], 1))

    def _read_response(self, packet: bytes, now: Monotonic) -> None:
        response = Response.decode(packet)
        attempt = self._life.indexes.owner(response.receiver_index)
        if not isinstance(attempt, Attempt):
            self._stats.drop_index += 1
            return
        attempt.dial.read_response(attempt, packet, response, now)
        self._after_dial(attempt, now)

    def _read_cookie(self, packet: bytes, now: Monotonic) -> None:
        reply = CookieReply.decode(packet)
        attempt = self._life.indexes.owner(reply.receiver_index)
        if not isinstance(attempt, Attempt):
            self._stats.drop_cookie += 1
            return
        attempt.dial.read_cookie(attempt, reply, now)
        self._after_dial(attempt, now)

    def _after_dial(self, attempt: Attempt, now: Monotonic) -> None:
        link = self._life.table.get(attempt.dial.target.link)
        if link is not None:
            self._life.settle(link, now)

    def _read_data(
        self, data: memoryview, owner: Owner | None, source: Address, now: Monotonic
    ) -> Session | None:
        prefix = bytes(data[:PREFIX_SIZE])
        if isinstance(owner, Attempt):
            upgrade = owner.upgrade
            if upgrade is not None and upgrade.first.prefix == prefix:
                self._read_answer(owner, upgrade, data, now)
                return None
        elif isinstance(owner, HalfOpen):
            if owner.first.prefix == prefix:
                self._read_offer(owner, data, source, now)
                return None
            if owner.hybrid is not None and owner.hybrid.prefix == prefix:
                # A forgery opens nothing and leaves the handshake as it is.
                is_genuine = owner.hybrid.can_open(data)
                return self._life.confirm(owner, now) if is_genuine else None
        self._stats.drop_index += 1
        return None

    def _read_answer(
        self, attempt: Attempt, upgrade: Upgrade, data: memoryview, now: Monotonic
    ) -> None:
        cells = _open_all(upgrade.first, data, now)
        try:
            agreed = attempt.dial.read_cells(attempt, upgrade, cells, now)
        except RemoteProtocolError:
            self._stats.drop_downgrade += 1
            link = self._life.table.get(attempt.dial.target.link)
            if link is not None:
                self._life.bury(link, CloseReason.PROTOCOL)
            return
        if agreed is not None:
            self._life.agree(attempt, agreed, now)

    def _read_offer(
        self,
        half_open: HalfOpen,
        data: memoryview,
        source: Address,
        now: Monotonic,
    ) -> None:
        life = self._life
        if life.responder is None:
            return
        cells = _open_all(half_open.first, data, now)
        try:
            answer = life.responder.read_cells(half_open, cells, now)
        except RemoteProtocolError:
            self._stats.drop_downgrade += 1
            life.responder.drop(half_open)
            link = life.table.get(half_open.resumed)
            if link is not None:
                life.bury(link, CloseReason.PROTOCOL)
            return
        if answer is not None:
            life.trains.append(Train(source, [answer], 1))


def _open_all(keypair: Keypair, data: memoryview, now: Monotonic) -> list[bytes]:
    cells: list[bytes] = []
    keypair.open_run(data, cells, cells, now)
    return cells

"""Counters of all links of one machine."""

from dataclasses import dataclass


@dataclass(slots=True)
class LinkStats:
    """What happened since the start.

    Everything that is dropped is counted once, under the first rule it broke.

    Attributes:
        sent_packets: Packets of every type given to the socket.
        received_packets: Packets of every type taken from it.
        received_cells: Cells handed to the owner.
        sent_cells: Cells of the owner that were sealed.
        opened: Links that came up.
        resumed: Links that went on under new keys.
        closed: Links that ended.
        initiations: Handshakes we started, retries included.
        responses: Handshakes we answered.
        cookies_sent: Handshakes answered by a cookie.
        cookies_received: Cookies that opened.
        padding_sent: Padding and keep-alive cells.
        padding_received: The same, from peers.
        repairs_asked: Packets we asked for again.
        repaired: Packets that came because of that.
        repairs_sent: Packets sent again.
        repairs_missed: Packets asked of us that we no longer had.
        roamed: Links whose peer's address changed.
        drop_malformed: Wrong size, type, version, reserved bytes or padding.
        drop_mac1: First mac wrong.
        drop_rate: Source over its limit, cookie notwithstanding.
        drop_not_a_node: Handshake sent to a client.
        drop_noise: Handshake message that did not verify.
        drop_unknown_peer: Handshake of a key that is no registered node.
        drop_replayed_handshake: Time not later than the last, or ephemeral seen.
        drop_full: Handshake refused because there are too many links.
        drop_half_open: Unfinished handshake given up for a newer one or after its time.
        drop_cookie: Cookie that did not open or was not asked for.
        drop_index: No keys under this receiver index.
        drop_replayed: Data packet seen before or too old.
        drop_bad_tag: Data packet that did not verify.
        drop_downgrade: Cell before the ML-KEM upgrade; closes the link.
        drop_protocol: Cell that its sender may not send; closes the link.
        drop_no_link: Owner's cell for a link that is gone.
        drop_queue: Owner's cell that waited behind 128 others for a link.
        drop_key_limit: Owner's cell when the keys were used up.
    """

    sent_packets: int = 0
    received_packets: int = 0
    received_cells: int = 0
    sent_cells: int = 0
    opened: int = 0
    resumed: int = 0
    closed: int = 0
    initiations: int = 0
    responses: int = 0
    cookies_sent: int = 0
    cookies_received: int = 0
    padding_sent: int = 0
    padding_received: int = 0
    repairs_asked: int = 0
    repaired: int = 0
    repairs_sent: int = 0
    repairs_missed: int = 0
    roamed: int = 0
    drop_malformed: int = 0
    drop_mac1: int = 0
    drop_rate: int = 0
    drop_not_a_node: int = 0
    drop_noise: int = 0
    drop_unknown_peer: int = 0
    drop_replayed_handshake: int = 0
    drop_full: int = 0
    drop_half_open: int = 0
    drop_cookie: int = 0
    drop_index: int = 0
    drop_replayed: int = 0
    drop_bad_tag: int = 0
    drop_downgrade: int = 0
    drop_protocol: int = 0
    drop_no_link: int = 0
    drop_queue: int = 0
    drop_key_limit: int = 0

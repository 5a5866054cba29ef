"""Macs and cookies."""

import pytest

from psp.crypto.kdf import mac1_key
from psp.errors import HandshakeError
from psp.link.config import COOKIE_LIFETIME
from psp.link.cookie import CookieIssuer, add_macs, has_mac1, mac1_of, open_cookie
from psp.testing.entropy import SeededEntropy
from psp.units import Monotonic
from psp.wire.packet import MAC1_OFFSET, MAC2_OFFSET, PACKET_SIZE, CookieReply

STATIC = bytes(range(32))
KEY = mac1_key(STATIC)
MESSAGE = b"\2\1\0\0".ljust(MAC1_OFFSET, b"m")
SOURCE = ("192.0.2.1", 1234)
NOW = Monotonic(50.0)


def issuer() -> CookieIssuer:
    return CookieIssuer(STATIC, entropy=SeededEntropy("cookie"))


def cookie_from(issuer: CookieIssuer, packet: bytes) -> bytes:
    reply = CookieReply.decode(issuer.reply(packet, 7, SOURCE, NOW))
    assert reply.receiver_index == 7
    return open_cookie(reply, STATIC, mac1_of(packet))


def test_mac1_depends_on_every_byte_and_on_the_receiver() -> None:
    packet = add_macs(MESSAGE, KEY, None)

    assert len(packet) == PACKET_SIZE
    assert has_mac1(packet, KEY)
    assert not has_mac1(packet, mac1_key(bytes(32)))
    for position in range(0, MAC2_OFFSET, 13):
        changed = bytearray(packet)
        changed[position] ^= 1
        assert not has_mac1(bytes(changed), KEY)


def test_a_cookie_makes_mac2_valid_for_its_address() -> None:
    cookies = issuer()
    cookie = cookie_from(cookies, add_macs(MESSAGE, KEY, None))
    packet = add_macs(MESSAGE, KEY, cookie)

    assert cookies.is_mac2_valid(packet, SOURCE, NOW)
    assert not cookies.is_mac2_valid(packet, (SOURCE[0], 1235), NOW)
    assert not cookies.is_mac2_valid(packet, ("192.0.2.2", SOURCE[1]), NOW)
    assert not issuer().is_mac2_valid(add_macs(MESSAGE, KEY, None), SOURCE, NOW)
    assert not cookies.is_mac2_valid(packet[:-1] + b"\0", SOURCE, NOW)


def test_a_cookie_lives_through_one_change_of_the_secret() -> None:
    cookies = issuer()
    packet = add_macs(MESSAGE, KEY, cookie_from(cookies, add_macs(MESSAGE, KEY, None)))

    assert cookies.is_mac2_valid(packet, SOURCE, Monotonic(NOW + COOKIE_LIFETIME))
    later = Monotonic(NOW + 2 * COOKIE_LIFETIME)
    assert not cookies.is_mac2_valid(packet, SOURCE, later)


def test_a_cookie_is_bound_to_the_packet_it_answers() -> None:
    packet = add_macs(MESSAGE, KEY, None)
    reply = CookieReply.decode(issuer().reply(packet, 7, SOURCE, NOW))

    with pytest.raises(HandshakeError):
        open_cookie(reply, STATIC, bytes(16))
    with pytest.raises(HandshakeError):
        open_cookie(reply, bytes(32), mac1_of(packet))


def test_secrets_do_not_show() -> None:
    assert repr(issuer()) == "CookieIssuer([scrubbed])"

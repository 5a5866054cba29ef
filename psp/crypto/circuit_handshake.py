"""The circuit handshake: how a client and one relay agree on keys (SPEC.md section 4).

Hybrid X25519 + ML-KEM-768 in the shape of ntor v3, authenticated by the relay's onion
key. The client stays anonymous. ``B`` is the relay's onion key, ``X`` and ``Y`` the
ephemeral keys, ``ek`` and ``ct`` the client's encapsulation key and its ciphertext::

    client  node id 32 | B 32 | X 32 | ek 1,184 | AES-256-GCM(extensions 16) 32 | mac 32
    relay   Y 32 | ct 1,088 | AES-256-GCM(extensions 16) 32 | mac 32

    client extensions   hop 1 | version 1 | min 2 | wanted 2 | reserved 10
    relay extensions    granted 2 | reserved 14

The rates are in units of 8 kbit/s (`psp.bandwidth`). Derivations, P being the protocol id, ``Label.CIRCUIT``::

    t1 = SHA-256(P | node id | B | X | ek)
    client extension key 32 | client mac key 32 = HKDF(x.B, salt t1)
    client mac = HMAC(client mac key, the message before the mac)

    secret = x.B | x.Y | kem secret
    t2 = SHA-256(P | client message | Y | ct)
    relay extension key 32 = HKDF(secret, salt t2)
    t3 = SHA-256(P | client message | Y | ct | relay extensions sealed)
    forward chain 32 | backward chain 32 | forward start 4 | backward start 4
        | handshake hash 32 | relay mac key 32 = HKDF(secret, salt t3)
    relay mac = HMAC(relay mac key, t3)

Every field has a fixed size, so joined fields cannot shift. Each extension key seals
once, under nonce zero. Any failure is a `HandshakeError`; relays answer none (R-CIR-2).
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from psp.bandwidth import NO_BANDWIDTH, UNIT_KBIT_PER_S, Bandwidth
from psp.crypto.kdf import Direction, Label, LayerKeys, layer_keys
from psp.crypto.primitives import (
    KEM_CIPHERTEXT_SIZE,
    KEM_PUBLIC_SIZE,
    KEY_SIZE,
    TAG_SIZE,
    InvalidTag,
    X25519Key,
    aes_gcm,
    equal,
    hkdf,
    hmac_sha256,
    kem_encapsulate,
    kem_generate,
    sha256,
    x25519_generate,
)
from psp.entropy import Entropy
from psp.errors import HandshakeError, LocalProtocolError
from psp.ids import NODE_ID_SIZE

VERSION = 1
MAX_HOP = 4
EXTENSIONS_SIZE = 16
MAC_SIZE = 32
CLIENT_HANDSHAKE_SIZE = 1344
RELAY_HANDSHAKE_SIZE = 1184

_KEYS_END = 3 * KEY_SIZE
_CLIENT_FIELDS_END = _KEYS_END + KEM_PUBLIC_SIZE
_CLIENT_MAC_AT = _CLIENT_FIELDS_END + EXTENSIONS_SIZE + TAG_SIZE
_RELAY_FIELDS_END = KEY_SIZE + KEM_CIPHERTEXT_SIZE
_RELAY_MAC_AT = _RELAY_FIELDS_END + EXTENSIONS_SIZE + TAG_SIZE
_NONCE = bytes(12)
_START_SIZE = 4
_CLIENT_EXTENSIONS = struct.Struct("!BBHH10s")
_RELAY_EXTENSIONS = struct.Struct("!H14s")


@dataclass(frozen=True, slots=True, repr=False)
class HopKeys:
    """What a client and one relay share.

    Attributes:
        forward: Keys of the layer away from the client.
        backward: Keys of the layer towards it.
        handshake_hash: Names this hop of this circuit to both ends, 32 bytes.
    """

    forward: LayerKeys
    backward: LayerKeys
    handshake_hash: bytes

    def __repr__(self) -> str:
        return "HopKeys([scrubbed])"


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """A relay's side of a finished handshake.

    Attributes:
        reply: The relay handshake, 1,184 bytes.
        keys: What the two now share.
    """

    reply: bytes
    keys: HopKeys

    def __repr__(self) -> str:
        return "Answer([scrubbed])"


class ClientHandshake:
    """The client's half: send `message`, give the answer to `finish`.

    Attributes:
        message: The client handshake, 1,344 bytes; the same bytes when sent again.
        granted: What the relay granted, in kbit/s; 0 until then.
    """

    __slots__ = ("_asked", "_kem", "_private", "_shared", "granted", "message")

    def __init__(
        self,
        node_id: bytes,
        onion_key: bytes,
        hop: int,
        entropy: Entropy,
        bandwidth: Bandwidth = NO_BANDWIDTH,
    ) -> None:
        """Begin.

        Args:
            node_id: The relay's Ed25519 identity, 32 bytes.
            onion_key: Its X25519 onion key, 32 bytes.
            hop: Its place in the circuit, 1 … 4.
            entropy: Gives ``x`` and the ML-KEM seed.
            bandwidth: What to ask the relay for.

        Raises:
            HandshakeError: If ``onion_key`` is of low order.
        """
        if not 1 <= hop <= MAX_HOP:
            raise LocalProtocolError(f"hop {hop} is not 1 … {MAX_HOP}")
        if len(node_id) != NODE_ID_SIZE:
            raise LocalProtocolError(f"a node id has 32 bytes, not {len(node_id)}")
        self._private = X25519Key(x25519_generate(entropy))
        self._kem = kem_generate(entropy)
        self._shared = self._private.exchange(onion_key)
        fields = node_id + onion_key + self._private.public + self._kem.public
        self.granted = 0
        self._asked = bandwidth.units
        extensions = _CLIENT_EXTENSIONS.pack(hop, VERSION, *self._asked, b"")
        extension_key, mac_key = _client_keys(self._shared, fields)
        body = fields + aes_gcm(extension_key).encrypt(_NONCE, extensions, None)
        self.message = body + hmac_sha256(mac_key, body)

    def finish(self, reply: bytes) -> HopKeys:
        """Return the keys if ``reply`` is the relay's; may be asked again if it is not.

        Raises:
            HandshakeError: If anybody else wrote or changed ``reply``, or the relay
                grants less or more than was asked for.
        """
        if len(reply) != RELAY_HANDSHAKE_SIZE:
            raise HandshakeError(f"a relay handshake has not {len(reply)} bytes")
        kem_secret = self._kem.decapsulate(reply[KEY_SIZE:_RELAY_FIELDS_END])
        exchanged = self._private.exchange(reply[:KEY_SIZE])
        schedule = _Schedule(
            self._shared + exchanged + kem_secret,
            self.message,
            reply[:_RELAY_FIELDS_END],
        )
        sealed = reply[_RELAY_FIELDS_END:_RELAY_MAC_AT]
        keys, mac = schedule.finish(sealed)
        if not equal(mac, reply[_RELAY_MAC_AT:]):
            raise HandshakeError("the relay's mac is wrong")
        granted, reserved = _RELAY_EXTENSIONS.unpack(
            _open_extensions(schedule.extension_key, sealed)
        )
        if any(reserved):
            raise HandshakeError("reserved relay extensions are not zero")
        least, wanted = self._asked
        if not least <= granted <= wanted:
            raise HandshakeError(f"granted {granted}, asked for {least} … {wanted}")
        self.granted = granted * UNIT_KBIT_PER_S
        return keys

    def __repr__(self) -> str:
        return "ClientHandshake([scrubbed])"


class RelayHandshake:
    """The relay's half: read what a client sent, then `answer` it.

    Attributes:
        hop: Which hop of its circuit the client says we are, 1 … 4.
        bandwidth: What it asks for.
    """

    __slots__ = ("_message", "_shared", "bandwidth", "hop")

    def __init__(
        self, message: bytes, *, node_id: bytes, onion_privates: Sequence[bytes]
    ) -> None:
        """Read a client handshake.

        Args:
            message: What the client sent.
            node_id: Our Ed25519 identity.
            onion_privates: Our X25519 onion keys, current first, then those still
                accepted (R-CIR-5).

        Raises:
            HandshakeError: If the message is not for us, damaged, forged or malformed.
        """
        if len(message) != CLIENT_HANDSHAKE_SIZE:
            raise HandshakeError(f"a client handshake has not {len(message)} bytes")
        if message[:KEY_SIZE] != node_id:
            raise HandshakeError("the handshake is for another node")
        onion_key = _find_key(message[KEY_SIZE : 2 * KEY_SIZE], onion_privates)
        self._shared = onion_key.exchange(message[2 * KEY_SIZE : _KEYS_END])
        self._message = message
        extension_key, mac_key = _client_keys(
            self._shared, message[:_CLIENT_FIELDS_END]
        )
        mac = hmac_sha256(mac_key, message[:_CLIENT_MAC_AT])
        if not equal(mac, message[_CLIENT_MAC_AT:]):
            raise HandshakeError("the client's mac is wrong")
        sealed = message[_CLIENT_FIELDS_END:_CLIENT_MAC_AT]
        self.hop, self.bandwidth = _read_client_extensions(
            _open_extensions(extension_key, sealed)
        )

    def answer(self, granted: int, entropy: Entropy) -> Answer:
        """Answer the client.

        Args:
            granted: What it gets, in kbit/s, a multiple of 8 within what it asks for.
            entropy: Gives ``y``.

        Raises:
            HandshakeError: If its ML-KEM key is malformed.
        """
        message = self._message
        ciphertext, kem_secret = kem_encapsulate(message[_KEYS_END:_CLIENT_FIELDS_END])
        ephemeral = X25519Key(x25519_generate(entropy))
        exchanged = ephemeral.exchange(message[2 * KEY_SIZE : _KEYS_END])
        fields = ephemeral.public + ciphertext
        schedule = _Schedule(self._shared + exchanged + kem_secret, message, fields)
        extensions = _RELAY_EXTENSIONS.pack(granted // UNIT_KBIT_PER_S, b"")
        sealed = aes_gcm(schedule.extension_key).encrypt(_NONCE, extensions, None)
        keys, mac = schedule.finish(sealed)
        return Answer(fields + sealed + mac, keys)

    def __repr__(self) -> str:
        return f"RelayHandshake(hop={self.hop}, [scrubbed])"


class _Schedule:
    """What both ends derive from the secret and the transcript.

    Attributes:
        extension_key: Seals the relay's extensions, once.
    """

    __slots__ = ("_secret", "_transcript", "extension_key")

    def __init__(self, secret: bytes, client_message: bytes, fields: bytes) -> None:
        self._secret = secret
        self._transcript = Label.CIRCUIT + client_message + fields
        self.extension_key = hkdf(
            secret,
            salt=sha256(self._transcript),
            info=Label.CIRCUIT_RELAY_EXTENSIONS,
            length=KEY_SIZE,
        )

    def finish(self, sealed_extensions: bytes) -> tuple[HopKeys, bytes]:
        """Return the keys and the relay's mac."""
        transcript = sha256(self._transcript, sealed_extensions)
        derived = hkdf(
            self._secret,
            salt=transcript,
            info=Label.CIRCUIT_KEYS,
            length=4 * KEY_SIZE + 2 * _START_SIZE,
        )
        chains, rest = derived[: 2 * KEY_SIZE], derived[2 * KEY_SIZE :]
        starts, rest = rest[: 2 * _START_SIZE], rest[2 * _START_SIZE :]
        handshake_hash, mac_key = rest[:KEY_SIZE], rest[KEY_SIZE:]
        forward = layer_keys(
            chains[:KEY_SIZE],
            starts[:_START_SIZE],
            label=Label.ONION,
            direction=Direction.FORWARD,
            handshake_hash=handshake_hash,
        )
        backward = layer_keys(
            chains[KEY_SIZE:],
            starts[_START_SIZE:],
            label=Label.ONION,
            direction=Direction.BACKWARD,
            handshake_hash=handshake_hash,
        )
        keys = HopKeys(forward, backward, handshake_hash)
        return keys, hmac_sha256(mac_key, transcript)


def _client_keys(shared: bytes, fields: bytes) -> tuple[bytes, bytes]:
    derived = hkdf(
        shared,
        salt=sha256(Label.CIRCUIT, fields),
        info=Label.CIRCUIT_CLIENT,
        length=KEY_SIZE + MAC_SIZE,
    )
    return derived[:KEY_SIZE], derived[KEY_SIZE:]


def _find_key(public: bytes, privates: Sequence[bytes]) -> X25519Key:
    for private in privates:
        key = X25519Key(private)
        if key.public == public:
            return key
    raise HandshakeError("the handshake names an onion key that is not ours")


def _open_extensions(key: bytes, sealed: bytes) -> bytes:
    try:
        return aes_gcm(key).decrypt(_NONCE, sealed, None)
    except InvalidTag:
        raise HandshakeError("extensions do not open") from None


def _read_client_extensions(extensions: bytes) -> tuple[int, Bandwidth]:
    hop, version, least, wanted, reserved = _CLIENT_EXTENSIONS.unpack(extensions)
    if version != VERSION:
        raise HandshakeError(f"handshake version {version} is not {VERSION}")
    if not 1 <= hop <= MAX_HOP:
        raise HandshakeError(f"hop {hop} is not 1 … {MAX_HOP}")
    if least > wanted:
        raise HandshakeError(f"bandwidth of at least {least}, but at most {wanted}")
    if any(reserved):
        raise HandshakeError("reserved client extensions are not zero")
    return hop, Bandwidth(least * UNIT_KBIT_PER_S, wanted * UNIT_KBIT_PER_S)

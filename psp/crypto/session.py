"""The session handshake between caller and callee: hybrid Noise XK (SPEC.md section 7).

::

    caller                                                       callee
      e, es, { ek 1,184 }                              1,232 B  ->
      <-  e, ee, { ct 1,088 }                          1,136 B
      ---------- both: MixKey(ML-KEM-768 secret) ----------
      s, se, { identity 32 | grant 112 | signature 64 }  272 B  ->
      ---------- both: Split, then layer keys ----------

* The callee is known by its contact key, and the prologue holds its identity, the
  network and the cookie: a message 1 fits one call to one callee.
* ``s`` is made for this session. Who calls is said by the identity in message 3, which
  signs ``"psp-caller-v1" | h`` with ``h`` as it is after message 2 and before message 3:
  the prologue, both ephemeral keys, ``ek`` and ``ct``. The grant is that of a key made
  ahead (`psp.netdoc.presence_keys`), or zeros when the identity key itself signs. All
  zeros: an anonymous caller.
* A forged message 2 changes nothing; the true one can still be read.

Layer keys, one HKDF for each direction from its Split key and the final ``h``::

    chain key 32 | start 4 = HKDF(split key, salt h, info "psp-session-traffic" | direction)
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from psp.crypto.kdf import Direction, Label, LayerKeys, layer_keys
from psp.crypto.keys import SIGNATURE_SIZE, verify
from psp.crypto.noise import NoiseHandshake, Pattern
from psp.crypto.primitives import (
    KEM_CIPHERTEXT_SIZE,
    KEM_PUBLIC_SIZE,
    KEY_SIZE,
    TAG_SIZE,
    hkdf,
    kem_encapsulate,
    kem_generate,
    x25519_generate,
)
from psp.entropy import Entropy
from psp.errors import HandshakeError, LocalProtocolError
from psp.ids import COOKIE_SIZE, NODE_ID_SIZE, Cookie, UserId

VERSION = 1
MESSAGE_1_SIZE = KEY_SIZE + KEM_PUBLIC_SIZE + TAG_SIZE
MESSAGE_2_SIZE = KEY_SIZE + KEM_CIPHERTEXT_SIZE + TAG_SIZE
CALLER_GRANT_SIZE = 112
_PROOF_SIZE = NODE_ID_SIZE + CALLER_GRANT_SIZE + SIGNATURE_SIZE
MESSAGE_3_SIZE = KEY_SIZE + TAG_SIZE + _PROOF_SIZE + TAG_SIZE

_ANONYMOUS = bytes(_PROOF_SIZE)
_GRANT_END = NODE_ID_SIZE + CALLER_GRANT_SIZE
_START_SIZE = 4

IsCaller = Callable[[UserId, bytes, bytes, bytes], bool]
"""Takes who is said to call, the grant, the text and its signature; judges them."""


class CallerSigner(Protocol):
    """What signs for a caller."""

    @property
    def user_id(self) -> UserId:
        """Who calls."""
        ...

    @property
    def grant(self) -> bytes:
        """Of the key that signs, 112 bytes; zeros for the identity key."""
        ...

    def sign(self, text: bytes) -> bytes:
        """Return a signature of 64 bytes."""
        ...


def is_identity(caller: UserId, grant: bytes, text: bytes, signature: bytes) -> bool:
    """Tell whether the identity key itself signed; no grant counts."""
    return not any(grant) and verify(caller, text, signature)


@dataclass(frozen=True, slots=True, repr=False)
class SessionKeys:
    """What caller and callee share, from one end's point of view.

    Attributes:
        sending: Keys of the blocks we send.
        receiving: Keys of the blocks the peer sends.
        handshake_hash: Names this session to both ends, 32 bytes.
    """

    sending: LayerKeys
    receiving: LayerKeys
    handshake_hash: bytes

    def __repr__(self) -> str:
        return "SessionKeys([scrubbed])"


def prologue(network: bytes, cookie: Cookie, callee: UserId) -> bytes:
    """Return what both ends must agree on before they begin.

    Args:
        network: ``chain id 8 | registry address 20``.
        cookie: The rendezvous cookie of this call, 20 bytes.
        callee: The callee's identity, 32 bytes.
    """
    if (len(network), len(cookie), len(callee)) != (28, COOKIE_SIZE, NODE_ID_SIZE):
        raise LocalProtocolError("network 28, cookie 20 and callee 32 bytes needed")
    return Label.SESSION + bytes([VERSION]) + network + cookie + callee


class SessionInitiator:
    """The caller: send `message_1`, `read_2`, `write_3`, then `keys`.

    Attributes:
        message_1: 1,232 bytes, for the introduction.
    """

    __slots__ = ("_caller", "_kem", "_noise", "message_1")

    def __init__(
        self,
        *,
        network: bytes,
        cookie: Cookie,
        callee: UserId,
        contact_key: bytes,
        caller: CallerSigner | None,
        entropy: Entropy,
    ) -> None:
        """Begin a call.

        Args:
            network: As for `prologue`.
            cookie: As for `prologue`.
            callee: The callee's identity.
            contact_key: The X25519 contact key in the callee's presence record.
            caller: Signs for us; None calls anonymously.
            entropy: Gives all keys of this handshake.

        Raises:
            HandshakeError: If ``contact_key`` is no usable X25519 key.
        """
        self._caller = caller
        self._kem = kem_generate(entropy)
        self._noise = NoiseHandshake.initiator(
            Pattern.XK,
            prologue=prologue(network, cookie, callee),
            remote_static=contact_key,
            static=x25519_generate(entropy),
            entropy=entropy,
        )
        self.message_1 = self._noise.write_message(self._kem.public)

    def read_2(self, message: bytes) -> None:
        """Take the callee's answer.

        Raises:
            HandshakeError: If the callee did not write it; another may still be read.
        """
        if len(message) != MESSAGE_2_SIZE:
            raise HandshakeError(f"message 2 has {MESSAGE_2_SIZE} bytes")
        ciphertext = self._noise.read_message(message)
        self._noise.mix_key(self._kem.decapsulate(ciphertext))

    def write_3(self) -> bytes:
        """Return message 3, 272 bytes; the keys exist then."""
        payload = _ANONYMOUS
        if self._caller is not None:
            signed = Label.CALLER + self._noise.handshake_hash
            proof = self._caller.grant + self._caller.sign(signed)
            payload = self._caller.user_id + proof
        return self._noise.write_message(payload)

    @property
    def keys(self) -> SessionKeys:
        """The session's keys, after `write_3`."""
        return _session_keys(self._noise, is_caller=True)

    def __repr__(self) -> str:
        return "SessionInitiator([scrubbed])"


class SessionResponder:
    """The callee: `read_1`, `write_2`, `read_3`, then `keys`."""

    __slots__ = ("_encapsulation_key", "_is_caller", "_is_verified", "_noise")

    def __init__(
        self,
        *,
        network: bytes,
        cookie: Cookie,
        callee: UserId,
        contact_private: bytes,
        entropy: Entropy,
        is_caller: IsCaller = is_identity,
    ) -> None:
        """Wait for a call; ``callee`` is our own identity, the rest as the caller's.

        Args:
            network: As for `prologue`.
            cookie: As for `prologue`.
            callee: Our own identity.
            contact_private: The X25519 key of our presence record.
            entropy: Gives all keys of this handshake.
            is_caller: Judges who calls, and whether a grant is in force.
        """
        self._encapsulation_key = b""
        self._is_caller = is_caller
        self._is_verified = False
        self._noise = NoiseHandshake.responder(
            Pattern.XK,
            prologue=prologue(network, cookie, callee),
            static=contact_private,
            entropy=entropy,
        )

    def read_1(self, message: bytes) -> None:
        """Take message 1 out of the introduction.

        Raises:
            HandshakeError: If it is not for this call and contact key.
        """
        if len(message) != MESSAGE_1_SIZE:
            raise HandshakeError(f"message 1 has {MESSAGE_1_SIZE} bytes")
        self._encapsulation_key = self._noise.read_message(message)

    def write_2(self) -> bytes:
        """Return message 2, 1,136 bytes.

        Raises:
            HandshakeError: If the caller's encapsulation key is not canonical.
        """
        ciphertext, secret = kem_encapsulate(self._encapsulation_key)
        message = self._noise.write_message(ciphertext)
        self._noise.mix_key(secret)
        return message

    def read_3(self, message: bytes) -> UserId | None:
        """Return who calls, or None for an anonymous caller; the keys exist then.

        Raises:
            HandshakeError: If the message is forged or the signature is wrong.
        """
        signed = Label.CALLER + self._noise.handshake_hash
        payload = self._noise.read_message(message)
        if len(payload) != len(_ANONYMOUS):
            raise HandshakeError(f"message 3 carries {len(payload)} bytes")
        caller = None
        if payload != _ANONYMOUS:
            caller = UserId(payload[:NODE_ID_SIZE])
            grant, signature = payload[NODE_ID_SIZE:_GRANT_END], payload[_GRANT_END:]
            if not self._is_caller(caller, grant, signed, signature):
                raise HandshakeError("the caller's signature is wrong")
        self._is_verified = True
        return caller

    @property
    def keys(self) -> SessionKeys:
        """The session's keys, after `read_3` has accepted the caller."""
        if not self._is_verified:
            raise LocalProtocolError("the caller is not verified")
        return _session_keys(self._noise, is_caller=False)

    def __repr__(self) -> str:
        return "SessionResponder([scrubbed])"


def _session_keys(noise: NoiseHandshake, *, is_caller: bool) -> SessionKeys:
    sending_key, receiving_key = noise.split()
    ours, theirs = Direction.FORWARD, Direction.BACKWARD
    if not is_caller:
        ours, theirs = theirs, ours
    handshake_hash = noise.handshake_hash
    return SessionKeys(
        _direction_keys(sending_key, ours, handshake_hash),
        _direction_keys(receiving_key, theirs, handshake_hash),
        handshake_hash,
    )


def _direction_keys(
    key: bytes, direction: Direction, handshake_hash: bytes
) -> LayerKeys:
    derived = hkdf(
        key,
        salt=handshake_hash,
        info=Label.SESSION_TRAFFIC + bytes([direction]),
        length=KEY_SIZE + _START_SIZE,
    )
    return layer_keys(
        derived[:KEY_SIZE],
        derived[KEY_SIZE:],
        label=Label.SESSION,
        direction=direction,
        handshake_hash=handshake_hash,
    )

"""Noise handshakes IK, NK and XK on the ``noiseprotocol`` package.

That package is finished and unmaintained, so everything it is asked for goes through
this module: `check_library` refuses to import when a part is missing, every exception
about a peer's bytes becomes `HandshakeError`, and its tests are the vectors published
for these patterns.

Beyond what the package offers:

* Ephemeral keys come from the injected entropy.
* A message that fails leaves the handshake as it was: who can inject a forged answer
  cannot end the handshake by it.
* `NoiseHandshake.mix_key` is the specification's MixKey, for a hybrid with ML-KEM.
* `NoiseHandshake.split` hands out both traffic keys; packets do their own counting.

Source: The Noise Protocol Framework, revision 34.
"""

import enum
from typing import Protocol, cast

from cryptography.exceptions import InvalidTag
from noise.backends.default import noise_backend
from noise.backends.default.keypairs import KeyPair25519
from noise.exceptions import NoiseValueError
from noise.noise_protocol import NoiseProtocol
from noise.state import CipherState, HandshakeState, SymmetricState

from psp.crypto.primitives import KEY_SIZE
from psp.entropy import Entropy
from psp.errors import HandshakeError, LocalProtocolError

SUITE = "25519_AESGCM_SHA256"
"""The only suite on the wire (R-LNK-2); others are for published vectors."""

MAX_MESSAGE_SIZE = 65535
"""Noise section 3: no message is longer."""


class Pattern(enum.StrEnum):
    """Handshake patterns; the second letter K: the initiator knows the responder's key."""

    IK = "IK"
    NK = "NK"
    XK = "XK"


class _KeyPair(Protocol):
    public_bytes: bytes


class _Cipher(Protocol):
    k: bytes
    n: int | None

    def initialize_key(self, key: bytes) -> None: ...
    def set_nonce(self, nonce: int | None) -> None: ...


class _Symmetric(Protocol):
    h: bytes
    ck: bytes
    cipher_state: _Cipher

    def mix_key(self, input_key_material: bytes) -> None: ...


class _Handshake(Protocol):
    e: object
    re: object
    rs: object
    message_patterns: list[object]
    symmetric_state: _Symmetric

    def write_message(self, payload: bytes, message_buffer: bytearray) -> object: ...
    def read_message(self, message: bytes, payload_buffer: bytearray) -> object: ...


_NEEDED: tuple[tuple[type, tuple[str, ...]], ...] = (
    (NoiseProtocol, ("validate", "initialise_handshake_state", "handshake_done")),
    (HandshakeState, ("write_message", "read_message")),
    (SymmetricState, ("mix_key", "mix_hash", "split")),
    (CipherState, ("initialize_key", "set_nonce", "has_key")),
    (KeyPair25519, ("from_private_bytes", "from_public_bytes")),
)


def check_library() -> None:
    """Check that the package still has every part this module leans on.

    Raises:
        ImportError: If one is missing; nothing falls back to something weaker.
    """
    for owner, names in _NEEDED:
        for name in names:
            if not hasattr(owner, name):
                raise ImportError(f"noiseprotocol lacks {owner.__name__}.{name}")


check_library()


class NoiseHandshake:
    """One side of one handshake; prints as its class only.

    Messages alternate, the initiator's first. Taking a turn that is not ours is a
    `LocalProtocolError`; a message that does not verify is a `HandshakeError` and
    changes nothing.
    """

    __slots__ = ("_handshake", "_is_initiator", "_is_our_turn", "_protocol")

    def __init__(
        self,
        name: str,
        *,
        prologue: bytes,
        is_initiator: bool,
        static: bytes | None,
        remote_static: bytes | None,
        entropy: Entropy,
    ) -> None:
        """Use `initiator` or `responder` instead."""
        protocol = NoiseProtocol(name.encode(), backend=noise_backend)
        protocol.prologue = prologue
        protocol.initiator = is_initiator
        if static is not None:
            protocol.keypairs["s"] = KeyPair25519.from_private_bytes(static)
        if remote_static is not None:
            protocol.keypairs["rs"] = _remote_key(remote_static)
        protocol.validate()
        protocol.initialise_handshake_state()
        handshake = protocol.handshake_state
        # Set now and not among the key pairs above, where the package would warn that
        # ephemeral keys from outside are for tests.
        handshake.e = KeyPair25519.from_private_bytes(entropy.token(KEY_SIZE))
        self._protocol = protocol
        self._handshake = cast(_Handshake, handshake)
        self._is_initiator = is_initiator
        self._is_our_turn = is_initiator

    @classmethod
    def initiator(
        cls,
        pattern: Pattern,
        *,
        prologue: bytes,
        remote_static: bytes,
        static: bytes | None = None,
        entropy: Entropy,
        suite: str = SUITE,
    ) -> "NoiseHandshake":
        """Start a handshake with the owner of ``remote_static``.

        Args:
            pattern: IK and XK need ``static``; NK has none.
            prologue: What both sides must agree on.
            remote_static: The responder's X25519 public key, 32 bytes.
            static: Our X25519 private key, 32 bytes.
            entropy: Gives the ephemeral key, at once.
            suite: Only published vectors use another.

        Raises:
            HandshakeError: If ``remote_static`` has not 32 bytes.
        """
        return cls(
            f"Noise_{pattern}_{suite}",
            prologue=prologue,
            is_initiator=True,
            static=static,
            remote_static=remote_static,
            entropy=entropy,
        )

    @classmethod
    def responder(
        cls,
        pattern: Pattern,
        *,
        prologue: bytes,
        static: bytes,
        entropy: Entropy,
        suite: str = SUITE,
    ) -> "NoiseHandshake":
        """Wait for message 1 of a handshake with the owner of ``static`` (private)."""
        return cls(
            f"Noise_{pattern}_{suite}",
            prologue=prologue,
            is_initiator=False,
            static=static,
            remote_static=None,
            entropy=entropy,
        )

    @property
    def is_finished(self) -> bool:
        """Whether the last message was written or read."""
        return not self._handshake.message_patterns

    @property
    def remote_static(self) -> bytes | None:
        """The peer's X25519 public key; None as long as, or if, it has shown none."""
        return _public(self._handshake.rs)

    @property
    def local_ephemeral(self) -> bytes:
        """Our ephemeral public key, 32 bytes."""
        return cast(_KeyPair, self._handshake.e).public_bytes

    @property
    def remote_ephemeral(self) -> bytes | None:
        """The peer's ephemeral public key; None before its first message."""
        return _public(self._handshake.re)

    @property
    def handshake_hash(self) -> bytes:
        """The hash ``h`` over all that was said so far; final when finished."""
        return self._handshake.symmetric_state.h

    def write_message(self, payload: bytes = b"") -> bytes:
        """Return our next message, with ``payload`` as well hidden as its place allows.

        Raises:
            HandshakeError: If the peer's key is of low order; nothing has changed then.
        """
        self._check_turn(is_ours=True)
        before = _Snapshot(self._handshake)
        message = bytearray()
        try:
            self._handshake.write_message(payload, message)
        except ValueError:
            before.restore()
            raise HandshakeError("a key of the peer is of low order") from None
        self._is_our_turn = False
        return bytes(message)

    def read_message(self, message: bytes) -> bytes:
        """Return the payload of the peer's next message.

        Raises:
            HandshakeError: If the message does not verify; nothing has changed then.
        """
        self._check_turn(is_ours=False)
        if len(message) > MAX_MESSAGE_SIZE:
            raise HandshakeError(f"{len(message)} bytes are no Noise message")
        before = _Snapshot(self._handshake)
        payload = bytearray()
        try:
            self._handshake.read_message(message, payload)
        except (InvalidTag, NoiseValueError, ValueError):
            before.restore()
            raise HandshakeError("Noise message does not verify") from None
        self._is_our_turn = True
        return bytes(payload)

    def mix_key(self, secret: bytes) -> None:
        """Mix a secret into all keys from here on (MixKey, Noise section 5.2).

        Both sides must do it between the same two messages.
        """
        if self.is_finished:
            raise LocalProtocolError("the handshake is finished")
        self._handshake.symmetric_state.mix_key(secret)

    def split(self) -> tuple[bytes, bytes]:
        """Return ``(sending key, receiving key)``, 32 bytes each."""
        if not self.is_finished:
            raise LocalProtocolError("the handshake is not finished")
        sending = cast(_Cipher, self._protocol.cipher_state_encrypt)
        receiving = cast(_Cipher, self._protocol.cipher_state_decrypt)
        return sending.k, receiving.k

    def _check_turn(self, *, is_ours: bool) -> None:
        if self.is_finished or self._is_our_turn is not is_ours:
            raise LocalProtocolError("it is not the time for this message")

    def __repr__(self) -> str:
        return "NoiseHandshake([scrubbed])"


class _Snapshot:
    """The parts of a handshake that a message changes before it may fail."""

    __slots__ = (
        "_chaining",
        "_handshake",
        "_hash",
        "_key",
        "_nonce",
        "_patterns",
        "_re",
        "_rs",
    )

    def __init__(self, handshake: _Handshake) -> None:
        symmetric = handshake.symmetric_state
        self._handshake = handshake
        self._patterns = list(handshake.message_patterns)
        self._re = handshake.re
        self._rs = handshake.rs
        self._hash = symmetric.h
        self._chaining = symmetric.ck
        self._key = symmetric.cipher_state.k
        self._nonce = symmetric.cipher_state.n

    def restore(self) -> None:
        handshake = self._handshake
        symmetric = handshake.symmetric_state
        handshake.message_patterns = self._patterns
        handshake.re = self._re
        handshake.rs = self._rs
        symmetric.h = self._hash
        symmetric.ck = self._chaining
        symmetric.cipher_state.initialize_key(self._key)
        symmetric.cipher_state.set_nonce(self._nonce)


def _remote_key(public: bytes) -> object:
    try:
        return KeyPair25519.from_public_bytes(public)
    except (NoiseValueError, ValueError):
        raise HandshakeError(f"an X25519 key has 32 bytes, not {len(public)}") from None


def _public(pair: object) -> bytes | None:
    # The package says "no key yet" with an object of a class of its own.
    public: bytes | None = getattr(pair, "public_bytes", None)
    return public

"""Every label that separates one use of a key or signature from another, in one table.

A new derivation is a new row in `Label` and a function here or beside its user. Labels
are never used for two things, and none is the beginning of another followed by data of
variable length.

`H(label, key)` of SPEC.md is SHA-256 of ``label | key``.
"""

import enum
from dataclasses import dataclass

from psp.crypto.primitives import blake2s_mac, hkdf, hmac_sha256, sha256


class Label(bytes, enum.Enum):
    """Domain separation for everything in the project; each value is its wire form."""

    # Links (SPEC.md section 1).
    LINK_PROLOGUE = b"psp-link-v1"
    LINK_FIRST = b"psp-link-first-keys"
    LINK_HYBRID = b"psp-link-hybrid-keys"
    MAC1 = b"psp-mac1"
    COOKIE = b"psp-cookie"

    # Onion layers (SPEC.md section 3).
    ONION = b"psp-onion-v1"
    RATCHET_KEY = b"psp-ratchet-key"
    RATCHET_CHAIN = b"psp-ratchet-chain"

    # Circuit handshake (SPEC.md section 4).
    CIRCUIT = b"psp-circuit-v1-x25519-mlkem768-sha256-aes256gcm"
    CIRCUIT_CLIENT = b"psp-circuit-client"
    CIRCUIT_RELAY_EXTENSIONS = b"psp-circuit-relay-extensions"
    CIRCUIT_KEYS = b"psp-circuit-keys"

    # Introduction and session (SPEC.md section 7).
    INTRODUCTION = b"psp-introduction-v1"
    SESSION = b"psp-session-v1"
    SESSION_TRAFFIC = b"psp-session-traffic"
    CALLER = b"psp-caller-v1"

    # Documents about nodes, the directory and the relays' mesh.
    NODE = b"psp-node-v1"
    USER = b"psp-user-v1"
    DESCRIPTOR = b"psp-descriptor-v1"
    MESH = b"psp-mesh-v1"
    SNAPSHOT = b"psp-snapshot-v1"
    ELEMENT = b"psp-element-v1"
    HANDOVER = b"psp-handover-v1"

    # What is read from the chain.
    BEACON = b"psp-beacon-v1"
    CHAIN_CACHE = b"psp-chain-cache-v1"
    NAMES_CACHE = b"psp-names-cache-v1"
    CHAIN_CACHE_KEY = b"psp-chain-key-of-cache-v1"

    # Presence records and their blinded keys.
    PRESENCE_RECORD = b"pres-rec-v1"
    PRESENCE_COSIGNATURE = b"pres-cosign-v1"
    PRESENCE_BLIND = b"pres-blind-v1"
    PRESENCE_PREFIX = b"pres-prefix-v1"
    PRESENCE_CREDENTIAL = b"pres-cred"
    PRESENCE_LOCATION = b"pres-loc"
    PRESENCE_ENCRYPTION = b"pres-enc"
    PRESENCE_DAY_KEY = b"pres-day-key-v1"
    PRESENCE_GRANT = b"pres-grant-v1"
    PRESENCE_REGISTRATION = b"pres-reg-v1"
    DHT_ID = b"psp-dht-id"
    CONTACT_CARD = b"psp-contact-card"
    VOICE = b"psp-voice-v1"
    WATCH_CHANGE = b"psp-watch-change-v1"
    TICKET = b"psp-ticket-v1"
    TICKET_ID = b"psp-ticket-id"
    WORK = b"psp-work-v1"
    MISSED_CALL = b"psp-missed-call-v1"
    MISSED_CALLER = b"psp-missed-from-v1"
    COLLECT = b"psp-collect-v1"
    FINGERPRINT = b"psp-fingerprint"
    NAME = b"psp-name-v1"

    # Secrets at rest.
    CLIENT_STATE = b"psp-client-state-v1"
    DELEGATION = b"psp-delegation-v1"
    CONTACT_BOOK = b"psp-contact-book-v1"
    KEY_FILE = b"psp-key-file-v1"


class Direction(enum.IntEnum):
    """The direction byte in associated data."""

    FORWARD = 0
    """Away from the origin of a circuit, or from the caller of a session."""
    BACKWARD = 1


START_BITS = 31
"""Layer counters start below 2**31 (R-TAG-1), so that the low 32 bits do not wrap soon."""


@dataclass(frozen=True, slots=True, repr=False)
class LayerKeys:
    """What one direction of one layer starts from.

    Attributes:
        chain_key: The ratchet's chain key at epoch 0, 32 bytes.
        start: The first counter, below 2**31.
        aad: Associated data of every body.
    """

    chain_key: bytes
    start: int
    aad: bytes

    def __repr__(self) -> str:
        return "LayerKeys([scrubbed])"


def layer_keys(
    chain_key: bytes,
    start_bytes: bytes,
    *,
    label: Label,
    direction: Direction,
    handshake_hash: bytes,
) -> LayerKeys:
    """Return keys whose start is the upper 31 bits of ``start_bytes`` (4 bytes)."""
    return LayerKeys(
        chain_key,
        int.from_bytes(start_bytes) >> (32 - START_BITS),
        label + bytes([direction]) + handshake_hash,
    )


def ratchet_key(chain_key: bytes) -> bytes:
    """Return the AEAD key of the epoch that ``chain_key`` belongs to."""
    return hmac_sha256(chain_key, Label.RATCHET_KEY)


def ratchet_chain(chain_key: bytes) -> bytes:
    """Return the chain key of the next epoch; there is no way back."""
    return hmac_sha256(chain_key, Label.RATCHET_CHAIN)


@dataclass(frozen=True, slots=True, repr=False)
class LinkKeys:
    """Traffic keys of one link session.

    Attributes:
        sending: AES-256 key of what we send, 32 bytes.
        receiving: AES-256 key of what the peer sends, 32 bytes.
        resume_token: Both ends know it; names this link in the next initiation, 16 bytes.
    """

    sending: bytes
    receiving: bytes
    resume_token: bytes

    def __repr__(self) -> str:
        return "LinkKeys([scrubbed])"


def link_keys(
    split: tuple[bytes, bytes],
    *,
    is_initiator: bool,
    handshake_hash: bytes,
    kem_secret: bytes = b"",
) -> LinkKeys:
    """Derive a link's keys from its Noise handshake.

    Args:
        split: Our sending and receiving key as ``NoiseHandshake.split`` gave them.
        is_initiator: Whether we sent message 1.
        handshake_hash: The final Noise hash.
        kem_secret: Empty for the first keys; then the ML-KEM-768 secret (R-LNK-10).
    """
    sending, receiving = split
    from_initiator, from_responder = (
        (sending, receiving) if is_initiator else (receiving, sending)
    )
    derived = hkdf(
        from_initiator + from_responder + kem_secret,
        salt=handshake_hash,
        info=Label.LINK_HYBRID if kem_secret else Label.LINK_FIRST,
        length=80,
    )
    ours, theirs = derived[:32], derived[32:64]
    if not is_initiator:
        ours, theirs = theirs, ours
    return LinkKeys(ours, theirs, derived[64:])


def mac1_key(receiver_key: bytes) -> bytes:
    """Return the key of mac1: of a static key (initiation) or an ephemeral (response)."""
    return sha256(Label.MAC1, receiver_key)


def cookie_key(responder_static: bytes) -> bytes:
    """Return the key that seals cookies of the node with this X25519 public key."""
    return sha256(Label.COOKIE, responder_static)


def cookie(secret: bytes, source: bytes) -> bytes:
    """Return the 16-byte cookie of an encoded source address under a passing secret."""
    return blake2s_mac(secret, source)

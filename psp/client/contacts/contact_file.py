"""The contact book on the disk: every contact, and the discovery secret if it is newer."""

from collections.abc import Mapping
from pathlib import Path

from psp.client.contacts.contact import Contact, key_of
from psp.client.identities.identity import Identity
from psp.client.sealed_file import SealedFile
from psp.crypto.blinding import SECRET_SIZE
from psp.crypto.kdf import Label
from psp.entropy import Entropy
from psp.errors import ConfigError, DecodeError
from psp.wire.network import Network

FILE_NAME = "contacts.json"
MAX_BOOK_BYTES = 16 << 20
"""Of the file: 10,000 contacts with the longest names need 11 MiB."""

_FORM = "psp-contacts"
_VERSION = 1


class ContactFile:
    """The file of one contact book, sealed, and replaced whole at every change."""

    def __init__(
        self, path: Path, key: bytes, network: Network, entropy: Entropy
    ) -> None:
        """Name the file; nothing is read or written yet.

        Args:
            path: In a directory of mode 0700.
            key: 32 bytes; empty leaves the file readable to its owner.
            network: Of all its cards.
            entropy: For nonces.
        """
        self._network = network
        self._file = SealedFile(
            path, key, entropy, _FORM, _VERSION, max_bytes=MAX_BOOK_BYTES
        )

    @classmethod
    def in_folder(
        cls, folder: Path, identity: Identity | None, network: Network, entropy: Entropy
    ) -> "ContactFile":
        """Name the file of a client's folder; its identity, if it has one, seals it."""
        key = b"" if identity is None else identity.sealing_key(Label.CONTACT_BOOK)
        return cls(folder / FILE_NAME, key, network, entropy)

    def load(self) -> tuple[dict[str, Contact], bytes]:
        """Return the contacts by key, and the secret; nothing if there is no file.

        Raises:
            ConfigError: If the file is damaged, another identity's, or of another
                network.
        """
        try:
            return decode_book(self._file.load(), self._network)
        except DecodeError as error:
            raise ConfigError(
                f"{self._file.path} is damaged: {error}; restore a copy, or move it "
                "away to start with an empty book"
            ) from None

    def save(self, by_key: Mapping[str, Contact], secret: bytes) -> None:
        """Write everything, and wait until the disk has it.

        Raises:
            ConfigError: If the disk refuses; the old file is then still there.
        """
        self._file.save(
            {
                "contacts": [by_key[key].encode() for key in sorted(by_key)],
                "secret": secret.hex(),
            }
        )


def decode_book(
    state: dict[str, object], network: Network
) -> tuple[dict[str, Contact], bytes]:
    """Read a kept book: its contacts by key, and the discovery secret if it is newer.

    Raises:
        DecodeError: If it is damaged; nothing else, for any state.
    """
    entries, secret_text = state.get("contacts", []), state.get("secret", "")
    if not isinstance(entries, list) or not isinstance(secret_text, str):
        raise DecodeError("its fields have other types")
    by_key: dict[str, Contact] = {}
    identities: set[bytes] = set()
    for entry in entries:
        contact = Contact.decode(entry)
        if contact.card is not None:
            if contact.card.network != network:
                raise DecodeError("it is of another network")
            if contact.card.identity in identities:
                raise DecodeError("two contacts have one identity")
            identities.add(contact.card.identity)
        if key_of(contact.name) in by_key:
            raise DecodeError("two contacts have one name")
        by_key[key_of(contact.name)] = contact
    try:
        secret = bytes.fromhex(secret_text)
    except ValueError:
        raise DecodeError("its secret is not hex") from None
    if secret and (len(secret) != SECRET_SIZE or not any(secret)):
        raise DecodeError("its secret has another size, or is all zeros")
    return by_key, secret

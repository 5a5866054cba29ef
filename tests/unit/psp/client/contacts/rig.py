"""What the tests of the contact book start from."""

from psp.client.contacts.contact_file import ContactFile
from psp.client.contacts.contacts import ContactBook
from psp.client.identities.identity import ClientIdentity
from psp.crypto.kdf import Label
from psp.testing.clock import EPOCH
from psp.testing.entropy import SeededEntropy
from psp.wire.network import Network

HERE = Network(31_337, bytes(range(20)))
THERE = Network(1, bytes(20))


def someone(name):
    return ClientIdentity.generate(SeededEntropy(name), name)


def book_of(folder, identity, *, seed="book"):
    key = b"" if identity is None else identity.sealing_key(Label.CONTACT_BOOK)
    file = ContactFile(folder / "contacts.json", key, HERE, SeededEntropy(seed))
    return ContactBook(
        file,
        HERE,
        identity,
        entropy=SeededEntropy(f"{seed} of keys"),
        unix_time=lambda: EPOCH,
    )


def card_of(name):
    return someone(name).contact_card(HERE)

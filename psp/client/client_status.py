"""What a client is doing, as an app or a person may see it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClientStatus:
    """What a client is doing, without secrets.

    Attributes:
        source: Where the registry comes from.
        registry: How it stands, in words.
        directory: How the descriptors came, in words.
        nodes: Relays in the registry.
        presence_points: In use by this client's announcer.
        contacts: In the book.
        incoming: Calls that ring, or are set up and wait for the app.
        missed: Missed calls that are known.
        spare_circuits: Built ahead for look-ups.
        watched: Users that are watched.
    """

    source: str
    registry: str
    directory: str
    nodes: int
    presence_points: int
    contacts: int = 0
    incoming: int = 0
    missed: int = 0
    spare_circuits: int = 0
    watched: int = 0

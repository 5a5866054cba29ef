"""Who may find a user."""

import enum


class Visibility(enum.StrEnum):
    """Under which secrets a user's records are published."""

    CONTACTS = "contacts"
    """Only who holds the discovery secret, from a contact card, finds the user."""

    PUBLIC = "public"
    """Anybody finds the user, contacts as before; and anybody can list when the user
    is on line."""

"""A contact book of Alice's, on the disk."""

import pytest

from tests.unit.psp.client.contacts.rig import book_of, someone


@pytest.fixture
def alice():
    return someone("alice")


@pytest.fixture
def folder(tmp_path):
    tmp_path.chmod(0o700)
    return tmp_path


@pytest.fixture
def book(folder, alice):
    return book_of(folder, alice)

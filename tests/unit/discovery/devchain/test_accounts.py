"""Development accounts are the same everywhere."""

from eth_account import Account

from discovery.devchain.accounts import DEFAULT_NAMES, dev_account


def test_account_follows_from_its_name():
    alice = dev_account("alice")

    assert alice == dev_account("alice")
    assert alice.address.hex() == Account.from_key(alice.key).address[2:].lower()


def test_address_never_changes():
    assert dev_account("deployer").address.hex() == (
        "f8a8589f10d89d59439a3ed53717c6be70515ef4"
    )


def test_default_accounts_are_all_different():
    addresses = {dev_account(name).address for name in DEFAULT_NAMES}

    assert len(addresses) == len(DEFAULT_NAMES) == 20


def test_key_is_not_printed():
    assert "key" not in repr(dev_account("alice"))

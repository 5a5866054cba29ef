import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.symbol.addresses import AddressFormat
from psp.errors import DecodeError

SYMBOL = AddressFormat(0x98, 3)
SIRIUS = AddressFormat(0x90, 4)
BOTH = pytest.mark.parametrize("form", [SYMBOL, SIRIUS])
ACCOUNT = bytes(range(20))


@pytest.mark.parametrize(
    ("form", "decoded"),
    [
        # From answers of a Symbol test network that guides of its community show.
        (SYMBOL, "982982FFFC666CB09288FCB4B8F820E8B0B5F77093075AEF"),
        (SYMBOL, "987FBEA14740E5F97C72BD46B9C73860496A1B82923B02E8"),
        (AddressFormat(0x68, 3), "689314BECD63248727B9E3A40BEA8E66AC0FD60C2826FFA8"),
        # From the tests of Sirius' SDKs for Python and Go.
        (SIRIUS, "90F6C07A4CF9AD1BF0644D419218B72FCDF1EFCC07A6C9202C"),
        (SIRIUS, "901CD938C5CE4ED22031C5CE398E618EB1205D5344E2539B58"),
    ],
)
def test_addresses_of_real_networks_have_this_checksum(form, decoded):
    address = bytes.fromhex(decoded)

    assert form.encode(form.account(address)) == address


@pytest.mark.parametrize(
    ("form", "text", "decoded"),
    [
        (
            SIRIUS,
            "SAONSOGFZZHNEIBRYXHDTDTBR2YSAXKTITRFHG2Y",
            "901CD938C5CE4ED22031C5CE398E618EB1205D5344E2539B58",
        ),
    ],
)
def test_addresses_of_real_networks_are_written_like_this(form, text, decoded):
    account = form.account(bytes.fromhex(decoded))

    assert form.text(account) == text
    assert form.parse(text) == account


@BOTH
def test_what_people_copy_with_hyphens_is_read(form):
    text = form.text(ACCOUNT)
    groups = "-".join(text[i : i + 6] for i in range(0, len(text), 6))

    assert form.parse(groups) == ACCOUNT


@BOTH
@given(account=st.binary(min_size=20, max_size=20))
def test_every_account_can_be_written_and_read(form, account):
    assert form.account(form.encode(account)) == account
    assert form.parse(form.text(account)) == account
    assert len(form.encode(account)) == form.size


@BOTH
@pytest.mark.parametrize("place", [0, 1, 20, 21, -1])
def test_a_changed_byte_is_noticed(form, place):
    address = bytearray(form.encode(ACCOUNT))
    address[place] ^= 1

    with pytest.raises(DecodeError):
        form.account(bytes(address))


def test_an_address_has_one_spelling():
    text = SYMBOL.text(ACCOUNT)  # 39 characters for 24 bytes leave three bits over
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".index(text[-1])
    other = text[:-1] + "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[last ^ 1]

    for spelling in (other, text.lower(), text + "=", text + "A"):
        with pytest.raises(DecodeError):
            SYMBOL.parse(spelling)


def test_an_address_of_another_network_is_named_as_such():
    with pytest.raises(DecodeError, match="network 104, not of 152"):
        SYMBOL.account(AddressFormat(0x68, 3).encode(ACCOUNT))


@BOTH
@given(text=st.text(max_size=60))
def test_any_text_is_an_address_or_refused(form, text):
    try:
        account = form.parse(text)
    except DecodeError:
        return
    assert form.text(account) == text.replace("-", "")


@BOTH
@given(data=st.binary(max_size=40))
def test_any_bytes_are_an_address_or_refused(form, data):
    try:
        account = form.account(data)
    except DecodeError:
        return
    assert form.encode(account) == data

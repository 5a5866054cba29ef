"""Money as people write it (cli/chain_work/amounts.py)."""

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.chain_work import amounts
from cli.chain_work.amounts import MAX_WEI, about, ether, fee, parse_ether, parse_gwei
from psp.errors import ConfigError


def test_the_examples_hold():
    assert doctest.testmod(amounts).failed == 0


@pytest.mark.parametrize(
    ("text", "wei"),
    [
        ("0", 0),
        ("1", 10**18),
        ("1.5", 15 * 10**17),
        ("0.000000000000000001", 1),
        ("1000000", 10**24),
    ],
)
def test_ether_is_read_exactly(text, wei):
    assert parse_ether(text, "--stake") == wei


@pytest.mark.parametrize(
    "text",
    [
        *("", "-1", "+1", "1e3", ".5", "1.", "1,5", "0x1", "1.0000000000000000001"),
        *(" 1", "\u0661", "1_0", "nan", "79228162515"),
    ],
)
def test_anything_else_is_refused_with_an_example(text):
    with pytest.raises(ConfigError, match=r"--stake .*(such as 1\.5|can count)"):
        parse_ether(text, "--stake")


def test_gwei_have_nine_decimals():
    assert parse_gwei("2.5", "--max-fee") == 25 * 10**8
    with pytest.raises(ConfigError, match=r"such as 2\.5"):
        parse_gwei("0.0000000001", "--max-fee")


@given(st.integers(0, MAX_WEI))
def test_what_is_written_is_read_again(wei):
    text = ether(wei).removesuffix(" ether").replace(",", "")

    assert parse_ether(text, "x") == wei


@given(st.integers(0, 10**24))
def test_fees_are_rounded_up_and_balances_cut(wei):
    shown = parse_ether(fee(wei).split(" ether")[0].replace(",", ""), "x")
    kept = parse_ether(about(wei).split(" ether")[0].replace(",", ""), "x")

    assert kept <= wei <= shown
    assert shown - kept in {0, 10**9}

"""Settings that others rely on."""

from discovery.devchain.config import DevChainConfig, RpcLimits


def test_chain_is_one_wallets_know_as_worthless():
    assert DevChainConfig().chain_id == 31_337


def test_nobody_outside_this_machine_reaches_it_unasked():
    assert DevChainConfig().host == "127.0.0.1"


def test_everything_a_request_may_ask_for_is_bounded():
    limits = RpcLimits()

    assert limits.body < 2**24
    assert limits.batch * limits.slots < 2**20

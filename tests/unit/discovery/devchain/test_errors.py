"""Errors look as JSON-RPC wants them."""

import pytest

from discovery.devchain.errors import RpcError, refuse, refuse_params


def test_error_is_encoded_with_its_data_only_if_there_are_any():
    assert RpcError(3, "reverted", "0x").encode() == {
        "code": 3,
        "message": "reverted",
        "data": "0x",
    }
    assert RpcError(-32000, "no").encode() == {"code": -32000, "message": "no"}


@pytest.mark.parametrize(("say", "code"), [(refuse, -32000), (refuse_params, -32602)])
def test_refusals_have_their_numbers(say, code):
    with pytest.raises(RpcError) as refused:
        say("because")

    assert refused.value.code == code
    assert refused.value.message == "because"

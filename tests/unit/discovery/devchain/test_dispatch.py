"""Whatever comes in, a well-formed response goes out and the node goes on."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.devchain.dispatch import METHODS, Dispatcher
from tests.unit.discovery.devchain.rig import STRANGER, Chain, Clock

WANTED = [
    "web3_clientVersion",
    "net_version",
    "eth_chainId",
    "eth_syncing",
    "eth_accounts",
    "eth_blockNumber",
    "eth_gasPrice",
    "eth_maxPriorityFeePerGas",
    "eth_feeHistory",
    "eth_getBalance",
    "eth_getTransactionCount",
    "eth_getCode",
    "eth_getStorageAt",
    "eth_getBlockByNumber",
    "eth_getBlockByHash",
    "eth_call",
    "eth_estimateGas",
    "eth_sendRawTransaction",
    "eth_sendTransaction",
    "eth_getTransactionByHash",
    "eth_getTransactionReceipt",
    "eth_getLogs",
    "eth_getProof",
    "evm_mine",
    "evm_increaseTime",
    "evm_setNextBlockTimestamp",
    "evm_setAutomine",
    "anvil_mine",
    "anvil_setBalance",
    "evm_snapshot",
    "evm_revert",
    "dev_reorg",
]

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(["latest", "0x0", "0x1", STRANGER, "0x" + "00" * 32, "0x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["to", "from", "data", "gas", "value", "blockHash", "address"]
            )
            | st.text(),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def shared():
    chain = Chain(Clock())
    yield chain
    chain.node.close()


def post(chain, value):
    answer = chain.post(
        value if isinstance(value, bytes) else json.dumps(value).encode()
    )
    return json.loads(answer) if answer else None


def error_code(response):
    return response["error"]["code"]


def test_every_method_that_is_promised_is_there():
    assert set(WANTED) == set(METHODS)


def test_unknown_method_is_named(chain):
    response = post(chain, {"id": 1, "method": "eth_unheard", "params": []})

    assert error_code(response) == -32601
    assert "eth_unheard" in response["error"]["message"]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"nul", b"[" * 100_000])
def test_what_is_not_json_is_a_parse_error(chain, body):
    assert error_code(post(chain, body)) == -32700


@pytest.mark.parametrize(
    "request_value",
    [
        5,
        "eth_chainId",
        None,
        [],
        [1] * 5,
        {"id": 1},
        {"id": 1, "method": 5},
        {"id": {}, "method": "eth_chainId"},
    ],
)
def test_what_is_not_a_request_is_said_to_be_none(
    make_chain, small_limits, request_value
):
    chain = make_chain(small_limits)

    assert error_code(post(chain, request_value)) == -32600


def test_parameters_by_name_are_refused(chain):
    request = {"id": 1, "method": "eth_chainId", "params": {"a": 1}}

    assert error_code(post(chain, request)) == -32602


def test_batch_is_answered_call_by_call(chain):
    responses = post(
        chain,
        [
            {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId"},
            {"jsonrpc": "2.0", "id": "b", "method": "eth_unheard"},
            7,
            {"jsonrpc": "2.0", "method": "evm_mine"},
        ],
    )

    assert [response["id"] for response in responses] == [1, "b", None]
    assert responses[0]["result"] == "0x7a69"
    assert chain("eth_blockNumber") == "0x1"


def test_notification_is_not_answered(chain):
    assert post(chain, {"method": "evm_mine"}) is None
    assert post(chain, [{"method": "evm_mine"}]) is None
    assert chain("eth_blockNumber") == "0x2"


def test_fault_of_ours_is_reported_and_told_without_details(chain, monkeypatch):
    faults = []
    dispatcher = Dispatcher(
        chain.node, lambda name, error: faults.append((name, error))
    )

    def broken(_node, _params):
        raise ZeroDivisionError("secret")

    monkeypatch.setitem(METHODS, "eth_chainId", broken)
    response = json.loads(dispatcher.answer(b'{"id":1,"method":"eth_chainId"}'))

    assert response["error"] == {
        "code": -32603,
        "message": "internal error: ZeroDivisionError",
    }
    assert [name for name, _ in faults] == ["eth_chainId"]
    assert chain("eth_blockNumber") == "0x0"


@given(st.binary())
def test_any_bytes_get_an_answer(shared, body):
    response = post(shared, body)

    assert response is None or "error" in response or isinstance(response, list)
    assert shared.faults == []


@given(json_values, json_values)
def test_any_request_gets_an_answer(shared, request_value, call_id):
    post(shared, request_value)
    response = post(shared, {"id": call_id, "method": "eth_chainId"})

    assert "result" in response or error_code(response) == -32600


@given(st.sampled_from(WANTED), st.lists(json_values, max_size=4))
def test_any_parameters_are_answered_without_a_fault(shared, method, params):
    response = post(shared, {"id": 1, "method": method, "params": params})

    assert response.keys() >= {"jsonrpc", "id"}
    assert shared.faults == []

"""Events read in ranges that an endpoint stands (discovery/replay/logs.py)."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.replay.logs import ChainLog, LogLimits, Wanted, read_logs
from psp.errors import DecodeError
from psp.runtime.rpc import RpcError, RpcUnavailableError

CONTRACT = b"\xcc" * 20
NAME, OTHER = b"\x01" * 32, b"\x02" * 32
LIMITS = LogLimits(spans=(100, 10, 1), max_questions=500, max_logs=50)


def log(block, index=0, *, name=NAME, **changed):
    return {
        "address": "0x" + CONTRACT.hex(),
        "topics": ["0x" + name.hex()],
        "data": "0x",
        "blockNumber": hex(block),
        "logIndex": hex(index),
    } | changed


class Endpoint:
    """Gives logs of the asked range, of at most so many blocks at once."""

    name = "endpoint 1"

    def __init__(self, logs, most=1_000, error=None):
        self.logs = logs
        self.most = most
        self.error = error or RpcError(-32_005, "too many blocks")
        self.asked = []

    async def call(self, method, *params):
        assert method == "eth_getLogs"
        first, last = (int(params[0][name], 16) for name in ("fromBlock", "toBlock"))
        self.asked.append((first, last))
        if last - first >= self.most:
            raise self.error
        return [
            each for each in self.logs if first <= int(each["blockNumber"], 16) <= last
        ]


class Says:
    """Gives one answer to everything."""

    name = "endpoint 1"

    def __init__(self, answer):
        self.answer = answer

    async def call(self, method, *params):
        return self.answer


def wanted(first=0, last=249, topics=((NAME,),)):
    return Wanted(CONTRACT, topics, first, last)


async def test_all_events_come_in_order_from_range_after_range():
    endpoint = Endpoint([log(5), log(5, 1), log(99), log(100), log(249)])
    seen = []

    found = await read_logs(endpoint, wanted(), LIMITS, seen.append)

    places = [(each.block, each.index) for each in found]
    assert places == [(5, 0), (5, 1), (99, 0), (100, 0), (249, 0)]
    assert endpoint.asked == [(0, 99), (100, 199), (200, 249)]
    assert seen == [100, 200, 250]


@pytest.mark.parametrize(
    "error", [RpcError(-32_005, "too many"), RpcUnavailableError("too large")]
)
async def test_a_refusal_makes_the_ranges_smaller(error):
    endpoint = Endpoint([log(5), log(19)], most=10, error=error)

    found = await read_logs(endpoint, wanted(last=19), LIMITS)

    assert [each.block for each in found] == [5, 19]
    assert endpoint.asked == [(0, 19), (0, 9), (10, 19)]


async def test_an_endpoint_that_refuses_a_single_block_is_given_up():
    with pytest.raises(RpcError):
        await read_logs(Endpoint([], most=0), wanted(), LIMITS)


async def test_no_blocks_need_no_question():
    endpoint = Endpoint([])

    assert await read_logs(endpoint, wanted(first=5, last=4), LIMITS) == ()
    assert endpoint.asked == []


async def test_questions_and_events_are_bounded():
    few = LogLimits(spans=(1,), max_questions=5)
    with pytest.raises(DecodeError, match="5 questions"):
        await read_logs(Endpoint([]), wanted(), few)

    many = [log(1, i) for i in range(51)]
    with pytest.raises(DecodeError, match="more than 50"):
        await read_logs(Endpoint(many), wanted(), LIMITS)


@pytest.mark.parametrize(
    "answer",
    [
        None,
        {},
        ["no"],
        [log(1, topics=[])],
        [log(1, topics=["0x00"])],
        [log(1, topics=["0x" + NAME.hex()] * 5)],
        [log(1, address="0x" + "dd" * 20)],
        [log(1, removed=True)],
        [log(1, blockNumber=None)],
        [log(1, data="0x" + "00" * 5_000)],
        [log(1, name=OTHER)],
        [log(1_000)],
        [log(2), log(1)],
        [log(1), log(1)],
    ],
)
async def test_what_was_not_asked_for_is_refused(answer):
    with pytest.raises(DecodeError):
        await read_logs(Says(answer), wanted(), LIMITS)


def test_places_of_a_filter_left_open_take_anything():
    some = Wanted(CONTRACT, ((NAME,), (), (OTHER, NAME)), 1, 1)

    assert some.has(ChainLog(1, 0, (NAME, NAME, OTHER), b""))
    assert not some.has(ChainLog(1, 0, (NAME, NAME), b""))
    assert not some.has(ChainLog(1, 0, (OTHER, NAME, OTHER), b""))
    assert not some.has(ChainLog(2, 0, (NAME, NAME, OTHER), b""))


odd: st.SearchStrategy[object] = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=70) | st.just([])
)
topics = st.lists(odd | st.just("0x" + NAME.hex()), max_size=5)
some_log = st.builds(log, st.integers(0, 9), topics=topics, data=odd, address=odd)


@given(odd | st.lists(odd | some_log | st.builds(log, st.integers(0, 9)), max_size=3))
def test_any_answer_is_read_or_refused(answer):
    reading = read_logs(Says(answer), wanted(last=9), LIMITS)

    # Nothing in it waits, so that it ends at the first step.
    with suppress(StopIteration, DecodeError):
        reading.send(None)

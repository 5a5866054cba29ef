"""What event streams send (psp/gateway/event_log.py)."""

from hypothesis import given
from hypothesis import strategies as st

from psp.gateway.event_log import MAX_ENDED, EventLog

RUN = "00ff"


def data_after(log, number, **more):
    return [event.data for event in log.after(number, **more)]


def test_a_reader_gets_what_came_behind_its_last_event():
    log = EventLog(RUN)
    for subject in (b"a", b"b", b"c"):
        log.put("w", subject.decode(), "presence", subject)
    seen = log.after(0)[0]

    assert data_after(log, seen.number) == [b"b", b"c"]


def test_of_one_subject_only_the_newest_state_is_told():
    log = EventLog(RUN)
    log.put("w", "alice", "presence", b"1")
    log.put("w", "bob", "presence", b"2")
    log.put("w", "alice", "presence", b"3")

    assert data_after(log, 0) == [b"2", b"3"]


def test_the_same_subject_in_two_groups_is_two():
    log = EventLog(RUN)
    log.put("v", "alice", "presence", b"1")
    log.put("w", "alice", "presence", b"2")

    assert data_after(log, 0) == [b"1", b"2"]
    assert data_after(log, 0, is_wanted=lambda event: event.group == "v") == [b"1"]


def test_a_group_that_is_dropped_is_forgotten():
    log = EventLog(RUN)
    log.put("v", "alice", "presence", b"1")
    log.put("w", "alice", "presence", b"2")
    log.drop("v")

    assert data_after(log, 0) == [b"2"]


def test_ids_come_back_as_numbers():
    log = EventLog(RUN)
    log.put("w", "a", "presence", b"1")
    log.put("w", "b", "presence", b"2")
    first = log.after(0)[0]

    assert log.number_of(log.id_of(first)) == first.number


def test_ids_of_other_runs_and_of_the_future_mean_everything():
    log, other = EventLog(RUN), EventLog("00fe")
    log.put("w", "a", "presence", b"1")
    other.put("w", "a", "presence", b"1")

    assert log.number_of(other.id_of(other.after(0)[0])) == 0
    assert log.number_of(f"{RUN}-2") == 0


@given(st.text())
def test_any_text_is_an_id_or_means_everything(text):
    log = EventLog(RUN)
    log.put("w", "a", "presence", b"1")

    assert log.number_of(text) == (1 if text == f"{RUN}-1" else 0)


def test_what_has_not_changed_for_longest_goes_first():
    log = EventLog(RUN, max_subjects=2)
    for subject in ("a", "b", "a", "c"):
        log.put("w", subject, "presence", subject.encode())

    assert data_after(log, 0) == [b"a", b"c"]


def test_only_so_many_ends_are_kept():
    log = EventLog(RUN)
    log.put("w", "alive", "presence", b"alive")
    for number in range(MAX_ENDED + 5):
        log.put("w", f"call {number}", "call-ended", b"x", is_last=True)

    assert len(log) == MAX_ENDED + 1
    assert data_after(log, 0)[0] == b"alive"


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.booleans()), max_size=40))
def test_a_reader_at_any_pace_ends_with_the_newest_state(steps):
    """A reader that reads when it likes knows, at the end, what is true."""
    log, known, number, truth = EventLog(RUN), {}, 0, {}
    for count, (subject, reads) in enumerate(steps):
        data = f"{subject}{count}".encode()
        truth[subject] = data
        log.put("w", subject, "presence", data)
        if reads:
            event = log.after(number)[0]
            number, known[event.data[:1].decode()] = event.number, event.data
    for event in log.after(number):
        known[event.data[:1].decode()] = event.data

    assert known == truth

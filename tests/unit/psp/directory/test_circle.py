"""Circles: really the nearest, and all of them when there are no more."""

from hypothesis import given
from hypothesis import strategies as st

from psp.directory.circle import Circle

ids = st.binary(min_size=20, max_size=20)


@given(st.sets(ids, max_size=60), ids, st.integers(1, 70))
def test_nearest_agrees_with_sorting_all_of_them(members, location, count):
    key = int.from_bytes(location)

    circle = Circle(members)

    by_distance = sorted(members, key=lambda each: int.from_bytes(each) ^ key)
    assert circle.nearest(location, count) == by_distance[:count]
    assert len(circle) == len(members)


def test_empty_circle_has_nobody_near():
    assert Circle().nearest(bytes(20), 8) == []

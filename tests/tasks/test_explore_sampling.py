"""Samples are shared out so that small groups come whole, and are the same each time."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.explore.reference import MOST, constant_markers, reference_of
from tasks.explore.sampling import first_of_each, shares
from tasks.explore.tube_events import TubeEvents, counted_values, sampled

SIZES = st.lists(st.integers(0, 400), min_size=1, max_size=12)


def tube(sizes: list[int], name: str = "ab" * 32, shift: int = 0) -> TubeEvents:
    """Make a tube whose codes have these sizes, its events in no order of codes."""
    codes = np.repeat(np.arange(len(sizes)), sizes).astype(np.uint16)
    codes = codes[np.random.default_rng(5).permutation(len(codes))]
    rows = np.arange(len(codes), dtype=np.int64) * 3 + shift
    return TubeEvents(
        name,
        ("A", "B"),
        len(codes),
        rows,
        np.column_stack([rows, codes]).astype(np.float32),
        codes,
        tuple((f"g{code}",) for code in range(len(sizes))),
        np.ones(len(codes)),
    )


@given(SIZES, st.integers(0, 3000))
def test_shares_are_all_there_is_or_what_was_asked_for(sizes: list[int], most: int) -> None:
    given_ = shares(sizes, most)
    assert given_.sum() == min(most, sum(sizes))
    assert (given_ <= sizes).all()


@given(SIZES, st.integers(0, 3000))
def test_no_group_gets_less_than_another_unless_it_is_given_whole(
    sizes: list[int], most: int
) -> None:
    given_ = shares(sizes, most)
    for size, number in zip(sizes, given_, strict=True):
        assert number == size or number >= given_.max() - 1


def test_of_each_group_the_first_by_chance_are_chosen() -> None:
    groups = np.array([0, 1, 0, 1, 1, 0])
    order = np.array([5, 1, 3, 9, 2, 4], dtype=np.uint64)
    chosen = first_of_each(groups, order, np.array([2, 1]))
    assert chosen.tolist() == [1, 2, 5]


@given(SIZES, st.integers(1, 600))
def test_the_events_of_a_sample_stand_for_all_events_of_their_code(
    sizes: list[int], most: int
) -> None:
    whole = tube(sizes)
    some = sampled(whole, most)
    assert len(some.rows) == min(most, sum(sizes))
    stood_for = np.bincount(some.codes, some.weights, minlength=len(sizes))
    held = np.bincount(some.codes, minlength=len(sizes)) > 0
    np.testing.assert_allclose(stood_for[held], np.array(sizes)[held])
    assert (some.values[:, 0] == some.rows).all()


def test_a_rare_code_comes_whole_and_a_smaller_sample_is_part_of_a_larger_one() -> None:
    whole = tube([5000, 3000, 7])
    large, small = sampled(whole, 600), sampled(whole, 200)
    assert (large.codes == 2).sum() == (small.codes == 2).sum() == 7
    assert set(small.rows) <= set(large.rows)


def test_which_events_are_chosen_depends_on_their_tube() -> None:
    one, other = (sampled(tube([900], name), 100).rows for name in ("ab" * 32, "cd" * 32))
    assert set(one) != set(other)


def test_patients_weigh_alike_in_a_reference_and_so_do_their_tubes() -> None:
    names = [f"{number:02x}" * 32 for number in range(5)]
    tubes = [("P1", tube([9000], name)) for name in names[:4]] + [("P2", tube([9000], names[4]))]
    chosen = reference_of(tubes, most=8000)
    of_tube = np.bincount(chosen.tube)
    assert of_tube.tolist() == [1000, 1000, 1000, 1000, 4000]
    assert chosen.tubes == tuple(names)
    assert chosen.weights.sum() == sum(chosen.events)


def test_a_reference_does_not_depend_on_the_order_of_tubes_and_leaves_empty_ones_out() -> None:
    tubes = [
        ("P1", tube([50, 2], "11" * 32)),
        ("P1", tube([0], "22" * 32)),
        ("P2", tube([400], "33" * 32)),
    ]
    one, other = reference_of(tubes, most=100), reference_of(tubes[::-1], most=100)
    assert one.tubes == other.tubes == ("11" * 32, "33" * 32)
    for name in ("tube", "rows", "values", "codes", "weights"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert [one.sets[code] for code in np.unique(one.codes)] == [("g0",), ("g1",)]


def test_a_reference_of_nothing_is_empty() -> None:
    assert len(reference_of([], MOST).rows) == 0


def test_a_channel_that_is_the_same_in_all_cells_is_named() -> None:
    whole = tube([300, 300])
    values = np.column_stack([np.full(600, 0.31), whole.codes * 0.4]).astype(np.float32)
    values[:5, 0] = 0.9
    chosen = reference_of([("P1", replace(whole, values=values))])
    assert constant_markers(chosen, ("A", "B")) == ("A",)


def test_a_part_by_chance_gives_every_event_the_same_chance() -> None:
    whole = tube([6000, 3000, 1000])
    assert counted_values(whole) is whole.values
    part = counted_values(whole, 5000)
    shares_ = np.bincount(part[:, 1].astype(int)) / 5000
    assert shares_ == pytest.approx([0.6, 0.3, 0.1], abs=0.02)
    assert len(np.unique(part[:, 0])) == 5000
    assert np.array_equal(part, counted_values(whole, 5000))

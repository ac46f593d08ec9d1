"""Which detectors of a document's matrix a panel needs."""

import pytest

from gating.exchange.mixed_detectors import mixed_detectors

NAMES = ["A", "B", "C"]


@pytest.mark.parametrize(
    ("written", "needed"),
    [
        ("1 0 0 0 1 0 0 0 1", ()),
        ("1 1e-6 0 0 1 0 0 0 1", ()),
        ("1 .2 0 .1 1 0 0 0 1", ("A", "B")),
        ("1 .2 0 .1 1 0 0 9e-4 1", ("A", "B")),
        ("1 .2 0 .1 1 0 0 .002 1", ("A", "B", "C")),
        ("1 .2 0 .1 1 0", ("A", "B", "C")),
        ("1 0 0 0 one 0 0 0 1", ("A", "B", "C")),
        ("", ("A", "B", "C")),
    ],
)
def test_a_detector_without_spill_is_not_needed(written: str, needed: tuple[str, ...]) -> None:
    assert mixed_detectors(NAMES, written.split()) == needed


def test_no_matrix_needs_nothing() -> None:
    assert mixed_detectors([], []) == ()

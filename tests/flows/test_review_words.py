"""Sentences of commands as the review pages say them."""

import pytest

from flows.review_pages.words import on_page


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("--comment is empty: a text.", "The comment is empty: a text."),
        ("Settled: reconflow review accept P01 D84 --by NAME", "Settled: accept the tubes of D84."),
        ("--threshold cd3=9e5 is far: --second NAME.", "The threshold cd3 at 9e5 is far."),
        ("by its thresholds (a, b): --threshold.", "By its thresholds (a, b)."),
        ("--gate cells: 1 vertex.", "The outline of cells: 1 vertex."),
        ("None yet. `reconflow run` makes them.", "None yet. The next run makes them."),
        ("Of P02; `reconflow run` makes them.", "Of P02; the next run makes them."),
        ("Patient P01 has no tables.", "Patient P01 has no tables."),
    ],
)
def test_options_are_called_what_the_form_calls_them(said: str, shown: str) -> None:
    assert on_page(said) == shown

"""Faults of what a person gave, as the review pages and the command line say them."""

import pickle

import pytest

from flows.cli import _with_option
from flows.review_pages.words import on_page
from panels.text.errors import FieldFault, ReconflowError, UsageFault
from tasks.corrections.boundaries import gates_given, thresholds_given
from tasks.vocabulary.person import explanation, person

FAR = FieldFault("threshold", " is far. A second person has to agree.", "cd3", "9e5", "second")


@pytest.mark.parametrize(
    ("fault", "option", "field"),
    [
        (
            FAR,
            "--threshold cd3=9e5 is far. A second person has to agree. Give --second NAME.",
            "The threshold cd3 at 9e5 is far. A second person has to agree.",
        ),
        (
            FieldFault("gate", ": 1 vertex.", "cells"),
            "--gate cells: 1 vertex.",
            "The outline of cells: 1 vertex.",
        ),
        (FieldFault("by", " is empty."), "--by is empty.", "Your name is empty."),
        (FieldFault("name", " is empty."), "NAME is empty.", "Name is empty."),
    ],
)
def test_a_field_is_called_what_its_reader_calls_it(
    fault: FieldFault, option: str, field: str
) -> None:
    assert _with_option(fault) == option
    assert on_page(fault) == field


def test_another_fault_is_said_as_it_is() -> None:
    assert on_page(UsageFault("P01 has no tables.")) == "P01 has no tables."


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (lambda: person("by", " "), "by"),
        (lambda: explanation("reason", "a\nb"), "reason"),
        (lambda: thresholds_given(["cd3"]), "threshold"),
        (lambda: gates_given(["cells=1,2;3"]), "gate"),
    ],
)
def test_what_a_person_gave_is_refused_with_its_field_and_no_option(given, field: str) -> None:
    with pytest.raises(FieldFault) as refused:
        given()
    assert refused.value.field == field
    assert "--" not in str(refused.value)


def test_a_fault_is_the_same_after_the_way_between_processes() -> None:
    again: ReconflowError = pickle.loads(pickle.dumps(FAR))
    assert (str(again), again.__dict__) == (str(FAR), FAR.__dict__)

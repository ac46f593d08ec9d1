"""A population has one name wherever it is shown."""

import pytest

from gating.strategy.catalogue import known, load_strategy
from tasks.vocabulary.populations import IN_COHORT_FIGURES, short_label


@pytest.mark.parametrize("pin", known())
def test_the_figures_of_the_cohort_call_a_population_what_its_strategy_calls_it(pin: str) -> None:
    labels = {each.id: each.label for each in load_strategy(pin).strategy.populations}
    shown = [(name, label) for name, label in IN_COHORT_FIGURES if name in labels]
    assert shown
    assert [(name, short_label(labels, name)) for name, _ in shown] == shown


def test_a_population_without_label_is_called_by_its_id() -> None:
    assert short_label({}, "double_negative_b") == "double negative b"
    assert short_label({"x": "Naive B cells (CD27- IgD+)"}, "x") == "Naive B cells"

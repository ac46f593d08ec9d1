"""Recognising populations among the gates of another program."""

from typing import Any

import pytest

from gating.exchange.import_gates import Imported
from panels.panel import Panel
from panels.text.errors import UsageFault
from tasks.strategies.recognised_populations import ProposedPopulations, propose_populations
from tasks.vocabulary.population_names import RECOGNISED, plain_population_name
from tasks.vocabulary.populations import IDS

MARKERS = ("CD45", "CD3", "CD4", "CD8", "CD19", "CD20", "IgD", "CD27", "CD38", "CD24", "CD138")
PANEL = Panel.model_validate(
    {
        "panel": "lab",
        "version": "1.0.0",
        "title": "t",
        "instrument": "i",
        "counting": ["dual"],
        "scatter": {"FSC-A": "FSC-A", "SSC-A": "SSC-A"},
        "markers": [{"marker": m, "detector": f"D{n}-A"} for n, m in enumerate(MARKERS)],
    }
)


def imported(*gates: tuple[str, str, dict[str, Any]]) -> Imported:
    """Make an import of gates: (path with '/', name here, shape)."""
    name_of, document = {}, []
    for path, name, shape in gates:
        parts = ("root", *path.split("/"))
        name_of[parts] = name
        parent = name_of.get(parts[:-1], "root")
        document.append({"gate": name, "parent": parent, **shape})
    return Imported({"gates": document, "title": "t"}, None, (), name_of)


def box(**limits: str) -> dict[str, Any]:
    """Write bounds: ``CD19="above"``."""
    return {"rectangle": {marker: {side: 1000.0} for marker, side in limits.items()}}


def drawn() -> dict[str, Any]:
    return {"polygon": {"x": "FSC-A", "y": "SSC-A", "vertices": [[0, 0], [1, 0], [1, 1]]}}


def found(done: ProposedPopulations) -> dict[str, str]:
    return {each["id"]: each["gate"] for each in done.populations}


def test_every_population_of_the_vocabulary_can_be_recognised():
    assert {each.id for each in RECOGNISED} == set(IDS)


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("Naive B-cells", "naive b"),
        ("CD27- IgD+", "cd27- igd+"),
        ("T_Cells", "t"),
        ("  Class-switched  memory B cells ", "class-switched memory b"),
        ("Naïve B", "naive b"),
    ],
)
def test_a_name_is_compared_without_its_filling(written, plain):
    assert plain_population_name(written) == plain


def test_names_of_a_laboratory_are_recognised():
    done = propose_populations(
        imported(
            ("Lymphocytes", "Lymphocytes", drawn()),
            ("Lymphocytes/B cells", "B_cells", drawn()),
            ("Lymphocytes/B cells/Naive B", "Naive_B", drawn()),
            ("Lymphocytes/B cells/CD27- IgD-", "x", drawn()),
            ("Lymphocytes/B cells/PB", "PB", drawn()),
            ("Lymphocytes/B cells/Bregs", "Bregs", drawn()),
        ),
        PANEL,
    )
    assert found(done) == {
        "lymphocytes": "Lymphocytes",
        "b_cells": "B_cells",
        "naive_b": "Naive_B",
        "double_negative_b": "x",
        "plasmablasts": "PB",
    }
    assert done.unreported == ("Bregs",)
    naive = next(each for each in done.populations if each["id"] == "naive_b")
    assert (naive["reference"], naive["anchor"]) == ("b_cells", ["b_cells", "lymphocytes"])
    assert naive["minimum_parent_events"] == 50


def test_markers_are_recognised_through_the_gates_above():
    done = propose_populations(
        imported(
            ("P1", "P1", box(CD3="below", CD19="above")),
            ("P1/P2", "P2", box(IgD="above")),
            ("P1/P2/P3", "P3", box(CD27="below")),
            ("P1/P4", "P4", box(CD27="above", CD38="above", CD20="below")),
            ("P5", "P5", box(CD3="above")),
            ("P5/P6", "P6", box(CD4="above", CD8="below")),
        ),
        PANEL,
    )
    assert found(done) == {
        "b_cells": "P1",
        "naive_b": "P3",
        "plasmablasts": "P4",
        "t_cells": "P5",
        "cd4_t": "P6",
    }
    assert {each.how for each in done.recognised} == {"recognised by the markers it is drawn on"}


@pytest.mark.parametrize("name", ["DN", "PB", "naive", "memory", "CD27- IgD+", "SM"])
def test_short_names_mean_nothing_outside_the_b_cells(name):
    done = propose_populations(
        imported(("T cells", "T", drawn()), (f"T cells/{name}", "x", drawn())), PANEL
    )
    assert found(done) == {"t_cells": "T"}


def test_a_name_that_its_gate_contradicts_is_not_reported_but_said():
    done = propose_populations(
        imported(
            ("B cells", "B", drawn()),
            ("B cells/Naive B", "N", box(CD27="above", IgD="above")),
        ),
        PANEL,
    )
    assert found(done) == {"b_cells": "B", "unswitched_memory_b": "N"}
    (sentence,) = done.unclear
    assert "Naive B has the name of naive_b, but keeps CD27+" in sentence


def test_of_several_the_one_with_the_subsets_is_taken_and_said():
    done = propose_populations(
        imported(
            ("CD19", "CD19", box(CD19="above")),
            ("CD19CD20", "CD19CD20", box(CD19="above", CD20="above")),
            ("CD19CD20/IgD+CD27-", "N", box(IgD="above", CD27="below")),
        ),
        PANEL,
    )
    assert found(done)["b_cells"] == "CD19CD20"
    assert any("CD19CD20 and CD19 could all be b_cells" in each for each in done.unclear)


def test_a_gate_is_reported_when_the_user_says_so():
    gates = imported(("B cells", "B", drawn()), ("B cells/Bregs", "Bregs", drawn()))
    done = propose_populations(gates, PANEL, ["Bregs", "B cells=b_cells"])
    assert found(done) == {"b_cells": "B", "Bregs": "Bregs"}
    breg = next(each for each in done.populations if each["id"] == "Bregs")
    assert (breg["reference"], breg["anchor"]) == ("b_cells", ["b_cells"])
    with pytest.raises(
        UsageFault, match=r"'Treg' is no gate that was carried over\. Gates: B, Bregs"
    ):
        propose_populations(gates, PANEL, ["Treg"])
    with pytest.raises(UsageFault, match="'a b' is no id"):
        propose_populations(gates, PANEL, ["Bregs=a b"])

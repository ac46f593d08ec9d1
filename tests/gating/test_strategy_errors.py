"""Whoever writes a strategy by hand is told the line, the gate and the word that was most likely
meant."""

import pytest

from gating.strategy.catalogue import read_draft, read_strategy
from panels.text.errors import StrategyFault

WRITTEN = """\
strategy: small
version: 1.0.0
title: Small
panel: bcell
thresholds:
  cd19: {marker: CD19, value: 1000, evidence: seen}
  cd3:
    marker: CD3
    value: 500
    evidence: seen
    limits: [400, 600]
    sources: [fixed, valley]
    seen_in: cells
gates:
  - gate: cells
    parent: root
    polygon: {x: FSC-A, y: SSC-A, vertices: [[1, 1], [9, 1], [9, 9]]}
  - gate: t_cells
    parent: cells
    rectangle: {CD3: {above: cd3}}
  - gate: b_cells
    parent: cells
    rectangle:
      CD3: {below: cd3}
      CD19: {above: cd19, below: 5000}
  - {gate: neither, parent: cells, none_of: [t_cells, b_cells]}
populations:
  - {id: t_cells, gate: t_cells, label: T, reference: t_cells}
  - id: b_cells
    gate: b_cells
    label: B
    reference: t_cells
"""


def fault(tmp_path, old, new, read=read_strategy):
    assert WRITTEN.count(old) == 1
    path = tmp_path / "strategy.yaml"
    path.write_text(WRITTEN.replace(old, new), encoding="utf-8")
    with pytest.raises(StrategyFault) as caught:
        read(path)
    return str(caught.value).removeprefix(f"{path}, ")


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        (
            "value: 500",
            "valeu: 500",
            9,
            "thresholds → cd3 → valeu: there is no such key; did you mean 'value'?",
        ),
        (
            "below: 5000}",
            "belwo: 5000}",
            25,
            (
                "gates → b_cells → rectangle → CD19 → belwo: there is no such key; did you mean "
                "'below'?"
            ),
        ),
        (
            "value: 500",
            "value: much",
            9,
            "thresholds → cd3 → value: input should be a valid number",
        ),
        ("    label: B\n", "", 29, "populations → b_cells → label: this is missing."),
        ("[fixed, valley]", "[fixed, vally]", 12, "(it is 'vally'); did you mean 'valley'?"),
        ("    seen_in: cells\n", "", 7, "thresholds → cd3: the source 'valley' needs 'seen_in'."),
        (
            "seen_in: cells",
            "seen_in: cell",
            13,
            "'cd3' is read on 'cell', which is not a gate of this strategy; did you mean 'cells'?",
        ),
        (
            "parent: cells\n    rectangle: {CD3",
            "parent: cels\n    rectangle: {CD3",
            19,
            "gate 't_cells' refers to 'cels'",
        ),
        (
            "none_of: [t_cells, b_cells]",
            "none_of: [t_cells, b_cell]",
            26,
            "gate 'neither' refers to 'b_cell'",
        ),
        (
            "parent: root",
            "parent: neither",
            15,
            "these gates depend on each other in a circle: cells, neither.",
        ),
        ("- gate: b_cells", "- gate: t_cells", 21, "the gate 't_cells' is defined twice."),
        (
            "above: cd3}",
            "above: cd33}",
            20,
            "which is not listed under thresholds; did you mean 'cd3'?",
        ),
        (
            "above: cd3}",
            "above: cd19}",
            20,
            "gate 't_cells' uses 'cd19' on CD3, but that threshold is for CD19.",
        ),
        (
            "below: 5000",
            "below: 900",
            25,
            "gate 'b_cells': 'above' (1000) must be smaller than 'below' (900).",
        ),
        (
            "[9, 9]]",
            "[9, .nan]]",
            17,
            (
                "gates → cells → polygon → vertices → 2 → 1: input should be a finite number (it "
                "is nan)."
            ),
        ),
        ("[9, 9]]", "[9]]", 17, "gates → cells → polygon → vertices → 2 → 1: this is missing."),
        (
            "gate: b_cells\n    label",
            "gate: b_cels\n    label",
            30,
            "in gate 'b_cels', which does not exist; did you mean 'b_cells'?",
        ),
        (
            "reference: t_cells\n",
            "reference: lymphocytes\n",
            32,
            "refers to 'lymphocytes', which is not a reported population.",
        ),
        ("- id: b_cells", "- id: t_cells", 29, "the population 't_cells' is listed twice."),
        ("title: Small", "title: Small\ntitle: Large", 4, "'title' is given twice. Remove one."),
        (
            "title: Small",
            "title: off",
            3,
            "YAML takes 'off' for true or false. Write it in quotes.",
        ),
        (
            "value: 500",
            "value: 0500",
            9,
            "YAML takes '0500' for 320. Write the number without leading zeros or ':'.",
        ),
        (
            "version: 1.0.0",
            "version: 1.0",
            2,
            "version: input should be a valid string (it is 1.0).",
        ),
        (
            "- gate: b_cells",
            "- gate: B cells",
            21,
            "gates → B cells → gate: a name of letters, digits and '_' is expected",
        ),
    ],
)
def test_a_mistake_is_named_with_its_line_its_gate_and_the_nearest_word(
    tmp_path, old, new, line, message
):
    sentence = fault(tmp_path, old, new)
    assert sentence.startswith(f"line {line}: ")
    assert message in sentence


def test_what_is_no_yaml_is_refused_with_its_line(tmp_path):
    assert "line 20" in fault(
        tmp_path, "rectangle: {CD3: {above: cd3}}", "rectangle: {CD3: {above: cd3}"
    )


def test_a_draft_s_marker_that_its_panel_lacks_is_named_with_its_line(tmp_path):
    sentence = fault(
        tmp_path, "CD19: {above: cd19, below: 5000}", "CD199: {above: 100, below: 5000}", read_draft
    )
    assert sentence == "line 25: the panel bcell does not read 'CD199'; did you mean 'CD19'?"


def test_the_strategy_without_a_mistake_is_read(tmp_path):
    path = tmp_path / "strategy.yaml"
    path.write_text(WRITTEN, encoding="utf-8")
    assert read_draft(path).strategy.name == "small@1.0.0"

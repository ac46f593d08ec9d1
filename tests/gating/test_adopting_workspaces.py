"""Adopting whole FlowJo workspaces: which gates become the strategy, and what is listed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from gating.exchange.adopt_workspace import Adoption, adopt_workspace
from gating.exchange.checked_import import import_checked
from panels.panel import Panel
from panels.text.errors import StrategyFault, UsageFault
from tests.gating.workspaces import (
    Written,
    combination,
    lab_panel,
    polygon,
    population,
    raw_events,
    rectangle,
    write_tube,
)

BIEX = (
    'biex transforms:length="256" transforms:maxRange="262144" transforms:neg="0" '
    'transforms:width="-100" transforms:pos="4.418539922"'
)


@dataclass
class Workspace:
    """A workspace of several samples and groups, with the folder of their files."""

    folder: Path
    samples: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)

    @property
    def tubes(self) -> Path:
        place = self.folder / "tubes"
        place.mkdir(exist_ok=True)
        return place

    def sample(self, written: Written, *, group: str = "", tube: np.ndarray | None = None) -> int:
        """Add a sample; gives its number. Its file is written when ``tube`` has its events."""
        number = len(self.samples) + 1
        text = written.text().replace('owningGroup=""', f'owningGroup="{group}"')
        inner = text[text.index("<Sample>") : text.index("</SampleList>")]
        self.samples.append(inner.replace('sampleID="1"', f'sampleID="{number}"'))
        if tube is not None:
            write_tube(self.tubes / written.sample, tube)
        return number

    def group(self, name: str, members: Sequence[int], gates: str = "") -> None:
        references = "".join(f'<SampleRef sampleID="{number}"/>' for number in members)
        inner = f"<Subpopulations>{gates}</Subpopulations>" if gates else ""
        self.groups.append(
            f'<GroupNode name="{name}" owningGroup="{name}"><Group name="{name}"><SampleRefs>'
            f"{references}</SampleRefs></Group>{inner}</GroupNode>"
        )

    def adopt(self, panel: Panel | None = None, group: str | None = None) -> Adoption:
        head = Written("").text().partition("<SampleList>")[0]
        document = self.folder / "lab.wsp"
        document.write_text(
            f"{head}<Groups>{''.join(self.groups)}</Groups><SampleList>{''.join(self.samples)}"
            f"</SampleList></Workspace>",
            encoding="utf-8",
        )
        return adopt_workspace(document, panel or lab_panel(), "lab", tubes=self.tubes, group=group)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def gate(bound: float, count: int = -1, below: str = "", name: str = "R") -> str:
    return population(name, rectangle(FSC_A=(bound, None)), count, below)


def above(raw: np.ndarray, bound: float) -> int:
    return int((raw[:, 0] >= bound).sum())


def rows(done: Adoption) -> list[tuple[object, ...]]:
    return [(each.sample, each.gate, each.counted, each.verdict) for each in done.compared]


def to_do(done: Adoption) -> str:
    return " ".join(note.text for note in done.imported.notes if note.outcome == "to do")


def test_the_groups_gate_is_adopted_even_when_most_samples_have_another(workspace):
    raws = [raw_events(seed=n) for n in (1, 2, 3)]
    bounds = (100_000.0, 120_000.0, 120_000.0)
    for number, (raw, bound) in enumerate(zip(raws, bounds, strict=True), 1):
        written = Written(gate(bound, above(raw, bound)), sample=f"s{number}.fcs")
        workspace.sample(written, tube=raw)
    workspace.group("G", (1, 2, 3), gate(100_000.0))
    done = workspace.adopt()
    assert done.group == "G"
    assert done.imported.document["gates"][0]["rectangle"] == {"FSC-A": {"above": 100_000.0}}
    assert rows(done) == [
        ("s1.fcs", "R", above(raws[0], 100_000.0), "same"),
        ("s2.fcs", "R", above(raws[1], 100_000.0), "own gate in this sample"),
        ("s3.fcs", "R", above(raws[2], 100_000.0), "own gate in this sample"),
    ]
    assert [each.sample for each in done.deviations] == ["s2.fcs", "s3.fcs"]
    first = done.deviations[0].document()
    assert json.loads(str(first["own"])) == {"rectangle": {"FSC-A": {"above": 120_000.0}}}
    assert first["counted_own"] == first["recorded"] == above(raws[1], 120_000.0)
    assert first["difference"] == above(raws[1], 100_000.0) - above(raws[1], 120_000.0)
    assert done.fault is None


def test_a_gate_under_another_ones_gate_is_judged_by_its_own_count_too(workspace):
    raw = raw_events()
    child = population("C", rectangle(SSC_A=(50_000.0, None)), 0)
    own = int(((raw[:, 0] >= 150_000) & (raw[:, 1] >= 50_000)).sum())
    below = child.replace('count="0"', f'count="{own}"')
    workspace.sample(Written(gate(150_000.0, above(raw, 150_000.0), below)), tube=raw)
    workspace.group("G", (1,), gate(100_000.0, -1, child))
    done = workspace.adopt()
    assert [row[3] for row in rows(done)] == ["own gate in this sample"] * 2
    # The child is drawn alike: only its parent is a deviation.
    assert [(each.gate, each.kind) for each in done.deviations] == [("R", "drawn otherwise")]


def test_without_groups_the_gates_most_samples_have_are_taken_gate_by_gate(workspace):
    only = population("only here", rectangle(SSC_A=(1000.0, None)), 5)
    for number in (1, 2, 3):
        below = only if number == 1 else ""
        workspace.sample(
            Written(gate(100_000.0, 7, below), sample=f"s{number}.fcs"), tube=raw_events()
        )
    done = workspace.adopt()
    assert done.group == ""
    assert [each["gate"] for each in done.imported.document["gates"]] == ["R"]
    (lonely,) = done.deviations
    assert (lonely.sample, lonely.gate, lonely.kind) == (
        "s1.fcs",
        "R/only here",
        "only in this sample",
    )
    assert lonely.strategy_gate == ""
    assert lonely.counted_own is not None
    assert "No group of the workspace has gates" in to_do(done)
    assert ("s1.fcs", "R/only here", None, "not carried over") in rows(done)


def test_controls_without_gates_are_no_majority(workspace):
    raw = raw_events()
    for number in (1, 2, 3):
        workspace.sample(Written("", sample=f"control{number}.fcs"), tube=raw)
    workspace.sample(Written(gate(100_000.0, above(raw, 100_000.0)), sample="s.fcs"), tube=raw)
    done = workspace.adopt()
    assert done.members == ("s.fcs",)
    assert set(done.left_out.values()) == {"it has no gates"}
    assert rows(done)[0] == ("s.fcs", "R", above(raw, 100_000.0), "same")
    assert [row[3] for row in rows(done)[1:]] == ["sample left out"] * 3


def test_gates_that_no_two_samples_share_make_no_strategy(workspace):
    for number in (1, 2):
        shape = population(f"G{number}", rectangle(FSC_A=(1.0, None)), 1)
        workspace.sample(Written(shape, sample=f"s{number}.fcs"), tube=raw_events())
    with pytest.raises(StrategyFault, match=r"no gate is in more than half.*--sample"):
        workspace.adopt()


def test_a_gate_that_a_sample_lacks_is_a_row_and_a_deviation(workspace):
    raw = raw_events()
    full = gate(100_000.0, above(raw, 100_000.0), population("B", rectangle(SSC_A=(5.0, None)), 1))
    workspace.sample(Written(gate(100_000.0, above(raw, 100_000.0)), sample="a.fcs"), tube=raw)
    workspace.group("G", (1,), full)
    done = workspace.adopt()
    kept = int(((raw[:, 0] >= 1e5) & (raw[:, 1] >= 5)).sum())
    assert ("a.fcs", "R/B", kept, "not in this sample") in rows(done)
    assert [(each.gate, each.kind) for each in done.deviations] == [
        ("R/B", "missing in this sample")
    ]


def test_missing_and_exchanged_files_are_rows_with_a_verdict_in_words(workspace):
    raw = raw_events()
    count = above(raw, 100_000.0)
    workspace.sample(Written(gate(100_000.0, count), sample="a.fcs"), tube=raw)
    workspace.sample(Written(gate(100_000.0, count), sample="b.fcs"))
    workspace.sample(Written(gate(100_000.0, count), sample="c.fcs"), tube=raw_events(500))
    workspace.sample(Written(gate(100_000.0, count), sample="d.fcs"))
    (workspace.tubes / "d.fcs").write_bytes(b"FCS3.0 cut short")
    done = workspace.adopt()
    assert rows(done) == [
        ("a.fcs", "R", count, "same"),
        ("b.fcs", "R", None, "no FCS file"),
        ("c.fcs", "", 500, "differs"),
        ("c.fcs", "R", None, "another FCS file"),
        ("d.fcs", "R", None, "unreadable FCS file"),
    ]
    assert "b.fcs: its FCS file (b.fcs) is not there" in to_do(done)
    assert "500 events, the workspace says 6,000" in to_do(done)
    assert "c.fcs has 6,000 events, the tube 500" in str(done.fault)


def test_many_missing_files_are_one_sentence(workspace):
    for number in range(7):
        workspace.sample(Written(gate(100_000.0, 5), sample=f"s{number}.fcs"))
    noted = [note.text for note in workspace.adopt().imported.notes if "not there" in note.text]
    (sentence,) = noted
    assert sentence.startswith("The FCS files of 7 samples are not there: s0.fcs, s1.fcs")


def test_more_gates_than_a_strategy_has_are_refused_at_once(workspace):
    workspace.sample(Written(gate(1.0) * 601))
    with pytest.raises(StrategyFault, match=r"'t\.fcs', line 1, has more than 600 gates"):
        workspace.adopt()


def test_the_import_of_one_sample_says_that_others_have_its_gate_otherwise(workspace):
    for number, bound in enumerate((100_000.0, 120_000.0, 120_000.0), 1):
        workspace.sample(Written(gate(bound, 5), sample=f"s{number}.fcs"))
    workspace.adopt()
    document = workspace.folder / "lab.wsp"
    noted = import_checked(document, lab_panel(), "x", sample="s1.fcs").imported.notes
    assert [note.gate for note in noted if "s2.fcs, s3.fcs" in note.text] == ["R"]
    others = import_checked(document, lab_panel(), "x", sample="s2.fcs").imported.notes
    assert any("drawn otherwise (s1.fcs)" in note.text for note in others)


def test_a_file_acquired_at_another_time_is_said_although_its_counts_are_compared(workspace):
    raw = raw_events()
    written = Written(gate(100_000.0, 3), sample="a.fcs", keywords={"$BTIM": "09:00:00"})
    workspace.sample(written)
    write_tube(workspace.tubes / "a.fcs", raw, keywords={"$BTIM": "10:30:00"})
    done = workspace.adopt()
    assert "its $BTIM is another" in to_do(done)
    assert "a.fcs, R: recorded 3, counted" in str(done.fault)


def test_two_samples_of_one_name_are_told_apart(workspace):
    raws = [raw_events(seed=1), raw_events(5000, seed=2)]
    for number, raw in enumerate(raws):
        written = Written(gate(100_000.0, above(raw, 100_000.0)), sample="a.fcs", events=len(raw))
        workspace.sample(written)
        (workspace.tubes / str(number)).mkdir()
        write_tube(workspace.tubes / str(number) / "a.fcs", raw)
    done = workspace.adopt()
    assert rows(done) == [
        (f"a.fcs (sample {n})", "R", above(raw, 100_000.0), "same") for n, raw in enumerate(raws, 1)
    ]
    assert "2 samples are called a.fcs" in to_do(done)


def test_samples_of_another_panel_are_left_out_and_said(workspace):
    raw = raw_events()
    count = above(raw, 100_000.0)
    workspace.sample(Written(gate(100_000.0, count), sample="a.fcs"), tube=raw)
    other = {"$P3S": "CCR7", "$P3N": "BV421-A", "$P5S": "PD1", "$P5N": "BV711-A"}
    workspace.sample(Written(gate(5.0, 1), sample="t.fcs", keywords=other))
    workspace.group("T", (2,), gate(5.0))
    workspace.group("B", (1,), gate(100_000.0))
    done = workspace.adopt()
    assert (done.group, done.members) == ("B", ("a.fcs",))
    assert done.left_out == {"t.fcs": "another panel: it does not read CD19, CD3"}
    assert rows(done)[-1] == ("t.fcs", "", None, "sample left out")
    assert "Samples left out (another panel: it does not read CD19, CD3): t.fcs." in to_do(done)


def test_a_group_can_be_named(workspace):
    raw = raw_events()
    for number, bound in enumerate((100_000.0, 120_000.0), 1):
        workspace.sample(Written(gate(bound, above(raw, bound)), sample=f"s{number}.fcs"), tube=raw)
    workspace.group("one", (1,), gate(100_000.0))
    workspace.group("two", (2,), gate(120_000.0))
    assert workspace.adopt().group == "one"
    assert "Other groups with gates were not adopted: two." in to_do(workspace.adopt())
    done = workspace.adopt(group="two")
    assert done.imported.document["gates"][0]["rectangle"] == {"FSC-A": {"above": 120_000.0}}
    assert done.left_out == {"s1.fcs": "not in the group two"}
    with pytest.raises(UsageFault, match=r"no group 'three'.*Groups with gates: one, two"):
        workspace.adopt(group="three")


@pytest.mark.parametrize(
    ("panel", "gates", "said"),
    [
        (
            {"markers": [{"marker": "PD1", "detector": "BV711-A"}]},
            gate(1.0, 1),
            r"reads no channel of any sample.*CD3, CD4, CD19",
        ),
        ({}, "", r"no sample that the panel lab reads has a gate"),
        (
            {"compensated": True},
            population("C", rectangle(FITC_A=(1.0, None)), 1),
            r"no gate could be carried over\. C: It reads CD3 uncompensated.*compensated: false",
        ),
    ],
)
def test_a_workspace_that_gives_no_strategy_says_why(workspace, panel, gates, said):
    workspace.sample(Written(gates), tube=raw_events())
    reads = Panel.model_validate(lab_panel().model_dump() | panel)
    with pytest.raises(StrategyFault, match=said):
        workspace.adopt(reads)


def test_another_scale_of_a_polygon_and_another_matrix_are_deviations(workspace):
    shape = population("P", polygon("Comp-FITC-A", "Comp-PE-A", [(1, 1), (9e4, 10), (5e4, 9e4)]), 1)
    plain = Written(shape, matrix=("Comp-", ""), sample="a.fcs")
    workspace.sample(plain, tube=raw_events())
    workspace.sample(
        replace(plain, sample="b.fcs", scales={"Comp-FITC-A": BIEX}), tube=raw_events(seed=2)
    )
    text = workspace.samples[1].replace('transforms:value="0.2"', 'transforms:value="0.3"')
    workspace.samples[1] = text
    workspace.samples[0] = workspace.samples[0].replace(
        'data-type:name="FITC-A"/></transforms:linear>',
        'data-type:name="FITC-A"/></transforms:linear>'
        f"<transforms:{BIEX.replace('-100', '-10')}><data-type:parameter "
        f'data-type:name="Comp-FITC-A"/></transforms:biex>',
        1,
    )
    done = workspace.adopt(lab_panel(compensated=True))
    kinds = {each.kind for each in done.deviations}
    assert kinds == {"another scale", "another compensation"}
    assert {each.sample for each in done.deviations} == {"b.fcs"}


def test_combined_gates_of_a_group_are_adopted(workspace):
    raw = raw_events()
    both = int(((raw[:, 0] >= 1e5) & (raw[:, 1] >= 1e5)).sum())
    gates = (
        gate(100_000.0, above(raw, 100_000.0))
        + population("S", rectangle(SSC_A=(100_000.0, None)), int((raw[:, 1] >= 1e5).sum()))
        + combination("AndNode", "both", ("R", "S"), both)
    )
    workspace.sample(Written(gates), group="G", tube=raw)
    workspace.group("G", (1,), gates)
    done = workspace.adopt()
    assert ("t.fcs", "both", both, "same") in rows(done)
    assert done.deviations == ()


def test_an_upright_polygon_on_a_biexponential_scale_becomes_bounds(tmp_path):
    raw = raw_events()
    box = [(500.0, 800.0), (500.0, 40_000.0), (60_000.0, 40_000.0), (60_000.0, 800.0)]
    inside = (raw[:, 2] >= 500) & (raw[:, 2] < 6e4) & (raw[:, 3] >= 800) & (raw[:, 3] < 4e4)
    written = Written(
        population("P", polygon("FITC-A", "PE-A", box), int(inside.sum())),
        scales={"FITC-A": BIEX, "PE-A": BIEX},
    )
    tube = write_tube(tmp_path / "t.fcs", raw)
    done = import_checked(written.write(tmp_path / "lab.wsp"), lab_panel(), "lab", tube=tube)
    (made,) = done.imported.document["gates"]
    assert set(made["rectangle"]) == {"CD3", "CD4"}
    low: Mapping[str, float] = made["rectangle"]["CD3"]
    assert (low["above"], low["below"]) == pytest.approx((500.0, 60_000.0), rel=1e-3)
    assert done.imported.document["scales"]["CD3"] == pytest.approx(
        {"w": 1.0, "m": 4.418539922, "a": 0.0}
    )


def test_a_sample_without_any_name_asks_for_its_file(tmp_path):
    text = Written(gate(1.0, 1), sample="").text().replace("file:/x/", "")
    (tmp_path / "lab.wsp").write_text(text, encoding="utf-8")
    (tmp_path / "tubes").mkdir()
    with pytest.raises(UsageFault, match=r"neither a name.*Name its FCS file itself with --fcs"):
        import_checked(tmp_path / "lab.wsp", lab_panel(), "lab", tube=tmp_path / "tubes")
    done = adopt_workspace(tmp_path / "lab.wsp", lab_panel(), "lab", tubes=tmp_path / "tubes")
    assert rows(done) == [("unnamed (sample 1)", "R", None, "no FCS file")]

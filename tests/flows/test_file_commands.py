"""``inspect``, ``gate`` and ``nca``: one JSON document in the promised shape, published counts, and
no traceback for any file."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.flows.command import Said, reconflow, reconflow_here
from tests.shared_data import SHARED, needs_shared
from tests.tasks.study_folder import write_tube

LYOPLATE = Path(__file__).resolve().parents[1] / "data" / "lyoplate"
REAL_B_TUBE = SHARED / "b-cells-lyoplate" / "12828_1_Bcell_C01.fcs"
NAMES = (
    "Cmax Tmax AUC0-28 AUC0-84 AUC0-168 AUClast AUCall Clast Tlast Tbql lambda_z half_life "
    "doubling_time persistence_wk24"
).split()


@pytest.fixture
def said(capfd: pytest.CaptureFixture[str]):
    """Run a command in this process."""

    def runs(*words: str | Path) -> Said:
        return reconflow_here(capfd, *words)

    return runs


def counts(said: Said) -> dict[str, int]:
    """Read what ``gate --json`` counted, by the gate's own name."""
    assert set(said.document) == {"events", "seconds", "gates"}
    assert all(
        set(gate) == {"path", "count"} and gate["path"][0] == "root"
        for gate in said.document["gates"]
    )
    return {gate["path"][-1]: gate["count"] for gate in said.document["gates"]}


# inspect


def test_inspect_tells_the_channels_markers_panel_and_spill_of_a_tube(tmp_path: Path, said) -> None:
    found = said("inspect", write_tube(tmp_path / "tube.fcs"), "--json")
    assert found.code == 0
    document = found.document
    assert set(document) == {"version", "events", "channels", "panel", "spill", "problems"}
    assert (document["version"], document["events"], document["panel"], document["problems"]) == (
        "3.1",
        60,
        "bcell",
        [],
    )
    assert all(set(channel) == {"detector", "label", "marker"} for channel in document["channels"])
    marker = {channel["detector"]: channel["marker"] for channel in document["channels"]}
    assert (marker["FSC-A"], marker["PE-Cy7-A"], marker["BV421-A"]) == (None, "CD19", "CD27")
    assert len(document["spill"]["detectors"]) == len(document["spill"]["matrix"]) == 12


def test_inspect_holds_a_tube_against_the_panel_that_is_named(tmp_path: Path, said) -> None:
    tube = write_tube(tmp_path / "tube.fcs", "tbnk")
    refused = said("inspect", tube, "--panel", "cart", "--json")
    assert refused.code == 1
    assert any("CAR19" in problem for problem in refused.document["problems"])
    assert said("inspect", tube, "--panel", "tbnk").code == 0


@pytest.mark.parametrize("content", [b"", b"the patient feels well\n" * 40, b"FCS3.1    "])
def test_inspect_refuses_what_is_no_fcs_file_with_a_sentence(
    tmp_path: Path, said, content: bytes
) -> None:
    (tmp_path / "bad.fcs").write_bytes(content)
    found = said("inspect", tmp_path / "bad.fcs", "--json")
    assert found.code == 1
    assert found.document["channels"] == []
    assert "bad.fcs" in found.document["problems"][0]


def test_a_file_that_is_not_there_is_a_wrong_call(tmp_path: Path, said) -> None:
    for words in (["inspect"], ["gate", "--strategy", "bcell@1.0.0"], ["nca"]):
        found = said(*words, tmp_path / "nowhere.fcs")
        assert found.code == 2
        assert "nowhere.fcs" in found.err
        assert found.out == ""


@needs_shared
def test_every_real_file_is_inspected_and_a_refused_one_says_why(said) -> None:
    manifest = (SHARED / "odd" / "MANIFEST.csv").read_text(encoding="utf-8").splitlines()
    expected = {row["file"]: row["expect"] for row in csv.DictReader(manifest)}
    real = sorted(path for path in SHARED.rglob("*") if path.suffix.lower() in {".fcs", ".lmd"})
    for path in real:
        found = said("inspect", path, "--json")
        assert found.code in {0, 1}, path
        assert found.code == 0 or found.document["problems"], path
        assert "Traceback" not in found.err
        if path.name in expected:
            told = expected[path.name]
            assert found.code == (0 if told == "read" or told.startswith("flag") else 1), (
                path.name,
                found.document["problems"],
            )
    assert len(real) > 50


@needs_shared
def test_inspect_never_tells_whose_tube_it_is(tmp_path: Path, said) -> None:
    """Only keywords of a fixed list are shown; all others may hold a name."""
    for path in (REAL_B_TUBE, *sorted((SHARED / "t-cells-activation").glob("*.fcs"))[:1]):
        text = said("inspect", path).out
        shown = {line.split(" = ")[0].strip() for line in text.splitlines() if " = " in line}
        assert shown <= {
            "$CYT",
            "$CYTSN",
            "CREATOR",
            "$TOT",
            "$PAR",
            "$VOL",
            "$TIMESTEP",
            "APPLY COMPENSATION",
            "CST SETUP STATUS",
        }


# gate


def test_gate_counts_a_tube_under_a_released_strategy_without_a_study(tmp_path: Path, said) -> None:
    found = said("gate", write_tube(tmp_path / "tube.fcs"), "--strategy", "bcell@1.0.0", "--json")
    assert found.code == 0
    assert found.document["events"] == 60
    assert 0 < found.document["seconds"] < 10
    children = {tuple(gate["path"]): gate["count"] for gate in found.document["gates"]}
    assert all(count <= children.get(path[:-1], 60) for path, count in children.items())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--strategy", "bcell@9.9.9"], "bcell"),
        (["--strategy", "nonsense"], "nonsense"),
        ([], "Name one"),
        (["--strategy", "bcell@1.0.0", "--gatingml", "x.xml"], "Name one"),
        (["--gatingml", "x.xml"], "x.xml"),
    ],
)
def test_gate_called_wrongly_ends_with_2_and_says_what_to_do(
    tmp_path: Path, said, words: list[str], told: str
) -> None:
    found = said("gate", write_tube(tmp_path / "tube.fcs"), *words, "--json")
    assert found.code == 2
    assert told in found.document["error"]


def test_gate_of_a_tube_of_another_panel_fails_with_a_sentence(tmp_path: Path, said) -> None:
    found = said(
        "gate", write_tube(tmp_path / "tube.fcs", "tbnk"), "--strategy", "cart@1.0.0", "--json"
    )
    assert found.code == 1
    assert "does not fit the panel cart" in found.document["error"]


def test_a_document_that_is_no_gatingml_is_said_to_be_none(tmp_path: Path, said) -> None:
    (tmp_path / "gates.xml").write_text("<html>not gates</html>", encoding="utf-8")
    found = said(
        "gate", write_tube(tmp_path / "tube.fcs"), "--gatingml", tmp_path / "gates.xml", "--json"
    )
    assert found.code == 2
    assert "gates.xml" in found.document["error"]


@needs_shared
def test_gate_agrees_with_the_published_gatingml_truth(said) -> None:
    folder = SHARED / "gating-ml"
    found = counts(
        said(
            "gate",
            folder / "data1.fcs",
            "--gatingml",
            folder / "gml" / "gml_all_gates.xml",
            "--json",
        )
    )
    truth = {
        path.stem.removeprefix("Results_"): int(np.loadtxt(path).sum())
        for path in (folder / "truth").glob("Results_*.txt")
    }
    compared = {name: found[name] for name in found if name in truth}
    assert compared == {name: truth[name] for name in compared}
    assert len(compared) >= 45


@needs_shared
def test_gate_agrees_with_opencyto_under_the_document_and_under_the_strategy(
    tmp_path: Path, said
) -> None:
    with REAL_B_TUBE.with_suffix(".counts.csv").open(encoding="utf-8") as file:
        published = sorted(
            int(row["recorded_count"]) for row in csv.DictReader(file) if row["path"] != "root"
        )
    by_document = said(
        "gate", REAL_B_TUBE, "--gatingml", REAL_B_TUBE.with_suffix(".gatingml.xml"), "--json"
    )
    assert by_document.document["events"] == 81638
    assert sorted(counts(by_document).values()) == published

    for folder in ("panels", "strategies"):
        shutil.copytree(LYOPLATE / folder, tmp_path / folder)
    by_strategy = counts(
        said("gate", REAL_B_TUBE, "--strategy", "lyoplate_b@1.0.0", "--study", tmp_path, "--json")
    )
    assert (by_strategy["b_cells"], by_strategy["naive_b"], by_strategy["plasmablasts"]) == (
        11028,
        9219,
        67,
    )


@needs_shared
def test_gate_agrees_with_the_published_counts_of_activated_t_cells(said) -> None:
    folder = SHARED / "t-cells-activation"
    with (folder / "counts.csv").open(encoding="utf-8") as file:
        rows = [
            row
            for row in csv.DictReader(file)
            if row["sample"] == "Activation_1.fcs" and row["path"] != "root"
        ]
    found = counts(
        said(
            "gate",
            folder / "Activation_1.fcs",
            "--gatingml",
            folder / "activation_01.gatingml.xml",
            "--json",
        )
    )
    assert sorted(found.values()) == sorted(int(row["count"]) for row in rows)


# nca


def test_nca_gives_every_parameter_of_every_group_by_its_name(tmp_path: Path, said) -> None:
    table = tmp_path / "curve.csv"
    table.write_text(
        "time,conc,blq,group\n0,,1,P01\n1,10,0,P01\n2,20,0,P01\n4,10,0,P01\n8,5,0,P01\n16,1.25,0,P01\n0,,1,P02\n7,,1,P02\n"
    )
    found = said("nca", table, "--json")
    assert found.code == 0
    assert set(found.document) == {"groups", "reasons"}
    assert {group: list(values) for group, values in found.document["groups"].items()} == {
        "P01": NAMES,
        "P02": NAMES,
    }
    values = found.document["groups"]["P01"]
    assert (values["Cmax"], values["Tmax"], values["Clast"], values["Tlast"]) == (20, 2, 1.25, 16)
    assert values["half_life"] == pytest.approx(4)
    log2 = np.log(2)
    area = (
        5 + 15 + 10 * 2 / log2 + 5 * 4 / log2 + 3.75 * 8 / (2 * log2)
    )  # linear up, logarithmic down
    assert values["AUClast"] == pytest.approx(area)
    assert found.document["groups"]["P02"]["half_life"] is None
    for group, each in found.document["groups"].items():
        assert set(found.document["reasons"][group]) == {
            name for name, value in each.items() if value is None
        }
    assert (
        found.document["reasons"]["P02"]["half_life"]
        == "no sample from the infusion on is quantified"
    )


def test_nca_says_why_there_is_no_value_and_which_samples_it_left_out(tmp_path: Path, said) -> None:
    (tmp_path / "curve.csv").write_text("time,conc,blq\n-7,3,0\n7,10,0\n14,,0\n28,4,0\n")
    found = said("nca", tmp_path / "curve.csv")
    assert (
        "half_life         NE (fewer quantified samples after the peak than a half-life needs)"
        in found.out
    )
    assert "left out: 1 sample before time 0" in found.out
    assert "left out: 1 sample without a concentration" in found.out


def test_a_table_without_groups_has_one_that_is_called_nothing(tmp_path: Path, said) -> None:
    (tmp_path / "curve.csv").write_text("time,conc,blq\n0,0,1\n1,10,0\n")
    assert list(said("nca", tmp_path / "curve.csv", "--json").document["groups"]) == [""]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("time,conc,blq\n1,10,0\n1,11,0\n", "line 3"),
        ('time,conc,blq\n1,"1,5",0\n', "point as decimal mark"),
        ("time;conc;blq\n1;1,5;0\n", "line 1"),
        ("time,conc,blq\n1,-2,0\n", "negative"),
        ("", "header"),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_read_is_named_with_line_and_mend(
    tmp_path: Path, said, text: str, told: str
) -> None:
    (tmp_path / "curve.csv").write_text(text)
    found = said("nca", tmp_path / "curve.csv", "--json")
    assert found.code == 2
    assert "curve.csv" in found.document["error"]
    assert told in found.document["error"]


# As a user runs it


def test_commands_on_one_file_print_one_document_and_nothing_else_in_a_process_of_their_own(
    tmp_path: Path,
) -> None:
    tube = write_tube(tmp_path / "tube.fcs")
    assert reconflow("inspect", tube, "--json").document["panel"] == "bcell"
    assert reconflow("gate", tube, "--strategy", "bcell@1.0.0", "--json").document["events"] == 60
    words = reconflow("gate", tube, "--strategy", "bcell@1.0.0")
    assert words.out.startswith("60 events")
    assert words.err == ""

"""The commands about strategies: what they write, what they say, and what they refuse."""

import hashlib
import shutil
from pathlib import Path

import pytest

from gating.evaluation.engine import gate_paths
from gating.exchange.read_gatingml import read_gatingml
from tests.flows.command import Said, reconflow_here
from tests.shared_data import SHARED, needs_shared

LYOPLATE_TUBES = SHARED / "b-cells-lyoplate"
LINE_PANEL = (
    "panel: line\nversion: 1.0.0\ntitle: t\ninstrument: i\ncounting: [dual]\ncompensated: false\n"
    "scatter: {}\n"
    "markers: [{marker: A, detector: channel_A}, {marker: B, detector: channel_B}]\n"
)
LYOPLATE = Path(__file__).resolve().parents[1] / "data" / "lyoplate"
REAL_B_TUBE = SHARED / "b-cells-lyoplate" / "12828_1_Bcell_C01.fcs"


@pytest.fixture
def said(capfd: pytest.CaptureFixture[str]):
    """Run a command in this process."""

    def runs(*words: str | Path) -> Said:
        return reconflow_here(capfd, *words)

    return runs


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Make a study with strategies and panels of its own."""
    shutil.copytree(LYOPLATE, tmp_path / "study", dirs_exist_ok=True)
    (tmp_path / "study" / "study.yaml").write_text("study: test\n", encoding="utf-8")
    return tmp_path / "study"


# export


def test_export_writes_a_document_that_can_be_read(tmp_path: Path, said) -> None:
    file = tmp_path / "bcell.xml"
    done = said("strategy", "export", "bcell@1.0.0", "--output", file)
    assert (done.code, done.err) == (0, "")
    names = {path[-1] for path in gate_paths(read_gatingml(file))}
    assert {"b_cells", "naive_b", "plasmablasts"} <= names


def test_export_prints_the_document_when_no_file_is_named(study: Path, said) -> None:
    done = said("strategy", "export", "lyoplate_b@1.0.0", "--study", study)
    assert done.code == 0
    assert done.out.startswith("<?xml")
    assert 'compensation-ref="FCS"' not in done.out
    document = said("strategy", "export", "lyoplate_b", "--study", study, "--json").document
    assert document["strategy"] == "lyoplate_b@1.0.0"
    assert document["gatingml"].strip() == done.out.strip()


def test_export_of_what_is_not_there_is_a_wrong_call(tmp_path: Path, said) -> None:
    assert said("strategy", "export", "bcell@99").code == 2
    assert said("strategy", "export", "bcell", "--panel", "tbnk").code == 2
    assert said("strategy", "export", "bcell", "--output", tmp_path / "no" / "folder.xml").code == 1


# release and diff


def edited(study: Path, version: str, was: str, now: str) -> Path:
    """Write a new version of the study's strategy with one place changed."""
    old = study / "strategies" / "lyoplate_b" / "1.0.0" / "strategy.yaml"
    new = study / "strategies" / "lyoplate_b" / version / "strategy.yaml"
    new.parent.mkdir()
    text = old.read_text(encoding="utf-8").replace("version: 1.0.0", f"version: {version}")
    assert was in text
    new.write_text(text.replace(was, now), encoding="utf-8")
    (new.parent / "CHANGES.md").write_text(
        "# Changes\n\nRead on controls of May, approved by AB on 2 June.\n", encoding="utf-8"
    )
    return new


def test_a_version_is_compared_released_and_then_fixed(study: Path, said) -> None:
    draft = edited(study, "2.0.0", "value: 1444.7447509765625", "value: 1500")
    words = said("strategy", "diff", "lyoplate_b@1.0.0", draft, "--study", study)
    assert words.code == 0
    assert (
        "gate t_cells: lower bound on CD3 moves from 1444.744751 to 1500 (threshold cd3)"
        in words.out
    )
    done = said("strategy", "release", "lyoplate_b", "2.0.0", "--study", study, "--json")
    assert done.code == 0
    assert done.document["strategy"] == "lyoplate_b@2.0.0"
    assert done.document["difference"]["step"] == "major"
    document = said(
        "strategy", "diff", "lyoplate_b@1.0.0", "lyoplate_b@2.0.0", "--study", study, "--json"
    ).document
    assert document["step"] == "major"
    assert {
        "kind": "bound_moved",
        "where": "cd20",
        "was": 1444.7447509765625,
        "now": 1500.0,
    }.items() <= document["changes"][0].items()
    draft.write_text(
        draft.read_text(encoding="utf-8").replace("value: 1500", "value: 1501"), encoding="utf-8"
    )
    verified = said("strategy", "verify", "--study", study)
    assert verified.code == 1
    assert "lyoplate_b@2.0.0 was changed after its release" in verified.err


def test_a_release_is_refused_with_what_to_call_it(study: Path, said) -> None:
    edited(study, "1.0.1", "value: 1444.7447509765625", "value: 1500")
    done = said("strategy", "release", "lyoplate_b", "1.0.1", "--study", study)
    assert done.code == 2
    assert "Call it 2.0.0 or later" in done.err


def test_a_release_whose_file_is_gone_is_told(study: Path, said) -> None:
    shutil.rmtree(study / "strategies" / "lyoplate_b")
    verified = said("strategy", "verify", "--study", study, "--json")
    assert verified.code == 1
    assert any("lyoplate_b@1.0.0" in fault for fault in verified.document["faults"])


# import


@needs_shared
def test_import_writes_a_draft_with_its_report(study: Path, said) -> None:
    document = SHARED / "b-cells-lyoplate" / "12828_1_Bcell_C01.gatingml.xml"
    words = (
        "strategy",
        "import",
        document,
        "--panel",
        "lyoplate",
        "--name",
        "again",
        "--study",
        study,
        "--output",
        study / "strategies",
    )
    done = said(*words, "--json")
    assert done.code == 0
    assert len(done.document["gates"]) == 22
    place = study / "strategies" / "again" / "1.0.0"
    assert {path.name for path in place.iterdir()} == {"strategy.yaml", "IMPORT.md"}
    assert "Carried over: 22 gates. Not carried over: 0." in (place / "IMPORT.md").read_text(
        encoding="utf-8"
    )
    assert said("strategy", "release", "again", "1.0.0", "--study", study).code == 2
    (place / "CHANGES.md").write_text(
        "# again\n\nTaken over from openCyto, approved by AB.\n", encoding="utf-8"
    )
    assert said("strategy", "release", "again", "1.0.0", "--study", study).code == 0
    counted = said(
        "gate", REAL_B_TUBE, "--strategy", "again@1", "--study", study, "--json"
    ).document
    assert {gate["path"][-1]: gate["count"] for gate in counted["gates"]}["IgDposCD27neg"] == 9219
    assert said(*words).code == 2


@needs_shared
def test_import_of_a_workspace_asks_for_the_sample(tmp_path: Path, said) -> None:
    workspace = SHARED / "flowjo" / "cell_counts" / "CellCounts.wsp"
    asked = said(
        "strategy", "import", workspace, "--panel", "tbnk", "--name", "x", "--output", tmp_path
    )
    assert asked.code == 2
    assert "choose one with --sample. Samples: CellCounts4L-NY072-1.fcs" in asked.err
    done = said(
        "strategy",
        "import",
        workspace,
        "--panel",
        "tbnk",
        "--name",
        "x",
        "--output",
        tmp_path,
        "--sample",
        "CellCounts4L-NY072-1.fcs",
    )
    assert done.code == 2
    assert (
        "which the panel tbnk does not read" in done.err
        or "no gate could be carried over" in done.err
    )


def test_import_of_what_is_no_document_is_a_wrong_call(tmp_path: Path, said) -> None:
    (tmp_path / "gates.xml").write_text("no xml", encoding="utf-8")
    for file in (tmp_path / "gates.xml", tmp_path / "nowhere.xml"):
        done = said(
            "strategy",
            "import",
            file,
            "--panel",
            "tbnk",
            "--name",
            "x",
            "--output",
            tmp_path / "out",
        )
        assert done.code in {1, 2}
        assert file.name in done.err
        assert not (tmp_path / "out").exists()


FIELD = SHARED / "field"


@needs_shared
def test_import_writes_the_recorded_counts_beside_ours(tmp_path: Path, said) -> None:
    words = (
        "strategy",
        "import",
        FIELD / "gain2.wsp",
        "--panel",
        "tbnk",
        "--name",
        "x",
        "--output",
        tmp_path / "out",
    )
    done = said(*words, "--fcs", FIELD / "gain2.fcs", "--json")
    assert done.code == 0
    place = tmp_path / "out" / "x" / "1.0.0"
    assert (place / "IMPORT_COUNTS.csv").read_text(encoding="utf-8").splitlines() == [
        "sample,gate,recorded,counted,difference,percent,verdict",
        "t.fcs,R,2451,2451,0,0.0,same",
        "t.fcs,P,602,602,0,0.0,same",
    ]
    assert [each["counted"] for each in done.document["counts"]] == [2451, 602]


@needs_shared
def test_import_is_refused_when_counts_are_not_those_recorded_unless_accepted(
    tmp_path: Path, said
) -> None:
    words = (
        "strategy",
        "import",
        FIELD / "gain2.wsp",
        "--panel",
        "tbnk",
        "--name",
        "x",
        "--output",
        tmp_path / "out",
    )
    other = FIELD / "ellipse_negative_min.fcs"
    refused = said(*words, "--fcs", other)
    assert refused.code == 2
    assert (
        "t.fcs, R: recorded 2,451, counted 2,454; t.fcs, P: recorded 602, counted 556"
        in refused.err
    )
    assert not (tmp_path / "out").exists()
    assert said(*words, "--fcs", other, "--accept").code == 0
    place = tmp_path / "out" / "x" / "1.0.0"
    assert "t.fcs,R,2451,2454,3,0.1224,differs" in (place / "IMPORT_COUNTS.csv").read_text(
        encoding="utf-8"
    )
    assert "it was imported all the same (--accept)" in (place / "IMPORT.md").read_text(
        encoding="utf-8"
    )
    assert said(*words, "--fcs", tmp_path / "nowhere.fcs").code == 2
    assert said(*words, "--sample", "t.fcs", "--all-samples").code == 2


@needs_shared
def test_import_of_a_whole_workspace_compares_every_sample(tmp_path: Path, said) -> None:
    folder = SHARED / "flowjo" / "simple_line_example"
    (tmp_path / "panels").mkdir()
    panel = (
        "panel: line\nversion: 1.0.0\ntitle: t\ninstrument: i\ncounting: [dual]\ncompensated: "
        "false\nscatter: {}\n"
        "markers: [{marker: A, detector: channel_A}, {marker: B, detector: channel_B}]\n"
    )
    (tmp_path / "panels" / "line.yaml").write_text(panel, encoding="utf-8")
    words = (
        "strategy",
        "import",
        folder / "single_ellipse_51_events.wsp",
        "--panel",
        "line",
        "--name",
        "x",
        "--study",
        tmp_path,
    )
    done = said(
        *words, "--all-samples", "--fcs", folder, "--output", tmp_path / "strategies", "--json"
    )
    assert done.code == 0, done.err
    assert [(each["recorded"], each["counted"]) for each in done.document["counts"]] == [(51, 51)]


@needs_shared
@pytest.mark.parametrize(
    "document",
    sorted((FIELD / "parsers").glob("g*.xml")) if SHARED.is_dir() else [],
    ids=lambda p: p.stem,
)
def test_documents_that_broke_a_reader_are_a_wrong_call(
    document: Path, tmp_path: Path, said
) -> None:
    done = said(
        "strategy",
        "import",
        document,
        "--panel",
        "tbnk",
        "--name",
        "x",
        "--output",
        tmp_path / "out",
    )
    assert done.code == 2
    assert "encoding" in done.err
    assert said("gate", FIELD / "gain2.fcs", "--gatingml", document).code == 2


# adopting a whole workspace, and the way back


@needs_shared
def test_a_strategy_goes_to_flowjo_and_its_workspace_is_adopted(study: Path, said) -> None:
    tubes = LYOPLATE_TUBES
    workspace = study / "out.wsp"
    exported = ("strategy", "export", "lyoplate_b@1.0.0", "--study", study, "--format", "wsp")
    done = said(*exported, "--fcs", tubes, "--output", workspace, "--json")
    assert (done.code, done.document["samples"]) == (0, ["12828_1_Bcell_C01.fcs"])
    words = ("strategy", "import", workspace, "--all-samples", "--fcs", tubes)
    done = said(*words, "--panel", "lyoplate", "--name", "back", "--study", study, "--json")
    assert done.code == 0, done.err
    assert len(done.document["counts"]) == 15
    assert {each["verdict"] for each in done.document["counts"]} == {"same"}
    assert done.document["deviations"] == []
    assert {"b_cells", "naive_b", "plasmablasts"} <= {
        each["id"] for each in done.document["populations"]
    }
    place = study / "strategies" / "back" / "1.0.0"
    assert {path.name for path in place.iterdir()} == {
        "strategy.yaml",
        "IMPORT.md",
        "IMPORT_COUNTS.csv",
        "IMPORT_COUNTS.html",
        "DEVIATIONS.csv",
        "CHANGES.md",
    }
    changes = (place / "CHANGES.md").read_text(encoding="utf-8")
    assert hashlib.sha256(workspace.read_bytes()).hexdigest() in changes
    assert "Reported: naive_b, the gate naive_b" in changes
    page = (place / "IMPORT_COUNTS.html").read_text(encoding="utf-8")
    assert "All 15 counts that could be compared agree" in page
    assert page.count('data-verdict="same"') == 15
    assert "<link" not in page
    assert "src=" not in page


def test_an_export_to_flowjo_without_files_says_so(tmp_path: Path, said) -> None:
    done = said(
        "strategy", "export", "bcell@2.0.0", "--format", "wsp", "--output", tmp_path / "b.wsp"
    )
    assert done.code == 0
    assert "with 0 samples" in done.out
    assert "No file was named with --fcs" in done.out
    refused = said("strategy", "export", "bcell@2.0.0", "--fcs", tmp_path)
    assert refused.code == 2
    assert "add --format wsp" in refused.err


@needs_shared
def test_an_adoption_that_counts_otherwise_is_refused_with_its_evidence(
    tmp_path: Path, said
) -> None:
    """FlowJo's count of one gate is made another; the page is written although nothing is."""
    folder = SHARED / "flowjo" / "simple_line_example"
    (tmp_path / "panels").mkdir()
    (tmp_path / "panels" / "line.yaml").write_text(LINE_PANEL, encoding="utf-8")
    written = (folder / "single_ellipse_51_events.wsp").read_text(encoding="utf-8")
    assert written.count('count="51"') == 1
    (tmp_path / "lab.wsp").write_text(written.replace('count="51"', 'count="70"'), encoding="utf-8")
    words = ("strategy", "import", tmp_path / "lab.wsp", "--all-samples", "--fcs", folder)
    words = (*words, "--panel", "line", "--name", "x", "--study", tmp_path)
    done = said(*words)
    assert done.code == 2
    assert "recorded 70, counted 51" in done.err
    refused = tmp_path / "strategies" / "x" / "refused"
    assert str(refused / "IMPORT_COUNTS.html") in done.err
    page = (refused / "IMPORT_COUNTS.html").read_text(encoding="utf-8")
    assert "1 differs beyond FlowJo&#39;s binning." in page
    assert not (tmp_path / "strategies" / "x" / "1.0.0").exists()
    accepted = said(*words, "--accept")
    assert accepted.code == 0, accepted.err
    assert "we count 51 where the workspace recorded 70" in accepted.out


@needs_shared
def test_an_import_says_which_gates_were_left_out_and_what_would_keep_them(
    study: Path, said
) -> None:
    panel = study / "panels" / "lyoplate.yaml"
    text = panel.read_text(encoding="utf-8")
    panel.write_text(text.replace("compensated: false\n", ""), encoding="utf-8")
    document = SHARED / "b-cells-lyoplate" / "12828_1_Bcell_C01.gatingml.xml"
    words = ("strategy", "import", document, "--panel", "lyoplate", "--study", study)
    done = said(*words, "--name", "few")
    assert "Carried over: 3 gates. Not carried over: 19." in done.out
    (cure,) = [line for line in done.out.splitlines() if "compensated: false" in line]
    assert cure.count("boundary/nonDebris/lymph/Live") == 19
    assert said(*words, "--name", "x", "--group", "G").code == 2

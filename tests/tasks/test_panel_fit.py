"""What ``reconflow inspect`` says of a tube is what a run does with it, in the same words."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from panels.catalogue import load_panel
from tasks.intake.take_in import take_in
from tasks.simulate.fcs import FcsChannel, FcsSpill, write_fcs
from tasks.store.ledger import all_files
from tasks.study.folder import Study
from tasks.tubes.single_file import inspect_file
from tests.shared_data import SHARED, needs_shared
from tests.tasks.study_folder import DRAWN, make_study, write_tube

AURORA = {"$CYT": "Aurora", "CREATOR": "SpectroFlo 3.3.0"}
RAW = [
    f"{laser}{n}-A" for laser, most in (("V", 16), ("B", 14), ("R", 8)) for n in range(1, most + 1)
]


def spectral_tube(path: Path, kind: str = "", spill: str = "identity", **keywords: str) -> Path:
    """Write a tube of the panel bcell as a spectral cytometer exports it unmixed."""
    stains = load_panel("bcell").markers
    scatter = [FcsChannel(name) for name in ("FSC-A", "FSC-H", "SSC-A")]
    channels = [*scatter, *(FcsChannel(s.detector, s.marker) for s in stains)]
    kinds = {f"$P{n}TYPE": kind for n in range(4, 4 + len(stains))} if kind else {}
    matrix = np.eye(len(stains))
    matrix[0, 1] = {"identity": 0.0, "nearly": 1e-6, "tuned": 0.02}.get(spill, 0.0)
    stored = FcsSpill(tuple(s.detector for s in stains), matrix) if spill != "none" else None
    events = np.random.default_rng(5).uniform(0, 1000, (60, len(channels))).astype(np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_fcs(path, events, channels, dialect="fcs3.1-le", spill=stored, keywords=keywords | kinds)
    return path


def raw_tube(path: Path, kind: str = "") -> Path:
    """Write a tube with the 38 raw detectors of a cytometer with three lasers."""
    channels = [FcsChannel(name) for name in ("FSC-A", "FSC-H", "SSC-A", *RAW)]
    kinds = {f"$P{n}TYPE": kind for n in range(4, 4 + len(RAW))} if kind else {}
    spill = FcsSpill(tuple(RAW), np.eye(len(RAW)))
    events = np.random.default_rng(5).uniform(0, 1000, (60, len(channels))).astype(np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_fcs(path, events, channels, dialect="fcs3.1-le", spill=spill, keywords=AURORA | kinds)
    return path


def study_of(folder: Path, panel: str = "bcell") -> Study:
    return make_study(folder, [f"t.fcs,P01,{DRAWN},{panel}"])


def judged(study: Study) -> tuple[str, str]:
    take_in(study)
    with study.store() as store:
        record = next(record for record in all_files(store) if record.inbox_path == "t.fcs")
    return record.state, record.reason


def same_sentence(study: Study, panel: str | None = None) -> str:
    """Check that both refuse the tube with one sentence, and give it."""
    found = inspect_file(study.inbox / "t.fcs", panel, study.folder)
    state, reason = judged(study)
    assert found.refused
    assert state == "quarantined"
    assert reason in found.problems
    return reason


@pytest.mark.parametrize(
    ("kind", "spill", "keywords"),
    [
        ("Unmixed_Fluorescence", "identity", AURORA),
        ("Unmixed_Fluorescence", "identity", {}),
        ("Unmixed_Fluorescence", "nearly", {}),
        ("Unmixed_Fluorescence", "none", {}),
        ("", "identity", AURORA),
        ("", "identity", {"$CYT": "ID7000"}),
        ("", "identity", {"$CYT": "Northern Lights"}),
        ("", "identity", {"$CYT": "NovoCyte Opteon"}),
        ("", "none", {"$CYT": "ID7000"}),
    ],
)
@pytest.mark.parametrize("panel", ["bcell", None])
def test_an_unmixed_spectral_tube_is_refused_with_the_cure_that_helps(
    tmp_path: Path, kind: str, spill: str, keywords: dict[str, str], panel: str | None
) -> None:
    study = study_of(tmp_path / "s")
    spectral_tube(study.inbox / "t.fcs", kind, spill, **keywords)
    sentence = same_sentence(study, panel)
    assert "unmixed already" in sentence
    assert "the panel bcell must say `compensated: false`" in sentence
    assert "Export" not in sentence


def test_the_cure_for_an_unmixed_spectral_tube_helps(tmp_path: Path) -> None:
    study = study_of(tmp_path / "s", "unmixed")
    path = spectral_tube(study.inbox / "t.fcs", "Unmixed_Fluorescence", **AURORA)
    own = load_panel("bcell").model_dump(mode="json") | {"panel": "unmixed", "compensated": False}
    study.own_panels.mkdir()
    (study.own_panels / "unmixed.yaml").write_text(yaml.safe_dump(own), encoding="utf-8")
    found = inspect_file(path, "unmixed", study.folder)
    assert not found.refused
    assert found.document()["panel"] == "unmixed"
    assert judged(study)[0] == "accepted"


def test_no_spill_of_a_cytometer_that_also_compensates_is_to_be_exported_again(
    tmp_path: Path,
) -> None:
    study = study_of(tmp_path / "s")
    spectral_tube(study.inbox / "t.fcs", spill="none", **{"$CYT": "NovoCyte Opteon"})
    assert "Export it again" in same_sentence(study)


def test_an_identity_spill_of_any_other_cytometer_names_both_cures(tmp_path: Path) -> None:
    study = study_of(tmp_path / "s")
    spectral_tube(study.inbox / "t.fcs", **{"$CYT": "BD FACSLyric"})
    sentence = same_sentence(study)
    assert "no compensation" in sentence
    assert "`compensated: false`" in sentence
    assert "export it again" in sentence


def test_a_tuned_spill_of_a_spectral_cytometer_is_used(tmp_path: Path) -> None:
    study = study_of(tmp_path / "s")
    path = spectral_tube(study.inbox / "t.fcs", "Unmixed_Fluorescence", "tuned", **AURORA)
    assert not inspect_file(path).refused
    assert judged(study)[0] == "accepted"


@pytest.mark.parametrize("kind", ["Raw_Fluorescence", ""])
@pytest.mark.parametrize("panel", ["bcell", None])
def test_raw_spectral_signals_are_to_be_unmixed(
    tmp_path: Path, kind: str, panel: str | None
) -> None:
    study = study_of(tmp_path / "s")
    raw_tube(study.inbox / "t.fcs", kind)
    sentence = same_sentence(study, panel)
    assert "38 detectors" in sentence
    assert "export the unmixed file" in sentence


@needs_shared
def test_a_real_raw_spectral_tube_is_to_be_unmixed(tmp_path: Path) -> None:
    source = SHARED / "cell-counts" / "CellCounts5L_AB_01-INF041-09_01.fcs"
    study = study_of(tmp_path / "s")
    (study.inbox / "t.fcs").write_bytes(source.read_bytes())
    assert "raw signals of 64 detectors" in same_sentence(study)


@pytest.mark.parametrize("case", ["no spill", "no CD3", "another panel"])
def test_every_refusal_is_said_in_the_same_words(tmp_path: Path, case: str) -> None:
    study = study_of(tmp_path / "s")
    tube = study.inbox / "t.fcs"
    if case == "no spill":
        write_tube(tube, spill=False)
    elif case == "no CD3":
        write_tube(tube, without="CD3")
    else:
        write_tube(tube, "tbnk")
    same_sentence(study, "bcell")


@needs_shared
@pytest.mark.parametrize(
    "name", ["byteord_1_int16", "fcs_byteord_321", "fcs_data_overlaps_text", "byteord_1_float"]
)
def test_a_file_that_cannot_be_read_is_refused_in_the_same_words(tmp_path: Path, name: str) -> None:
    study = study_of(tmp_path / "s")
    (study.inbox / "t.fcs").write_bytes((SHARED / "field" / f"{name}.fcs").read_bytes())
    assert same_sentence(study).startswith("t.fcs")


@needs_shared
@pytest.mark.parametrize(
    "name",
    ["fcs_two_SPILL", "fcs_spill_primary_vs_supplemental", "spillover_decimal_comma"],
)
def test_a_spill_in_doubt_refuses_a_file_of_any_panel(name: str) -> None:
    found = inspect_file(SHARED / "field" / f"{name}.fcs")
    assert found.refused
    assert found.header is not None
    assert found.header.spill_fault in found.problems

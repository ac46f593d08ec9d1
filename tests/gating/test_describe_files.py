"""What files say of their channels: FCS files of many cytometers, workspaces, Gating-ML."""

import re
from pathlib import Path

import pytest

from gating.exchange.describe_files import describe_files
from gating.fcs.header import read_header
from panels.drafting.draft import draft_panel
from panels.drafting.place_draft import known_panels, write_draft
from panels.panel import match_panel
from panels.text.errors import PanelFault, StrategyFault, UnreadableFile, UsageFault
from tests.gating.fcs_writer import FcsFile, counted
from tests.gating.workspaces import Written, raw_events, rectangle_on, write_tube
from tests.shared_data import SHARED, needs_shared

KNOWN = known_panels(None)
REAL = {
    "instruments/fcsparser/FACS_Diva__facs_diva_test.fcs": "CD20 CD10 CD45 CD34 CD19 CD38",
    "instruments/fcsparser/fake_bitmask_error__fcs1_cleaned.lmd": "CD103 CD23 CD19 CD22 CD45",
    "instruments/fcsparser/Fortessa__FCS_3.0_Fortessa_PBS_Specimen_001_A1_A01.fcs": (
        "FITC PerCP-Cy5-5 AmCyan"
    ),
    "instruments/fcsparser/cyflow_cube_8__cyflow_cube_8.fcs": "FL1 FL2 FL3 FL4 FL5 FL6",
    "instruments/fcsparser/FCS3.1__EY_2013-07-19_PBS_FCS_3.1_Well_A1.001.fcs": "V2 Y2 B1",
    "instruments/fcsparser/Cytek_xP5__Cytek_xP5.fcs": "FL1 FL2 FL3",
    "instruments/flowcal/Data002.fcs": "FITC PE PerCP-Cy5-5 PE-Cy7 APC APC-Cy7",
    "instruments/flowcal/Data004.fcs": "GFP mCherry",
    "instruments/flowio/100715.fcs": "KI67 CD3 CD28 CD45RO CD8 CD4 CD57 CCR5 CD19 CD27 CCR7 CD127",
    "instruments/flowio/B01 KC-A-W---91-US.fcs": "FITC PE PerCP APC",
    "instruments/flowio/G11.fcs": "GFP mCherry",
    "instruments/flowio/coulter.lmd": "FL1 FL2 FL3 FL4 FL5",
    "instruments/flowio/data1.fcs": "CD4 CD3 CD8",
    "instruments/flowkit/index_sorted/index_sorted_example.fcs": (
        "CD21 viability CD138 CD23 CD19 B220"
    ),
    "instruments/flowkit/test_comp_example.fcs": "pStat3 CD33 CD20 CD3 pp38 CD4",
    "b-cells-igm/Bcells1.fcs": "IgM CD27 HLA-DR CD19 CD24 CD23 CD21",
    "b-cells-lyoplate/12828_1_Bcell_C01.fcs": "Live CD3 CD19 CD20 IgD CD27 CD38 CD24",
    "t-cells-activation/Activation_1.fcs": "PE PE-Cy7 APC-Cy7 7-AAD",
}


@needs_shared
@pytest.mark.parametrize("name", REAL)
def test_a_draft_from_a_real_file_loads_and_fits_it(name: str, tmp_path: Path) -> None:
    path = SHARED / name
    draft = draft_panel("mine", describe_files([path]), KNOWN, KNOWN)
    _, panel = write_draft(draft, tmp_path, None)
    markers = {stain.marker for stain in panel.markers}
    assert markers >= set(re.split(r" (?!AAD)", REAL[name]))
    assert match_panel(panel, read_header(path).channels).problems == ()


@needs_shared
def test_many_tubes_of_one_staining_make_one_panel() -> None:
    described = describe_files([SHARED / "t-cells-activation"])
    assert len(described.tubes) == 4
    draft = draft_panel("mine", described, KNOWN, KNOWN)
    assert len(draft.stains) == 11
    assert draft.compensated.value
    assert set(draft.scatter) == {"FSC-A", "FSC-H", "FSC-W", "SSC-A", "SSC-H", "SSC-W", "Time"}


@needs_shared
def test_files_of_different_stainings_are_no_panel() -> None:
    folder = SHARED / "instruments" / "fcsparser"
    files = [SHARED / "b-cells-igm" / "Bcells1.fcs", folder / "FACS_Diva__facs_diva_test.fcs"]
    with pytest.raises(PanelFault, match=r"FACS_Diva__facs_diva_test\.fcs .* 1 of its 7 markers"):
        draft_panel("mine", describe_files(files), KNOWN, KNOWN)


@needs_shared
def test_raw_spectral_tubes_are_drafted_by_the_gates_that_read_them() -> None:
    folder = SHARED / "cell-counts"
    tube = folder / "CellCounts5L_AB_01-ND006-01.fcs"
    with pytest.raises(PanelFault, match="raw signals of a spectral cytometer"):
        draft_panel("mine", describe_files([tube]), KNOWN, KNOWN)
    described = describe_files([tube, folder / "CellCounts5L_AB_01-ND006-01.gatingml.xml"])
    draft = draft_panel("mine", described, KNOWN, KNOWN)
    assert [stain.detector for stain in draft.stains] == ["V2-A", "B4-A"]
    assert draft.compensated.value is False
    assert draft.counting.methods[0] == "volumetric"


@needs_shared
def test_gates_tell_that_the_lyoplate_tube_is_compensated_already() -> None:
    folder = SHARED / "b-cells-lyoplate"
    tube = folder / "12828_1_Bcell_C01.fcs"
    alone = draft_panel("mine", describe_files([tube]), KNOWN, KNOWN)
    assert alone.compensated.blocks
    gates = folder / "12828_1_Bcell_C01.gatingml.xml"
    draft = draft_panel("mine", describe_files([tube, gates]), KNOWN, KNOWN)
    assert draft.compensated.value is False
    assert not draft.compensated.blocks


@needs_shared
def test_a_gating_document_alone_says_what_it_cannot_tell() -> None:
    described = describe_files([SHARED / "t-cells-activation" / "activation_01.gatingml.xml"])
    assert any("no labels, no instrument" in " ".join(note.split()) for note in described.notes)
    draft = draft_panel("mine", described, KNOWN, KNOWN)
    assert draft.compensated.value
    # An import keeps the document's matrix, which needs all of its detectors.
    assert len(draft.stains) == 11
    assert {"PE", "7-AAD"} <= {stain.marker for stain in draft.stains}


@needs_shared
def test_a_gating_document_names_dyes_by_their_detectors() -> None:
    described = describe_files([SHARED / "gating-ml" / "gml" / "gml_all_gates.xml"])
    detectors = {channel.detector for channel in described.tubes[0].channels}
    assert {"FL1-H", "FL2-H", "FL3-H", "FSC-H", "Time"} <= detectors
    assert not {"FITC", "PE", "PerCP"} & detectors


@needs_shared
def test_a_workspace_needs_no_files_and_leaves_out_what_flowjo_adds() -> None:
    described = describe_files([SHARED / "flowjo" / "workspaces_only" / "8_color_ICS.wsp"])
    assert len(described.tubes) == 3
    draft = draft_panel("mine", described, KNOWN, KNOWN)
    assert [stain.marker for stain in draft.stains] == [
        "TNFa", "CD8", "IL2", "IFNg", "CD3", "CD107a", "CD4", "Aqua Amine",
    ]  # fmt: skip
    assert draft.compensated.value
    assert draft.instrument == "LSRII"


def test_a_workspace_with_a_matrix_of_its_own_says_so(tmp_path: Path) -> None:
    gates = rectangle_on({"Comp-FITC-A": (1000.0, None)})
    gates = f'<Population name="C" owningGroup="" count="1"><Gate>{gates}</Gate></Population>'
    workspace = Written(gates, matrix=("Comp-", "")).write(tmp_path / "lab.wsp")
    described = describe_files([workspace])
    assert [c.label for c in described.tubes[0].channels if c.label] == ["CD3", "CD4", "CD19"]
    assert described.gates[0].channels == ("FITC-A",)
    assert described.gates[0].compensated
    assert described.gates[0].mixed == ("FITC-A", "PE-A", "APC-A")
    assert any("workspace's own" in note for note in described.notes)
    draft = draft_panel("mine", described, KNOWN, KNOWN)
    assert draft.compensated.value
    assert not draft.compensated.blocks


def test_a_workspace_and_its_files_agree(tmp_path: Path) -> None:
    workspace = Written("").write(tmp_path / "lab.wsp")
    tube = write_tube(tmp_path / "t.fcs", raw_events(20), spill=True)
    draft = draft_panel("mine", describe_files([tube, workspace]), KNOWN, KNOWN)
    assert [(s.marker, s.detector, s.required) for s in draft.stains] == [
        ("CD3", "FITC-A", True),
        ("CD4", "PE-A", True),
        ("CD19", "APC-A", True),
    ]


# --- bad input ----------------------------------------------------------------------------------


def test_a_workspace_without_samples_is_said(tmp_path: Path) -> None:
    empty = tmp_path / "empty.wsp"
    empty.write_text('<Workspace flowJoVersion="10.8.1"><SampleList/></Workspace>')
    with pytest.raises(StrategyFault, match=r"empty\.wsp: the workspace has no samples"):
        describe_files([empty])


def test_a_workspace_that_keeps_no_channels_is_said(tmp_path: Path) -> None:
    bare = tmp_path / "bare.wsp"
    bare.write_text(
        '<Workspace flowJoVersion="10.8.1"><SampleList><Sample><SampleNode name="a"/></Sample>'
        "</SampleList></Workspace>"
    )
    with pytest.raises(StrategyFault, match=r"bare\.wsp: keeps no channels of its samples"):
        describe_files([bare])


@pytest.mark.parametrize(
    ("name", "content", "fault", "words"),
    [
        ("a.fcs", "no FCS", UnreadableFile, "not an FCS file"),
        ("a.wsp", "<Other/>", StrategyFault, "neither a FlowJo workspace nor a Gating-ML"),
        ("a.xml", "<Gating></Other>", StrategyFault, "not well-formed"),
        ("a.wsp", "<!DOCTYPE x><Workspace/>", StrategyFault, "DOCTYPE"),
    ],
)
def test_what_is_no_such_file_is_said(
    tmp_path: Path, name: str, content: str, fault: type[Exception], words: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(fault, match=words):
        describe_files([tmp_path / name])


def test_a_folder_without_fcs_files_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match="holds no FCS file"):
        describe_files([tmp_path])
    with pytest.raises(UsageFault, match="no such file or folder"):
        describe_files([tmp_path / "none.fcs"])
    with pytest.raises(UsageFault, match="Name the FCS files"):
        describe_files([])


def test_a_gating_document_without_gates_is_said(tmp_path: Path) -> None:
    document = tmp_path / "none.xml"
    document.write_text(
        '<gating:Gating-ML xmlns:gating="http://www.isac-net.org/std/Gating-ML/v2.0/gating"/>'
    )
    with pytest.raises(StrategyFault, match="no gate that reads a channel"):
        describe_files([document])


def test_two_tubes_with_other_markers_on_one_detector_decide_nothing(tmp_path: Path) -> None:
    for name, label in (("a", "CD3"), ("b", "CD19")):
        FcsFile(counted()).with_(pairs=[("$P2S", label)]).write(tmp_path / f"{name}.fcs")
    with pytest.raises(PanelFault, match=r"CD3 is on FITC-A in a\.fcs, CD19 is on FITC-A in b"):
        draft_panel("mine", describe_files([tmp_path]), KNOWN, KNOWN)

"""A panel drafted from what files say: what is recognised, what is asked, and what is refused."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panels.catalogue import load_panel, panel_names, read_panel
from panels.drafting.channel_names import is_dye, is_scatter, scatter_name
from panels.drafting.described import Described, DescribedGates, DescribedTube
from panels.drafting.draft import PanelDraft, draft_panel
from panels.drafting.place_draft import known_panels, misfits, next_version, write_draft
from panels.drafting.write_draft import panel_yaml
from panels.panel import Panel, match_panel
from panels.text.errors import PanelFault, UsageFault

SHIPPED = [load_panel(name) for name in panel_names()]
FITC, PE, APC = ("FITC-A", "CD3"), ("PE-A", "CD19"), ("APC-A", "CD45")


@dataclass(frozen=True)
class Named:
    """A channel as a header lists it."""

    index: int
    detector: str
    label: str


def tube(*channels: tuple[str, str], source: str = "a.fcs", **said: object) -> DescribedTube:
    listed = [("FSC-A", ""), ("SSC-A", ""), *channels, ("Time", "")]
    named = tuple(Named(n, detector, label) for n, (detector, label) in enumerate(listed))
    usual = {"cytometer": "BD FACSLyric", "compensation": "stored"}
    covered = tuple(detector for detector, _ in channels)
    return DescribedTube(source, named, **{"covered": covered} | usual | said)  # type: ignore[arg-type]


def drafted(*tubes: DescribedTube, gates: Sequence[DescribedGates] = ()) -> PanelDraft:
    described = Described(tubes, tuple(gates))
    return draft_panel("mine", described, known_panels(None), SHIPPED)


def loaded(draft: PanelDraft, folder: Path) -> Panel:
    path = folder / "mine.yaml"
    path.write_text(panel_yaml(draft, "1.0.0"), encoding="utf-8")
    return read_panel(path)


# --- names of channels --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("detector", "name"),
    [
        ("FSC-A", "FSC-A"),
        ("SSC-W", "SSC-W"),
        ("FSC_H", "FSC-H"),
        ("FS INT LIN", "FSC-A"),
        ("SS PEAK LIN", "SSC-H"),
        ("FS TOF LIN", "FSC-W"),
        ("FSC", "FSC-A"),
        ("TIME", "Time"),
        ("HDR-T", "Time"),
        ("SSC-B-A", None),
        ("VSSC-A", None),
        ("FITC-A", None),
        ("FSC LogH", None),
    ],
)
def test_scatter_has_the_names_that_strategies_have(detector: str, name: str | None) -> None:
    assert scatter_name(detector) == name
    assert is_scatter(detector) == (detector != "FITC-A")


@pytest.mark.parametrize(
    "name",
    "FITC-A|PE-Cy7-A|V450-A|BL1-A|FL2-H|UV16-A|Alexa Fluor 647-A|Qdot 605-A|PerCP-Cy5-5-A|"
    "BV786|PE-Texas Red-A|B515-A|Pacific Blue-A|PE-Dazzle594-A|FL1 INT LOG".split("|"),
)
def test_dyes_and_detectors_name_no_marker(name: str) -> None:
    assert is_dye(name)


@pytest.mark.parametrize(
    "name", "CD3|IgD|CCR7|Perforin|IL2|AXL|B220|PD-1|TNFa|Cytokeratin|GFP|Live|HLA-DR|R".split("|")
)
def test_markers_are_no_dyes(name: str) -> None:
    assert not is_dye(name)


# --- markers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("channel", "marker", "detector"),
    [
        (("PE-A", "CD27"), "CD27", "PE-A"),
        (("BV421-A", "CD27 BV421"), "CD27", "BV421-A"),
        (("FL3", "CD19-ECD"), "CD19", "FL3"),
        (("BV421-A", "CD197"), "CCR7", "BV421-A"),
        (("PE-A", "CD16_CD56"), "CD16+CD56", "PE-A"),
        (("FL4", "CD22-PC5"), "CD22", "FL4"),
        (("APC-Cy7-A", "Live/ Dead"), "Live/ Dead", "APC-Cy7-A"),
        (("BL 530/30-A", "CD21;FITC;530/30@488/B"), "CD21", "BL 530/30-A"),
        (("CD3", "V450-A"), "CD3", "CD3"),
        (("Live", "B515-A"), "Live", "Live"),
        (("CD8 PerCP-Cy55 FLR-A", ""), "CD8", "CD8 PerCP-Cy55 FLR-A"),
        (("TNFa FITC FLR-A", ""), "TNFa", "TNFa FITC FLR-A"),
        (("BL1-A", "GFP-A"), "GFP", "BL1-A"),
        (("PE-A", "HLA-A"), "HLA-A", "PE-A"),
    ],
)
def test_a_marker_is_read_from_its_label_or_detector_and_found_again(
    channel: tuple[str, str], marker: str, detector: str, tmp_path: Path
) -> None:
    described = tube(channel, ("AmCyan-A", "CD200R"))
    panel = loaded(drafted(described), tmp_path)
    assert (panel.markers[0].marker, panel.markers[0].detector) == (marker, detector)
    match = match_panel(panel, described.channels)
    assert match.problems == ()
    assert match.channel[marker] == 2


def test_a_channel_without_a_label_is_no_marker_where_others_have_labels() -> None:
    draft = drafted(tube(FITC, ("PE-A", ""), ("APC-A", "APC-A")))
    assert [stain.marker for stain in draft.stains] == ["CD3"]
    sections = {each.heading: each.channels for each in draft.sections}
    assert sections["Channels without a label, which no marker uses"] == ("PE-A", "APC-A")
    assert sections["Detectors that the spill covers and no marker uses"] == ("PE-A", "APC-A")


def test_without_any_label_markers_are_called_by_their_dyes_and_asked_for(tmp_path: Path) -> None:
    described = tube(("Alexa Fluor 488-A", ""), ("FL2-A", "PE-A"))
    draft = drafted(described)
    assert [stain.marker for stain in draft.stains] == ["Alexa Fluor 488", "PE"]
    assert any("Alexa Fluor 488, PE" in note for note in draft.notes)
    assert match_panel(loaded(draft, tmp_path), described.channels).fits


def test_gates_make_markers_of_the_channels_they_read() -> None:
    gates = DescribedGates("g.xml", ("FSC-A", "PE-A", "Nowhere-A"), compensated=True)
    draft = drafted(tube(FITC, ("PE-A", ""), ("APC-A", "")), gates=[gates])
    assert [stain.marker for stain in draft.stains] == ["CD3", "PE"]
    assert draft.sections[-1].channels == ("Nowhere-A",)


def test_raw_spectral_signals_become_markers_only_where_gates_read_them() -> None:
    raw = tube(("V1-A", ""), ("B4-A", ""), compensation="identity", raw=True)
    with pytest.raises(PanelFault, match="Unmix it"):
        drafted(raw)
    gates = DescribedGates("g.xml", ("B4-A",), compensated=False)
    draft = drafted(raw, gates=[gates])
    assert [stain.detector for stain in draft.stains] == ["B4-A"]
    assert not draft.compensated.value
    assert "raw signals" in draft.compensated.reason


def test_autofluorescence_and_beads_are_no_markers() -> None:
    draft = drafted(tube(FITC, ("AF-A", ""), ("APC-A", "Beads")))
    assert [stain.marker for stain in draft.stains] == ["CD3"]
    assert draft.counting.methods[0] == "bead"
    assert "APC-A" in draft.counting.reason


def test_a_height_that_names_a_marker_is_told() -> None:
    draft = drafted(tube(("FL1-H", "CD4 FITC"), ("FL2-A", ""), ("FL2-H", "CD8 PE")))
    assert [stain.marker for stain in draft.stains] == ["CD4"]
    assert ("FL2-H (CD8)",) in [each.channels for each in draft.sections]


# --- several files ------------------------------------------------------------------------------


def test_one_detector_with_two_markers_drafts_nothing_and_names_both() -> None:
    with pytest.raises(PanelFault) as raised:
        drafted(tube(FITC, PE), tube(FITC, ("PE-A", "CD20"), source="b.fcs"))
    assert "CD19 is on PE-A in a.fcs, CD20 is on PE-A in b.fcs" in str(raised.value)


def test_one_marker_on_two_detectors_drafts_nothing_and_names_both() -> None:
    with pytest.raises(PanelFault) as raised:
        drafted(tube(FITC), tube(("PE-A", "CD3"), source="b.fcs"))
    assert "CD3 is on FITC-A in a.fcs, CD3 is on PE-A in b.fcs" in str(raised.value)


def test_a_marker_that_not_every_tube_has_may_be_missing(tmp_path: Path) -> None:
    tubes = tube(FITC, PE), tube(FITC, source="b.fcs")
    panel = loaded(drafted(*tubes), tmp_path)
    assert [(s.marker, s.required) for s in panel.markers] == [("CD3", True), ("CD19", False)]
    assert all(match_panel(panel, each.channels).fits for each in tubes)


def test_a_tube_without_the_label_has_the_marker_all_the_same() -> None:
    draft = drafted(tube(FITC, PE), tube(FITC, ("PE-A", ""), source="b.fcs"))
    assert [stain.required for stain in draft.stains] == [True, True]


def test_other_instruments_are_listed_with_the_detectors_that_differ(tmp_path: Path) -> None:
    other = tube(("FITC-A", "CD3"), ("FL2-A", "CD19"), source="b.fcs", cytometer="CytoFLEX")
    same = tube(FITC, PE, source="c.fcs", serial="R123")
    draft = drafted(tube(FITC, PE), other, same)
    assert draft.instrument == "BD FACSLyric (1)"
    assert draft.instruments == {"CytoFLEX": {"CD19": "FL2-A"}, "BD FACSLyric R123": {}}
    panel = loaded(draft, tmp_path)
    assert dict(panel.instruments) == {"CytoFLEX": {"CD19": "FL2-A"}}
    assert match_panel(panel, other.channels).instrument == "CytoFLEX"
    assert any("CytoFLEX differs from BD FACSLyric (1): CD19 FL2-A" in n for n in draft.notes)


def test_a_tube_that_its_draft_would_refuse_is_named(tmp_path: Path) -> None:
    first = tube(("FITC-A", "CD3"), ("PE-A", "CD4"), ("APC-A", "CD8"), ("PC5-A", "CD19"))
    second = tube(
        ("PE-A", "CD3"), ("APC-A", "CD8"), ("PC5-A", "CD19"), source="b.fcs", cytometer="CytoFLEX"
    )
    described = Described((first, second))
    _, panel = write_draft(drafted(first, second), tmp_path, tmp_path)
    sentences = list(misfits(panel, described))
    assert len(sentences) == 1
    assert sentences[0].startswith("b.fcs does not fit this draft yet. CD3 is labelled on PE-A")


def test_only_scatter_that_all_tubes_have_under_one_name_is_asked_for() -> None:
    channels = (Named(0, "FS INT LIN", ""), Named(1, "SSC-A", ""), Named(2, "FITC-A", "CD3"))
    draft = drafted(tube(FITC), DescribedTube("b.lmd", channels, compensation="stored"))
    assert draft.scatter == {"SSC-A": "SSC-A"}
    assert any("FSC-A" in note for note in draft.notes)


def test_a_name_of_a_person_in_cyt_is_not_written(tmp_path: Path) -> None:
    draft = drafted(tube(FITC, cytometer="Ward 3, Müller; Anna"))
    assert "Anna" not in panel_yaml(draft, "1.0.0")
    assert draft.instrument == "unknown cytometer"


# --- compensation and counting ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        ("stored", True, "store a spill"),
        ("identity", False, "identity matrix"),
        ("unmixed", False, "unmixed"),
        ("subtracted", False, "subtracted"),
        ("none", True, "TO DECIDE"),
        ("unusable", True, "TO DECIDE"),
    ],
)
def test_compensated_says_why(kind: str, *, value: bool, words: str, tmp_path: Path) -> None:
    draft = drafted(tube(FITC, compensation=kind, covered=()))
    assert draft.compensated.value is value
    assert words in draft.compensated.reason
    assert draft.compensated.blocks == (words == "TO DECIDE")
    text = panel_yaml(draft, "1.0.0")
    assert words in text
    assert ("every tube of this panel is refused" in text) == draft.compensated.blocks
    assert loaded(draft, tmp_path).compensated is value


@pytest.mark.parametrize("compensated", [False, True])
def test_gates_tell_whether_values_without_a_spill_are_compensated(*, compensated: bool) -> None:
    gates = DescribedGates("g.xml", ("FITC-A",), compensated=compensated)
    draft = drafted(tube(FITC, compensation="none", covered=()), gates=[gates])
    assert draft.compensated.value is compensated
    assert not draft.compensated.blocks


def test_unmixed_tubes_and_others_need_two_panels() -> None:
    with pytest.raises(PanelFault, match=r"a\.fcs was unmixed .* b\.fcs stores a compensation"):
        drafted(tube(FITC, compensation="unmixed"), tube(FITC, source="b.fcs"))


def test_a_tube_without_spill_among_others_is_named() -> None:
    draft = drafted(tube(FITC), tube(FITC, source="b.fcs", compensation="none"))
    assert draft.compensated.value
    assert "b.fcs stores no compensation" in draft.notes[0]


def test_markers_of_a_shipped_panel_are_counted_as_it_is() -> None:
    stains = [(stain.detector, stain.marker) for stain in load_panel("tbnk").markers]
    draft = drafted(tube(*stains))
    assert draft.counting.methods == ("bead", "volumetric", "dual")
    assert "tbnk" in draft.counting.reason


def test_the_acquired_volume_counts_where_every_tube_has_it() -> None:
    assert drafted(tube(FITC, volume=True)).counting.methods[0] == "volumetric"
    both = drafted(tube(FITC, volume=True), tube(FITC, source="b.fcs"))
    assert both.counting.methods == ("chain", "dual")


def test_two_car_products_ask_for_their_construct(tmp_path: Path) -> None:
    draft = drafted(tube(("PE-A", "CAR19"), ("APC-A", "CARBCMA")))
    assert "# co_infusion: separate" in panel_yaml(draft, "1.0.0")


# --- the file -----------------------------------------------------------------------------------


def test_a_draft_never_replaces_a_panel(tmp_path: Path) -> None:
    draft = drafted(tube(FITC))
    path, panel = write_draft(draft, tmp_path, tmp_path)
    assert panel.panel == path.stem == "mine"
    before = path.read_bytes()
    with pytest.raises(PanelFault, match="never replaces"):
        write_draft(draft, tmp_path, tmp_path)
    assert path.read_bytes() == before


def test_a_draft_of_a_shipped_name_has_the_next_version(tmp_path: Path) -> None:
    assert next_version("bcell", tmp_path) == "1.1.0"
    assert next_version("mine", tmp_path) == "1.0.0"


@pytest.mark.parametrize("name", ["", "a b", "../x", "x/y", "a.b"])
def test_a_name_that_no_file_could_have_is_refused(name: str) -> None:
    with pytest.raises(UsageFault, match="cannot name a panel"):
        draft_panel(name, Described((tube(FITC),)), SHIPPED, SHIPPED)


def test_no_fluorescence_is_said() -> None:
    with pytest.raises(PanelFault, match=r"a\.fcs has no fluorescence channel"):
        drafted(tube())


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=12)


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=5, unique_by=lambda pair: pair[0]))
def test_every_draft_loads_and_fits_its_own_tube(
    tmp_path_factory: pytest.TempPathFactory, channels: list[tuple[str, str]]
) -> None:
    described = tube(*channels)
    try:
        draft = drafted(described)
    except PanelFault:
        return
    panel = loaded(draft, tmp_path_factory.mktemp("drafts"))
    assert [stain.marker for stain in panel.markers] == [each.marker for each in draft.stains]
    assert match_panel(panel, described.channels).problems == ()

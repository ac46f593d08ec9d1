"""What content of a panel a count was made with is part of the count: an edited panel counts anew,
an edited release not at all."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from panels.catalogue import find_panel, shipped_panels
from panels.releasing import release_panel
from panels.text.errors import PanelFault
from tasks.intake.take_in import take_in
from tasks.results.cohort_tables import build_cohort
from tasks.steps.one_pass import one_pass
from tasks.steps.pass_under_way import Pass
from tasks.store.gatings import gatings_of
from tasks.store.tubes import taken_in
from tasks.strategies.in_use import read_snapshot, strategies_in_use
from tasks.strategies.standing import panel_standing
from tasks.study.folder import Study
from tests.tasks.page_files import tube_data
from tests.tasks.plain_pass import plain_night
from tests.tasks.study_folder import DRAWN, make_study, write_tube


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Make a study with its own B-cell panel (the shipped one under another number), a tube before
    infusion and one after."""
    rows = [f"a.fcs,P01,{DRAWN},bcell", "b.fcs,P01,2026-01-05T08:30,bcell"]
    made = make_study(tmp_path / "s", rows)
    for seed, name in enumerate(("a", "b")):
        write_tube(made.inbox / f"{name}.fcs", seed=seed)
    made.own_panels.mkdir()
    shutil.copy(shipped_panels() / "bcell.yaml", made.own_panels / "bcell.yaml")
    edit(made, "version: 1.0.0", "version: 1.5.0")
    return made


def edit(study: Study, was: str, now: str) -> None:
    path = study.own_panels / "bcell.yaml"
    text = path.read_text(encoding="utf-8")
    assert was in text
    path.write_text(text.replace(was, now), encoding="utf-8")


def one_night(study: Study) -> tuple[int, int]:
    """Take in, measure, count and write tables; gives how many tubes were measured and counted."""
    take_in(study)
    references = Pass(read_snapshot(study)).references()
    this = plain_night(study)
    build_cohort(this.snapshot)
    return len(references), len(this.counted)


def contents(study: Study, table: Path = Path("patients/P01/kinetics.csv")) -> set[str]:
    with (study.results / table).open(encoding="utf-8", newline="") as file:
        return {row["panel_sha256"] for row in csv.DictReader(file)}


def test_an_edited_panel_that_was_not_released_counts_anew(study: Study) -> None:
    assert one_night(study) == (1, 2)
    first = strategies_in_use(study)["bcell"].panel_sha256
    assert contents(study) == contents(study, Path("cohort/kinetics.csv")) == {first}
    assert one_night(study) == (0, 0)
    edit(study, "panel: bcell", "panel:   bcell   # spaces and words are no content")
    assert one_night(study) == (0, 0)

    edit(study, "synonyms: [dump,", "synonyms: [")
    second = strategies_in_use(study)["bcell"].panel_sha256
    assert second != first
    assert one_night(study) == (1, 2)
    assert contents(study) == contents(study, Path("cohort/kinetics.csv")) == {second}
    with study.store() as store:
        kept = [
            each
            for tube in taken_in(store)
            for each in gatings_of(store, tube.identity.tube_sha256)
        ]
    assert [each.panel_sha256 for each in kept] == [first, second] * 2
    sha = kept[0].tube_sha256[:12]
    qc = json.loads((study.results / "tubes" / sha / "qc.json").read_text(encoding="utf-8"))
    assert (qc["panel"], qc["panel_sha256"], qc["strategy"]) == (
        "bcell@1.5.0",
        second,
        strategies_in_use(study)["bcell"].name,
    )
    assert tube_data(study.results / "tubes" / sha)["head"]["panel_sha256"] == second

    edit(study, "synonyms: [", "synonyms: [dump,")
    one_night(study)
    assert contents(study) == {first}
    with study.store() as store:
        assert all(
            len(gatings_of(store, tube.identity.tube_sha256)) == 2 for tube in taken_in(store)
        )


def test_an_edited_release_counts_nothing_and_says_so(study: Study) -> None:
    release_panel(study.own_panels, "bcell", "1.5.0")
    one_night(study)
    first = contents(study)
    edit(study, "CD14+FVS780, FVS780]", "FVS780]")
    with (
        pytest.raises(PanelFault, match=r"bcell@1\.5\.0 was changed after its release"),
        one_pass(study.folder, "nightly"),
    ):
        pytest.fail("a pass began")
    assert contents(study) == first


def test_the_next_version_counts_from_its_release_on(study: Study) -> None:
    release_panel(study.own_panels, "bcell", "1.5.0")
    one_night(study)
    edit(study, "version: 1.5.0", "version: 1.6.0")
    edit(study, "CD14+FVS780, FVS780]", "FVS780]")
    assert one_night(study) == (0, 0)
    assert contents(study) == {find_panel("bcell@1.5.0", study.own_panels).sha256}
    (said,) = [each for each in panel_standing(read_snapshot(study)) if each.panel == "bcell"]
    assert said.pin == "bcell@1.5.0"
    assert "bcell@1.6.0 is not released" in said.description
    release_panel(study.own_panels, "bcell", "1.6.0")
    assert one_night(study) == (1, 2)
    assert contents(study) == {strategies_in_use(study)["bcell"].panel_sha256}


def test_an_own_panel_that_is_not_released_is_said(study: Study) -> None:
    told = {each.panel: each.description for each in panel_standing(read_snapshot(study))}
    assert told["tbnk"] == "released"
    assert "not released" in told["bcell"]
    assert "reconflow panel release bcell 1.5.0" in told["bcell"]

"""Another version is counted beside the one in use, compared, and made current only by an act of
its own."""

import csv
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gating.strategy.catalogue import shipped
from panels.text.errors import SettingsFault, UsageFault
from tasks.concordance.compare import agreement
from tasks.concordance.page import verdict, write_concordance
from tasks.concordance.promotion import promote
from tasks.concordance.recount import (
    comparison,
    folder_of,
    measure_references,
    tubes_to_compare,
)
from tasks.results.front_page import write_front_page
from tasks.results.patient_inputs import tables_due
from tasks.results.patient_tables import build_patient
from tasks.simulate.study import write_study
from tasks.store.gatings import gatings_of
from tasks.store.promotions import promotions_of
from tasks.strategies.in_use import read_snapshot, strategies_in_use
from tasks.strategies.release import release_version
from tasks.strategies.standing import strategy_standing
from tasks.study.folder import Study, open_study
from tasks.study.settings import load_settings
from tasks.tubes.version_files import keep_versions, version_file
from tests.tasks.page_files import arguments, tube_data
from tests.tasks.plain_pass import plain_night, recount_all
from tests.tasks.study_folder import make_study

pytestmark = pytest.mark.xdist_group("concordance")

OTHER = "bcell@2.0.1"


def one_night(study: Study) -> int:
    """Take in, count and write tables; gives how many tubes were counted."""
    return len(plain_night(study).counted)


def own_version(study: Study) -> None:
    """Release a version of the laboratory's own whose border of transitional B cells lies higher,
    within its limits."""
    place = study.folder / "strategies" / "bcell" / "2.0.1"
    place.mkdir(parents=True)
    text = (shipped() / "bcell" / "2.0.0" / "strategy.yaml").read_text(encoding="utf-8")
    changed = text.replace("version: 2.0.0", "version: 2.0.1").replace(
        "{marker: CD24, value: 5600", "{marker: CD24, value: 8500"
    )
    (place / "strategy.yaml").write_text(changed, encoding="utf-8")
    (place / "CHANGES.md").write_text(
        "# 2.0.1\n\nA higher border of CD24 (J. Doe, 2026-11-24).\n", encoding="utf-8"
    )
    release_version(study.folder, "bcell", "2.0.1")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = write_study(
        tmp_path_factory.mktemp("concordance") / "s", patients=2, visits=5, events=0.1, workers=1
    ).folder
    for path in (folder / "inbox").iterdir():
        if "_bcell" not in path.name:
            path.unlink()
    with (folder / "study.yaml").open("a", encoding="utf-8") as file:
        file.write(
            "intake: {settle_seconds: 0}  # at once\nstrategies:\n  bcell: bcell@2.0.0   # "
            "the current one\n"
        )
    made = open_study(folder)
    assert one_night(made) >= 10
    own_version(made)
    return made


@pytest.fixture(scope="module")
def page(study: Study) -> Path:
    return regated(study)


def regated(study: Study) -> Path:
    compared = comparison(read_snapshot(study), OTHER)
    faults = measure_references(read_snapshot(study), compared)
    recount_all(study, compared)
    return Path(
        write_concordance(study, compared, agreement(read_snapshot(study), compared), faults)
    )


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_comparison_shows_what_moved_and_what_did_not(study: Study, page: Path) -> None:
    rows = {row["population"]: row for row in table(page.parent / "agreement.csv")}
    assert float(rows["b_cells"]["slope"]) == 1
    assert float(rows["transitional_b"]["bias_percent"]) < -10
    scores = [
        float(row["f1"])
        for row in table(page.parent / "events.csv")
        if row["gate"] == "transitional_b" and row["f1"]
    ]
    assert 0.3 < min(scores) < 0.95
    assert all(
        float(row["f1"]) == 1
        for row in table(page.parent / "events.csv")
        if row["gate"] == "b_cells" and row["f1"]
    )
    changed = table(page.parent / "changed.csv")
    assert all(row["current"] != row["other"] for row in changed)
    assert {row["population"] for row in changed} <= {
        "transitional_b",
        "naive_igm_igd_b",
        "naive_b",
        "b_cells",
    }
    assert (page.parent / "transitional_b.png").stat().st_size > 5_000
    said = verdict(
        comparison(read_snapshot(study), OTHER),
        agreement(read_snapshot(study), comparison(read_snapshot(study), OTHER)),
    )
    assert said[0] == f"{len(list((page.parent / 'tubes').iterdir()))} tubes were compared."
    assert any(sentence.startswith("transitional_b: -") for sentence in said)
    assert said[-1].startswith("Compared are the results of this panel's tubes alone.")
    assert said[-1].split(".")[0] in page.read_text(encoding="utf-8").replace("&#39;", "'")
    assert "transitional" in page.read_text(encoding="utf-8")


def test_nothing_in_use_is_touched_and_nothing_is_done_twice(study: Study, page: Path) -> None:
    kept = {path: path.read_bytes() for path in study.results.rglob("*") if path.is_file()}
    assert tubes_to_compare(study, comparison(read_snapshot(study), OTHER)) == []
    regated(study)
    assert {path: path.read_bytes() for path in study.results.rglob("*") if path.is_file()} == kept
    with study.store() as store:
        sha = table(study.results / "patients" / "P01" / "kinetics.csv")[0]["tube_sha256"]
        assert {gating.strategy for gating in gatings_of(store, sha)} == {"bcell@2.0.0", OTHER}
    assert one_night(study) == 0
    assert {
        row["strategy"] for row in table(study.results / "patients" / "P01" / "kinetics.csv")
    } == {"bcell@2.0.0"}


def test_each_page_can_lay_the_gates_of_the_other_version_over_its_own(
    study: Study, page: Path
) -> None:
    compared = sorted((page.parent / "tubes").iterdir())
    for path in compared:
        folder = study.results / "tubes" / path.stem
        assert f'data-versions="{OTHER}"' in (folder / "gating.html").read_text(encoding="utf-8")
        kind, key, value = arguments((folder / f"{OTHER}.js").read_bytes())
        assert (kind, key) == ("version", f"{path.stem}/{OTHER}")
        mine = tube_data(folder)
        assert value["over"]["strategy_sha256"] == mine["head"]["strategy_sha256"]
        assert not value["tube"]["densities"], "both are drawn on the same axes"
        ours, theirs = (gates_of(each) for each in (mine, value["tube"]))
        assert ours["b_cells"]["outlines"] == theirs["b_cells"]["outlines"]
        assert (
            ours["transitional_phenotype"]["outlines"]
            != theirs["transitional_phenotype"]["outlines"]
        )
        assert value["compared"].keys() == ours.keys() == theirs.keys()
        for gate, (before, after, _) in value["compared"].items():
            assert (before, after) == (ours[gate]["events"], theirs[gate]["events"])


def gates_of(value: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {gate["name"]: gate for gate in value["gates"]}


def test_what_is_laid_over_goes_when_the_tube_is_counted_otherwise(
    study: Study, page: Path, tmp_path: Path
) -> None:
    sha = table(study.results / "patients" / "P01" / "kinetics.csv")[0]["tube_sha256"]
    with study.store() as store:
        (gating,) = (each for each in gatings_of(store, sha) if each.strategy != OTHER)
    folder = shutil.copytree(study.results / "tubes" / sha[:12], tmp_path / "tube")
    file = version_file(folder, OTHER)
    assert keep_versions(folder, gating) == [OTHER]
    corrected = replace(gating, correction_sha256="c", reference_set_sha256="none asked")
    assert keep_versions(folder, corrected) == [OTHER]
    for part in ("strategy_sha256", "panel_sha256", "calibration_sha256", "reference_set_sha256"):
        assert keep_versions(folder, replace(gating, **{part: "another"})) == []
        assert not file.exists()
        shutil.copy(version_file(study.results / "tubes" / sha[:12], OTHER), file)
    file.write_bytes(file.read_bytes()[:100])
    assert keep_versions(folder, gating) == [], "a file that was cut short is laid over nothing"


def test_a_tube_without_what_is_laid_over_is_compared_again(study: Study, page: Path) -> None:
    sha = table(study.results / "patients" / "P01" / "kinetics.csv")[0]["tube_sha256"]
    file = version_file(study.results / "tubes" / sha[:12], OTHER)
    kept = file.read_bytes()
    file.unlink()
    assert tubes_to_compare(study, comparison(read_snapshot(study), OTHER)) == [sha]
    recount_all(study, comparison(read_snapshot(study), OTHER))
    assert file.read_bytes() == kept


def test_a_version_that_was_never_promoted_is_said_to_be_the_sheets(study: Study) -> None:
    assert told_of(study) == "as study.yaml says; no version was promoted yet"


def test_promotion_is_an_act_with_a_name_and_a_reason(study: Study, page: Path) -> None:
    for name, reason in (("", "better"), ("J. Doe", " ")):
        with pytest.raises(UsageFault, match="who approved it and why"):
            promote(study, OTHER, name, reason)
    before = (study.folder / "study.yaml").read_text(encoding="utf-8")
    try:
        promote(study, OTHER, "J. Doe", "fits our lot")
        after = (study.folder / "study.yaml").read_text(encoding="utf-8")
        assert after == before.replace("bcell@2.0.0   # the", f"{OTHER}   # the")
        promoted = open_study(study.folder)
        assert strategies_in_use(promoted)["bcell"].name == OTHER
        with study.store() as store:
            (kept,) = promotions_of(store)
        assert (kept.from_strategy, kept.to_strategy, kept.approved_by, kept.reason) == (
            "bcell@2.0.0",
            OTHER,
            "J. Doe",
            "fits our lot",
        )
        assert told_of(promoted) == f"promoted {kept.at[:10]} by J. Doe: fits our lot"
        for inputs in tables_due(read_snapshot(promoted)).patients:
            build_patient(read_snapshot(promoted), inputs)
        rows = table(study.results / "patients" / "P01" / "kinetics.csv")
        assert {row["strategy"] for row in rows} == {OTHER}
    finally:
        (study.folder / "study.yaml").write_text(before, encoding="utf-8")
        one_night(open_study(study.folder))
    assert told_of(open_study(study.folder)).startswith(
        f"NOT the promoted version: study.yaml was changed by hand ({OTHER} was promoted"
    )
    assert "NOT the promoted version" in write_front_page(
        read_snapshot(open_study(study.folder))
    ).read_text(encoding="utf-8")


def told_of(study: Study) -> str:
    """Give what status and front page say of the B-cell panel's version."""
    with study.store() as store:
        return next(
            each.description
            for each in strategy_standing(read_snapshot(study), store)
            if each.panel == "bcell"
        )


def test_a_comparison_of_another_archive_promotes_nothing(study: Study, page: Path) -> None:
    mark = page.parent / ".inputs.sha256"
    kept = mark.read_text()
    try:
        mark.write_text("0" * 64)
        with pytest.raises(
            UsageFault, match="not of the archive as it is now; run: reconflow regate"
        ):
            promote(study, OTHER, "J. Doe", "better")
        mark.unlink()
        with pytest.raises(UsageFault, match="was not compared"):
            promote(study, OTHER, "J. Doe", "better")
    finally:
        mark.write_text(kept)
    with study.store() as store:
        assert all(promotion.to_strategy == OTHER for promotion in promotions_of(store))


def test_what_cannot_be_compared_is_said(tmp_path: Path) -> None:
    study = make_study(
        tmp_path / "s",
        settings="study: t\nintake: {settle_seconds: 0}\nstrategies: {bcell: bcell@2.0.0}\n",
    )
    with pytest.raises(UsageFault, match="is the version in use"):
        comparison(read_snapshot(study), "bcell@2")
    compared = comparison(read_snapshot(study), "bcell@1.0.0")
    assert tubes_to_compare(study, compared) == []
    found = agreement(read_snapshot(study), compared)
    assert Path(write_concordance(study, compared, found, [])).is_file()
    assert "too few to decide anything" in verdict(compared, found)[0]
    with pytest.raises(SettingsFault, match="by hand"):
        promote(study, "bcell@1.0.0", "J. Doe", "flow style is not edited")
    assert load_settings(study.folder).strategies["bcell"] == "bcell@2.0.0"
    assert folder_of(study, compared).name == "bcell@2.0.0__bcell@1.0.0"

"""``reconflow export`` over a counted study, as a statistician calls it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

from tasks.export.sdtm import PARAMETER_CODES
from tasks.simulate.study import write_study
from tasks.strategies.in_use import strategies_in_use
from tasks.study.folder import Study, open_study
from tests.flows.command import Said, reconflow_here
from tests.tasks.plain_pass import plain_night

pytestmark = pytest.mark.xdist_group("export")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = write_study(
        tmp_path_factory.mktemp("export") / "s", patients=1, visits=3, events=0.05, workers=1
    ).folder
    with (folder / "study.yaml").open("a", encoding="utf-8") as file:
        file.write("intake: {settle_seconds: 0}\n")
    made = open_study(folder)
    plain_night(made)
    return made


@pytest.fixture
def export(study: Study, capfd: pytest.CaptureFixture[str]):
    def exports(*options: str | Path) -> Said:
        return reconflow_here(capfd, "export", "--study", study.folder, "--json", *options)

    return exports


@pytest.mark.parametrize(("kind", "files"), [("csv", 4), ("parquet", 4), ("xlsx", 1), ("sdtm", 5)])
def test_the_whole_study_goes_out_in_every_form(
    study: Study, export, kind: str, files: int
) -> None:
    said = export("--format", kind)
    assert said.code == 0
    assert len(said.document["files"]) == files
    assert all(Path(name).stat().st_size > 100 for name in said.document["files"])
    assert {Path(name).parent for name in said.document["files"]} == {
        study.results / "export" / kind
    }
    table = pd.read_csv(study.results / "patients" / "P01" / "kinetics.csv")
    assert said.document["rows"]["kinetics"] == len(table)


KEYS = {
    "kinetics": ["patient", "tube_sha256", "population"],
    "parameters": ["patient", "specimen", "population", "parameter"],
}


def published(study: Study, name: str) -> pd.DataFrame:
    """Join a table of all patients, as text, keyed by what names its rows."""
    files = sorted((study.results / "patients").glob(f"*/{name}.csv"))
    tables = [pd.read_csv(file, dtype=str, keep_default_na=False) for file in files]
    return pd.concat(tables).set_index(KEYS[name], verify_integrity=True)


def exported(files: Sequence[str], kind: str, name: str) -> pd.DataFrame:
    """Read a table of an export as the published ones are read."""
    if kind == "xlsx":
        table = pd.read_excel(files[0], sheet_name=name, dtype=str, keep_default_na=False)
        if name == "kinetics":
            assert set(table.pop("utc_offset")) == {""}
            table["collected"] = table["collected"].str.replace(" ", "T")
    elif kind == "parquet":
        table = pd.read_parquet(next(each for each in files if each.endswith(f"{name}.parquet")))
    else:
        path = next(each for each in files if each.endswith(f"/{name}.csv"))
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    return table.set_index(KEYS[name], verify_integrity=True)


def same(given: object, wanted: str) -> bool:
    """Tell whether a cell of an export is what was published: empty, the same text or number."""
    text = "" if given is None or given != given else str(given)  # noqa: PLR0124 - NaN
    return text == wanted or (bool(text and wanted) and float(text) == float(wanted))


@pytest.mark.parametrize("kind", ["csv", "parquet", "xlsx"])
@pytest.mark.parametrize("name", ["kinetics", "parameters"])
def test_every_value_of_an_export_is_the_published_one_of_its_row(
    study: Study, export, kind: str, name: str
) -> None:
    wanted = published(study, name)
    found = exported(export("--format", kind).document["files"], kind, name)
    assert sorted(found.index) == sorted(wanted.index)
    assert list(found.columns) == list(wanted.columns)
    assert len(wanted) > 60
    different = [
        (row, column, given, wanted.loc[row, column])
        for row, cells in found.iterrows()
        for column, given in cells.items()
        if not same(given, wanted.loc[row, column])
    ]
    assert different == []


def test_every_value_of_the_sdtm_data_sets_is_the_published_one_of_its_row(
    study: Study, export
) -> None:
    files = {Path(each).stem: each for each in export("--format", "sdtm").document["files"]}
    cp, pp = (pd.read_csv(files[n], dtype=str, keep_default_na=False) for n in ("cp", "pp"))
    rows = {
        (sha[:12], population): row
        for (_, sha, population), row in published(study, "kinetics").iterrows()
    }
    by_scale = {"CONCENTRATION": "per_ul", "PERCENTAGE": "percent_reference"}
    for _, record in cp.iterrows():
        row = rows[record["CPGRPID"], record["CPTEST"]]
        if record["CPSTAT"] == "NOT DONE":
            assert (row["code"], record["CPSTRESN"]) == ("NE", "")
        else:
            assert same(record["CPSTRESN"], row[by_scale[record["CPSCAT"]]]), dict(record)
        if record["CPSCAT"] == "CONCENTRATION":
            assert same(record["CPLLOQ"], row["lloq_per_ul"]), dict(record)
        assert record["CPDTC"] == row["collected"]
    seen = {(each["CPGRPID"], each["CPTEST"]) for _, each in cp.iterrows()}
    assert seen == set(rows)
    parameters = published(study, "parameters")
    ends = {"P28D": "AUC0-28", "P84D": "AUC0-84", "P168D": "AUC0-168"}
    names = {code: name for name, (code, _, end) in PARAMETER_CODES.items() if not end}
    for _, record in pp.iterrows():
        name = ends.get(record["PPENINT"]) or names[record["PPTESTCD"]]
        patient = record["USUBJID"].removeprefix(f"{record['STUDYID']}-")
        row = parameters.loc[patient, "blood", record["PPCAT"], name]
        assert same(record["PPSTRESN"], row["value"]), dict(record)
    assert len(pp) == 2 * len(PARAMETER_CODES)


def test_cells_carry_patient_visit_population_and_markers(
    study: Study, export, tmp_path: Path
) -> None:
    said = export("--format", "h5ad", "--output", tmp_path, "--cells", "50")
    assert said.code == 0
    cells = anndata.read_h5ad(tmp_path / "cells.h5ad")
    assert said.document["cells"] == len(cells) > 500
    assert {"CD19", "CAR19", "CD3"} <= set(cells.var_names)
    assert set(cells.obs["patient"]) == {"P01"}
    assert set(cells.obs["panel_sha256"]) == {
        used.panel_sha256 for used in strategies_in_use(study).values()
    }
    assert set(cells.obs["visit"]) == {"D-7", "D4", "D7"} or len(set(cells.obs["visit"])) == 3
    b_cells = cells[(cells.obs["panel"] == "bcell") & cells.obs["is_b_cells"]]
    t_cells = cells[(cells.obs["panel"] == "cart") & cells.obs["is_t_cells"]]
    assert np.nanmedian(b_cells[:, "CD19"].X) > np.arcsinh(1100 / 150)
    assert np.nanmedian(t_cells[:, "CD3"].X) > np.arcsinh(3000 / 150)
    assert np.isnan(t_cells[:, "CD19"].X).all()
    np.testing.assert_allclose(
        np.arcsinh(b_cells[:, "CD19"].layers["linear"] / 150), b_cells[:, "CD19"].X, rtol=1e-4
    )
    again = export("--format", "h5ad", "--output", tmp_path / "again", "--cells", "50")
    assert list(anndata.read_h5ad(tmp_path / "again" / "cells.h5ad").obs_names) == list(
        cells.obs_names
    )
    assert again.code == 0


def test_a_cut_stays_what_it_was_and_the_restatement_says_why(study: Study, export) -> None:
    before = {
        path.name: path.read_bytes()
        for path in map(Path, export("--format", "csv").document["files"])
    }
    cut = datetime.now(UTC).isoformat()
    sheet = study.folder / "patients.csv"
    text = sheet.read_text(encoding="utf-8")
    try:
        sheet.write_text(text.replace("T11:", "T09:").replace("T10:", "T08:"), encoding="utf-8")
        assert sheet.read_text(encoding="utf-8") != text
        plain_night(study)
        said = export("--format", "csv", "--as-of", cut)
        kept = {Path(name).name: Path(name).read_bytes() for name in said.document["files"]}
        assert {name: kept[name] for name in before} == before
        assert said.document["restated"] > 0
        restated = pd.read_csv(
            next(Path(name) for name in said.document["files"] if name.endswith("restatements.csv"))
        )
        assert "the time of infusion is another one" in set(restated["why"])
    finally:
        sheet.write_text(text, encoding="utf-8")
        plain_night(study)


def test_wrong_calls_are_said_in_a_sentence(export) -> None:
    for options, sentence in (
        (("--as-of", "soon"), "not a day or time"),
        (("--as-of", "2020-01-01"), "No table was known"),
        (("--format", "h5ad", "--as-of", "2026-01-01"), "gives tables, not cells"),
        (("--format", "h5ad", "--cells", "0"), "at least 1"),
        (("--format", "sas"), "sas"),
    ):
        said = export(*options)
        assert said.code == 2
        assert sentence in said.out + said.err

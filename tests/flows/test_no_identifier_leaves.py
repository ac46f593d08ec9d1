"""A whole night, every export and every page: no name that an FCS file holds leaves it."""

from pathlib import Path

import pytest

from tests.everything_written import readable
from tests.flows.command import reconflow_here
from tests.gating.planted import (
    NAME,
    NUMERIC,
    PERSONAL,
    PRIVATE,
    TRACE,
    bcell_tube,
    in_the_name,
    in_the_supplement,
    twice,
    value,
    with_a_lone_delimiter,
    with_all,
    with_analysis,
)
from tests.tasks.study_folder import DRAWN, make_study

pytestmark = [
    pytest.mark.server,
    pytest.mark.xdist_group("prefect"),
    pytest.mark.usefixtures("prefect_api"),
]

KEPT = with_all(value(key) for key in [*PERSONAL, *PRIVATE, "$VOL", "$TIMESTEP", "$P3V", "$P3TYPE"])
PLANTED = {
    "kept.fcs": KEPT,
    "private.fcs": with_all(
        [*(twice(key) for key in PRIVATE), in_the_name("PATIENT "), in_the_supplement("CASE")]
    ),
    "twice.fcs": twice("$SRC"),
    "lone.fcs": with_a_lone_delimiter("$OP"),
    "spill.fcs": value("SPILL"),
    **{f"number-{n}.fcs": value(key) for n, key in enumerate(NUMERIC[:3])},
}


def test_no_name_leaves_the_files_of_a_study(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = (
        "study: test\nworkers: 1\nintake: {settle_seconds: 0, keywords: {instrument: $CYT}}\n"
    )
    rows = [f"{name},P01,{DRAWN},bcell" for name in PLANTED]
    study = make_study(tmp_path / "s", rows, settings=settings)
    for seed, (name, change) in enumerate(PLANTED.items()):
        change(bcell_tube(events=400, seed=seed)).write(study.inbox / name)
    with_analysis(study.inbox / "kept.fcs")
    ends = [study.inbox / name for name in ("kept.fcs", "twice.fcs", "spill.fcs")]
    said = [reconflow_here(capfd, "inspect", path) for path in ends]
    said += [reconflow_here(capfd, "gate", path, "--strategy", "bcell@1.0.0") for path in ends[:2]]
    done = reconflow_here(capfd, "run", "--study", study.folder, "--json")
    assert done.document["counted"] == 2
    assert done.document["quarantined"] == len(PLANTED) - 2
    said += [done, reconflow_here(capfd, "status", "--study", study.folder)]
    for kind in ("csv", "xlsx", "parquet", "sdtm", "h5ad"):
        words = ("export", "--format", kind, "--study", study.folder, "--output", tmp_path / kind)
        said.append(reconflow_here(capfd, *words))
        assert said[-1].code == 0, said[-1].err
    for each in said:
        assert TRACE.search(f"{each.out}{each.err}".encode()) is None, each
    written = [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".fcs"]
    assert {".html", ".csv", ".xlsx", ".xml", ".json", ".txt", ".db"} <= {p.suffix for p in written}
    for path in written:
        for content in readable(path):
            assert TRACE.search(content) is None, path
    kept = [path.read_bytes() for path in study.archive.rglob("*.fcs")]
    assert all(NAME.encode() in each for each in kept)

"""``reconflow regate`` and ``strategy promote`` as a scientist calls them."""

import csv
from pathlib import Path

import pytest

from tests.flows.command import reconflow_here
from tests.tasks.study_folder import DRAWN, make_study, write_tube

pytestmark = [
    pytest.mark.server,
    pytest.mark.xdist_group("prefect"),
    pytest.mark.usefixtures("prefect_api"),
]
SETTINGS = (
    "study: test\nworkers: 1\nintake: {settle_seconds: 0}\nstrategies:\n  bcell: bcell@1.0.0\n"
)


def test_another_version_is_recounted_compared_and_promoted(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    study = make_study(
        tmp_path / "s", [f"{name}.fcs,P01,{DRAWN},bcell" for name in ("a", "b")], settings=SETTINGS
    )
    for seed, name in enumerate(("a", "b")):
        write_tube(study.inbox / f"{name}.fcs", seed=seed)

    def call(*words: str | Path):
        return reconflow_here(capfd, *words, "--study", study.folder, "--json")

    early = call("regate", "--strategy", "bcell@2.0.0")
    assert (early.code, early.document["recounted"]) == (0, 0)
    assert call("run").document["counted"] == 2
    said = call("regate", "--strategy", "bcell@2.0.0")
    assert said.code == 0
    assert (said.document["recounted"], said.document["tubes"]) == (2, 2)
    assert "too few to decide anything" in said.document["verdict"][0]
    assert Path(said.document["page"]).is_file()
    assert call("regate", "--strategy", "bcell@2.0.0").document["recounted"] == 0
    for wrong, sentence in (
        ("bcell@1.0.0", "is the version in use"),
        ("bcell@9", "There is no strategy 'bcell@9'"),
    ):
        refused = call("regate", "--strategy", wrong)
        assert refused.code == 2
        assert sentence in refused.err
    unnamed = call("strategy", "promote", "bcell@2.0.0")
    assert unnamed.code == 2
    promoted = call(
        "strategy", "promote", "bcell@2.0.0", "--approved-by", "J. Doe", "--reason", "follows drift"
    )
    assert promoted.code == 0
    assert promoted.document == {"panel": "bcell", "from": "bcell@1.0.0", "to": "bcell@2.0.0"}
    assert "  bcell: bcell@2.0.0\n" in (study.folder / "study.yaml").read_text(encoding="utf-8")
    again = call("run")
    assert (again.code, again.document["counted"], again.document["failed"]) == (
        0,
        2,
        0,
    )  # their pages show the new gates
    with (study.results / "patients" / "P01" / "kinetics.csv").open(encoding="utf-8") as table:
        assert {row["strategy"] for row in csv.DictReader(table)} == {"bcell@2.0.0"}

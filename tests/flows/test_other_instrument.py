"""Another instrument's tubes, from files to right counts, by the commands a laboratory uses."""

import csv
import shutil
from collections import defaultdict
from pathlib import Path
from statistics import median

import pytest

from tasks.simulate.study import write_study
from tests.flows.command import Said, reconflow_here
from tests.other_instrument import other_instrument, rewrite_study

SETTINGS = "study: other\nworkers: 1\nintake: {settle_seconds: 0}\n"
PANELS = ("bcell", "cart")
WITHIN = {"car19_t": 0.15, "carbcma_t": 0.15, "car_any_t": 0.15}

pytestmark = [
    pytest.mark.server,
    pytest.mark.xdist_group("demo"),
    pytest.mark.usefixtures("prefect_api"),
]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Make a study of tubes that no shipped panel and no calibration fits."""
    plain = tmp_path / "plain"
    write_study(plain, patients=3, visits=2, seed=9, workers=1, events=0.25, settings=SETTINGS)
    for path in (plain / "inbox").iterdir():
        if path.stem.rpartition("_")[2] not in PANELS:
            path.unlink()
    with (plain / "samples.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if (plain / "inbox" / row["file"]).is_file()]
    with (plain / "samples.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    rewrite_study(plain, tmp_path / "study", other_instrument(6))
    shutil.rmtree(tmp_path / "study" / "panels")
    return tmp_path / "study"


def test_from_files_to_right_counts(study: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def said(*words: str | Path) -> Said:
        return reconflow_here(capfd, *words, "--study", study)

    for panel in PANELS:
        tubes = sorted((study / "inbox").glob(f"*_D-7_{panel}.fcs"))
        assert said("panel", "draft", *tubes, "--name", panel).code == 0
        assert said("panel", "check", panel, *tubes).code == 0
        assert said("panel", "release", panel, "1.1.0").code == 0

    first = said("run", "--strict", "--json")
    assert (first.code, first.document["uncalibrated"]) == (3, 12)
    assert first.document["counted"] == 12
    assert "counted without a calibration" in (study / "results" / "index.html").read_text()
    assert all("uncalibrated" in row["flags"] for row in kinetics(study))

    for panel in PANELS:
        assert said("calibrate", "draft", "--panel", panel, "--instrument", "five").code == 0
        reason = ("--by", "A. Keller", "--reason", "three baselines")
        assert said("calibrate", "release", panel, "five", "1.0.0", *reason).code == 0

    second = said("run", "--strict", "--json")
    assert (second.code, second.document["uncalibrated"]) == (0, 0)
    assert second.document["counted"] == 12
    rows = kinetics(study)
    assert {row["calibration"] for row in rows} == {"bcell/five@1.0.0", "cart/five@1.0.0"}
    ratios = defaultdict(list)
    truth = true_counts(study.parent / "plain")
    for row in rows:
        true = truth.get((row["patient"], row["visit"], row["panel"], row["population"]))
        if true is None or row["visit"] == "D-7":
            continue
        if true >= 50:
            ratios[row["population"]].append(int(row["events"]) / true)
        elif true == 0:
            # What is not there is neither quantified nor detected.
            assert row["code"] in {"ND", "NE"}, row
    assert {"t_cells", "car19_t", "carbcma_t", "lymphocytes"} <= ratios.keys()
    for population, found in ratios.items():
        assert median(found) == pytest.approx(1, abs=WITHIN.get(population, 0.10)), population


def kinetics(study: Path) -> list[dict[str, str]]:
    rows = []
    for path in sorted((study / "results" / "patients").glob("*/kinetics.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            rows += list(csv.DictReader(file))
    return rows


def true_counts(plain: Path) -> dict[tuple[str, ...], int]:
    """Give the true events of each tube by patient, visit, panel and population."""
    path = plain / "simulation-truth" / "populations.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return {
            (row["patient"], row["visit"], row["panel"], row["population"]): int(
                row["intact_events"]
            )
            for row in csv.DictReader(file)
            if row["specimen"] == "blood"
        }

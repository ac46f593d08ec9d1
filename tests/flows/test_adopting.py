"""Real files, from another program's gates to the kinetic tables, by commands alone.

The panels are written by hand in tests/data/adopting: this is about gates.
"""

import csv
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.flows.command import Said, reconflow_here
from tests.shared_data import SHARED, needs_shared

DATA = Path(__file__).resolve().parents[1] / "data"
AURORA = SHARED / "cell-counts"
ACTIVATION = SHARED / "t-cells-activation"
LYOPLATE = SHARED / "b-cells-lyoplate"
pytestmark = [
    needs_shared,
    pytest.mark.server,
    pytest.mark.xdist_group("demo"),
    pytest.mark.usefixtures("prefect_api"),
]


@dataclass(frozen=True)
class StudyByCommands:
    """A study that is set up as a laboratory sets one up."""

    folder: Path
    said: Callable[..., Said]

    def command(self, *words: str | Path) -> dict[str, Any]:
        """Run a command on the study, which must succeed."""
        done = self.said(*words, "--study", self.folder, "--json")
        assert done.code == 0, done.err
        return done.document

    def adopt(self, document: Path, panel: str, name: str, *more: str | Path) -> dict[str, Any]:
        """Import gates, say who approved them, release them and use them for their panel."""
        done = self.command("strategy", "import", document, "--panel", panel, "--name", name, *more)
        changes = self.folder / "strategies" / name / "1.0.0" / "CHANGES.md"
        with changes.open("a", encoding="utf-8") as file:
            file.write(f"# {name}\n\nTaken over as it was; approved by AB.\n")
        self.command("strategy", "release", name, "1.0.0")
        return done

    def use(self, strategies: dict[str, str]) -> None:
        """Write into study.yaml which strategy counts which panel."""
        lines = [f"  {panel}: {name}@1.0.0" for panel, name in strategies.items()]
        text = "\n".join(
            ["study: adopted", "workers: 1", "intake: {settle_seconds: 0}", "strategies:", *lines]
        )
        (self.folder / "study.yaml").write_text(f"{text}\n", encoding="utf-8")

    def sheets(self, patients: dict[str, str], samples: list[str]) -> None:
        """Write patients.csv and samples.csv."""
        rows = [f"{patient},{infused}" for patient, infused in patients.items()]
        (self.folder / "patients.csv").write_text(
            "\n".join(["patient,infused", *rows]) + "\n", encoding="utf-8"
        )
        header = "file,patient,collected,panel,visit,lymphocytes_per_ul,leukocytes_per_ul,dilution"
        (self.folder / "samples.csv").write_text(
            "\n".join([header, *samples]) + "\n", encoding="utf-8"
        )

    def run(self) -> dict[str, Any]:
        """Count what is in the inbox."""
        return self.command("run", "--strict")

    def kinetics(self, patient: str) -> pd.DataFrame:
        """Read a patient's kinetic table."""
        place = self.folder / "results" / "patients" / patient / "kinetics.csv"
        return pd.read_csv(place).set_index(["visit", "population"])


@pytest.fixture
def study(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> StudyByCommands:
    def said(*words: str | Path) -> Said:
        return reconflow_here(capfd, *words)

    folder = tmp_path / "study"
    assert said("init", folder).code == 0
    (folder / "panels").mkdir(exist_ok=True)
    for panel in (DATA / "adopting" / "aurora.yaml", DATA / "adopting" / "activation.yaml"):
        shutil.copy(panel, folder / "panels")
    shutil.copy(DATA / "lyoplate" / "panels" / "lyoplate.yaml", folder / "panels")
    return StudyByCommands(folder, said)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_lyoplate_gating_ml_gives_the_counts_of_opencyto(study: StudyByCommands) -> None:
    tube = "12828_1_Bcell_C01"
    done = study.adopt(LYOPLATE / f"{tube}.gatingml.xml", "lyoplate", "lyoplate")
    assert len(done["gates"]) == 22
    study.use({"lyoplate": "lyoplate"})
    study.sheets(
        {"P01": "2014-06-01T10:00"},
        [f"{tube}.fcs,P01,2014-06-29T09:00,lyoplate,D28,1500,,"],
    )
    shutil.copy(LYOPLATE / f"{tube}.fcs", study.folder / "inbox")
    assert study.run()["counted"] == 1
    reference = {
        row["path"].rpartition("/")[2]: int(row["recorded_count"])
        for row in rows_of(LYOPLATE / f"{tube}.counts.csv")
    }
    counted = study.kinetics("P01")["events"]
    named = {
        "lymphocytes": "lymph",
        "t_cells": "CD3",
        "b_cells": "CD19andCD20",
        "b_cells_cd20": "CD20",
        "naive_b": "IgD+CD27-",
        "unswitched_memory_b": "IgD+CD27+",
        "switched_memory_b": "IgD-CD27+",
        "double_negative_b": "IgD-CD27-",
        "transitional_b": "Transitional",
        "plasmablasts": "Plasmablasts",
    }
    assert {name: counted["D28", name] for name in named} == {
        name: reference[gate] for name, gate in named.items()
    }
    per_ul = study.kinetics("P01").loc[("D28", "naive_b"), "per_ul"]
    assert per_ul == pytest.approx(1500 * reference["IgD+CD27-"] / reference["lymph"])


def test_activation_gating_ml_gives_the_counts_of_flowworkspace(study: StudyByCommands) -> None:
    gates = {
        "Cells": "Cells",
        "Single_Cells": "Single Cells",
        "Dead_Cells": "Dead Cells",
        "Live_Cells": "Live Cells",
        "Dendritic_Cells": "Dendritic Cells",
        "CD69pos_CD8_T_Cells": "CD69+ CD8 T Cells",
        "CD69pos_CD4_T_Cells": "CD69+ CD4 T Cells",
    }
    wanted = [word for gate in gates for word in ("--report", gate)]
    study.adopt(
        ACTIVATION / "activation_01.gatingml.xml",
        "activation",
        "act",
        "--fcs",
        ACTIVATION / "Activation_1.fcs",
        *wanted,
    )
    study.use({"act": "act"})
    study.sheets(
        {"P01": "2020-01-01T10:00"},
        [f"Activation_{n}.fcs,P01,2020-01-{n + 7:02d}T09:00,act,D{n + 6},,," for n in (1, 2, 3, 4)],
    )
    for number in (1, 2, 3, 4):
        shutil.copy(ACTIVATION / f"Activation_{number}.fcs", study.folder / "inbox")
    assert study.run()["counted"] == 4
    counted = study.kinetics("P01")["events"]
    named = {"t_cells": "T Cells", "cd4_t": "CD4 T Cells", "cd8_t": "CD8 T Cells"} | gates
    for row in rows_of(ACTIVATION / "counts.csv"):
        gate = row["path"].rpartition("/")[2]
        if gate != "root":
            (population,) = [name for name, called in named.items() if called == gate]
            visit = f"D{int(row['sample'][11]) + 6}"
            assert counted[visit, population] == int(row["count"]), row


def test_aurora_tubes_give_counts_and_concentrations_by_their_volume(
    study: StudyByCommands,
) -> None:
    """Each of these tubes was gated by hand, so each has a panel and strategy of its own."""
    tubes = {
        "INF041-04_02": ("INF041", "D4"),
        "INF041-09_01": ("INF041", "D9"),
        "INF041-Cord": ("INF041", "D0"),
        "ND006-01": ("ND006", "D0"),
    }
    panel = (study.folder / "panels" / "aurora.yaml").read_text(encoding="utf-8")
    samples, used = [], {}
    for tube, (patient, visit) in tubes.items():
        name = tube.replace("-", "_")
        (study.folder / "panels" / f"{name}.yaml").write_text(
            panel.replace("panel: aurora", f"panel: {name}"), encoding="utf-8"
        )
        file = AURORA / f"CellCounts5L_AB_01-{tube}.fcs"
        document = file.with_suffix(".gatingml.xml")
        study.adopt(document, name, name, "--fcs", file, "--report", "Cells", "--report", "Debris")
        used[name] = name
        day = int(visit[1:]) + 1
        samples.append(f"{file.name},{patient},2023-05-{day:02d}T09:00,{name},{visit},,,1")
        shutil.copy(file, study.folder / "inbox")
    study.use(used)
    study.sheets(dict.fromkeys(("INF041", "ND006"), "2023-05-01T08:00"), samples)
    assert study.run()["counted"] == len(tubes)
    named = {"CD45pos": "leukocytes", "CD19pos": "b_cells", "Cells": "Cells", "Debris": "Debris"}
    tables = {patient: study.kinetics(patient) for patient in ("INF041", "ND006")}
    compared = 0
    for row in rows_of(AURORA / "counts.csv"):
        tube = row["file"].removeprefix("CellCounts5L_AB_01-").removesuffix(".fcs")
        population = named.get(row["population"].rpartition("/")[2])
        if population is None or tube not in tubes:
            continue
        patient, visit = tubes[tube]
        got = tables[patient].loc[(visit, population)]
        assert got["events"] == int(row["count_numpy"]), row
        assert got["per_ul"] == pytest.approx(float(row["per_uL"]), abs=6e-5), row
        assert got["method"] == "volumetric"
        compared += 1
    assert compared == 4 * len(tubes)


def test_a_flowjo_workspace_gives_the_counts_it_recorded(study: StudyByCommands) -> None:
    folder = SHARED / "flowjo" / "cell_counts"
    done = study.adopt(
        folder / "CellCounts.wsp", "aurora", "cellcounts", "--all-samples", "--fcs", folder
    )
    counts = {(row["sample"][13:18], row["gate"]): row for row in done["counts"]}
    assert counts["NY072", "Margin/CD45+"]["verdict"] == "within the binning"
    own = counts["NY071", "Margin/CD45+"]
    assert (own["recorded"], own["counted"], own["verdict"]) == (
        2193,
        2253,
        "own gate in this sample",
    )
    (deviation,) = done["deviations"]
    assert (deviation["deviation"], deviation["counted_own"]) == ("drawn otherwise", 2189)
    study.use({"aurora": "cellcounts"})
    study.sheets(
        {"P71": "2024-01-01T08:00", "P72": "2024-01-01T08:00"},
        [f"CellCounts4L-NY0{n}-1.fcs,P{n},2024-01-15T09:00,aurora,D14,,,1" for n in (71, 72)],
    )
    for file in folder.glob("*.fcs"):
        shutil.copy(file, study.folder / "inbox")
    assert study.run()["counted"] == 2
    for sample, patient in (("NY071", "P71"), ("NY072", "P72")):
        table = study.kinetics(patient).loc[("D14", "leukocytes")]
        assert table["events"] == counts[sample, "Margin/CD45+"]["counted"]
        assert table["method"] == "volumetric"
    sheet = study.folder / "strategies" / "cellcounts" / "1.0.0" / "DEVIATIONS.csv"
    why = ("--by", "A. Okafor", "--second", "B. Lee", "--reason", "as drawn in FlowJo")
    corrected = study.command("tube", "correct", "--from", sheet, *why)
    assert (len(corrected["tubes"]), corrected["lines_left_out"]) == (1, [])
    assert study.kinetics("P71").loc[("D14", "leukocytes")]["events"] == deviation["counted_own"]
    again = study.command("tube", "correct", "--from", sheet, *why)
    assert (again["tubes"], again["lines_there_already"]) == ([], [2])

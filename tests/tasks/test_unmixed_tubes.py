"""A tube that a spectral cytometer unmixed is accepted and counted as the same tube compensated."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from gating.exchange.describe_files import describe_files
from panels.catalogue import load_panel
from panels.drafting.draft import draft_panel
from panels.drafting.place_draft import known_panels, write_draft
from panels.simulation.conditions import Conditions
from panels.simulation.expression import cell_table
from panels.simulation.tube import SimulatedTube, simulate_tube
from tasks.simulate.fcs import FcsChannel, FcsSpill, write_fcs
from tasks.study.folder import Study
from tasks.tubes.single_file import gate_file, inspect_file
from tests.tasks.plain_pass import plain_night
from tests.tasks.study_folder import DRAWN, make_study

SPECTRAL = {
    "Cytek": {"$CYT": "Aurora", "CREATOR": "SpectroFlo 3.3.0"},
    "ID7000": {"$CYT": "ID7000"},
    "Opteon": {"$CYT": "NovoCyte Opteon"},
}


@pytest.fixture(scope="module")
def simulated() -> SimulatedTube:
    """Simulate a B-cell tube with every kind of cell."""
    table = cell_table()
    composition = {kind: 6000 / len(table.kinds) for kind in table.kinds}
    generator = np.random.default_rng(8)
    return simulate_tube(load_panel("bcell"), composition, Conditions(), generator)


def mixed_file(path: Path, tube: SimulatedTube) -> Path:
    """Write the tube as a conventional cytometer does: values with spill, and the spill."""
    channels = [FcsChannel(*pair) for pair in zip(tube.detectors, tube.labels, strict=True)]
    spill = FcsSpill(tube.spill_detectors, tube.stored_spill)
    write_fcs(path, tube.events, channels, dialect="fcs3.1-le", spill=spill, keywords={})
    return path


def unmixed_file(
    path: Path, tube: SimulatedTube, *, spill: bool, typed: bool, cytometer: str
) -> Path:
    """Write the tube as a spectral cytometer does: values without spill, an identity or nothing."""
    places = [tube.detectors.index(detector) for detector in tube.spill_detectors]
    events = tube.events.astype(np.float64)
    # The file of the conventional cytometer holds the coefficients with six digits.
    stored = np.array([[float(f"{value:.6g}") for value in row] for row in tube.stored_spill])
    events[:, places] = events[:, places] @ np.linalg.inv(stored)
    channels = [FcsChannel(*pair) for pair in zip(tube.detectors, tube.labels, strict=True)]
    identity = FcsSpill(tube.spill_detectors, np.eye(len(places))) if spill else None
    kinds = {f"$P{place + 1}TYPE": "Unmixed_Fluorescence" for place in places} if typed else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_fcs(
        path,
        events.astype(np.float32),
        channels,
        dialect="fcs3.1-le",
        spill=identity,
        keywords=SPECTRAL[cytometer] | kinds,
    )
    return path


CASES = [("Cytek", True, True), ("Cytek", False, True), ("ID7000", False, False)]
CASES += [("ID7000", True, False), ("Opteon", True, False), ("Opteon", False, True)]


@pytest.mark.parametrize(("cytometer", "spill", "typed"), CASES)
def test_an_unmixed_tube_is_drafted_accepted_and_counted(
    simulated: SimulatedTube, tmp_path: Path, cytometer: str, *, spill: bool, typed: bool
) -> None:
    made = {"spill": spill, "typed": typed, "cytometer": cytometer}
    tube = unmixed_file(tmp_path / "unmixed.fcs", simulated, **made)  # type: ignore[arg-type]
    shipped = known_panels(None)
    draft = draft_panel("bcell", describe_files([tube]), shipped, shipped)
    assert draft.compensated.value is False
    assert "unmixed" in draft.compensated.reason
    _, panel = write_draft(draft, tmp_path / "s" / "panels", tmp_path / "s" / "panels")
    assert panel.version == "1.1.0"
    found = inspect_file(tube, "bcell", tmp_path / "s")
    assert not found.refused
    mixed = mixed_file(tmp_path / "mixed.fcs", simulated)
    wanted = gate_file(mixed, strategy="bcell@1.0.0")
    counted = gate_file(tube, strategy="bcell@1.0.0", study=tmp_path / "s")
    numbers = [dict(each.gates) for each in (wanted, counted)]
    assert numbers[0].keys() == numbers[1].keys()
    # Values in single precision may lie on the other side of a bound.
    assert max(abs(numbers[0][gate] - numbers[1][gate]) for gate in numbers[0]) <= 2
    assert sum(numbers[1].values()) > 10_000


def counted(study: Study) -> dict[str, float]:
    """Run a study with one tube; gives the events of each population in its published table."""
    assert len(plain_night(study).counted) == 1
    table = pd.read_csv(study.results / "patients" / "P01" / "kinetics.csv")
    return dict(zip(table["population"], table["events"], strict=True))


def test_a_run_counts_an_unmixed_tube_as_the_compensated_one(
    simulated: SimulatedTube, tmp_path: Path
) -> None:
    line = f"t.fcs,P01,{DRAWN},bcell"
    usual = make_study(tmp_path / "usual", [line])
    mixed_file(usual.inbox / "t.fcs", simulated)
    unmixed = make_study(tmp_path / "unmixed", [line])
    made = {"spill": True, "typed": True, "cytometer": "Cytek"}
    unmixed_file(unmixed.inbox / "t.fcs", simulated, **made)  # type: ignore[arg-type]
    own = load_panel("bcell").model_dump(mode="json") | {"compensated": False, "version": "1.1.0"}
    unmixed.own_panels.mkdir()
    (unmixed.own_panels / "bcell.yaml").write_text(yaml.safe_dump(own), encoding="utf-8")
    wanted, found = counted(usual), counted(unmixed)
    assert wanted["b_cells"] > 500
    assert wanted.keys() == found.keys()
    assert {name: abs(found[name] - wanted[name]) <= 2 for name in wanted} == dict.fromkeys(
        wanted, True
    )

"""A patient's simulated B-cell tubes, counted: the study that decisions and corrections begin
with."""

import shutil
from functools import partial
from pathlib import Path

import pytest

from tasks.corrections.correct import Request, correct_tube
from tasks.results.cohort_tables import build_cohort
from tasks.simulate.study import TRUTH, write_study
from tasks.study.folder import Study, open_study
from tests.tasks.made_once import made_once
from tests.tasks.plain_pass import plain_night

FILE = "P01_D84_bcell.fcs"
BASELINE = "P01_D-7_bcell.fcs"
DEPLETED = "P01_D10_bcell.fcs"
COMPANION = "P01_D84_cart.fcs"
"""Another tube of the visit of FILE."""
BORDER = {"cd24_tr": 8500.0}
"""A border of transitional B cells that lies higher, within its limits."""


def simulated(folder: Path, *, store: str = "", further: str = "") -> Study:
    """Simulate three B-cell tubes of a patient, and a ``further`` one, and make a whole pass."""
    made = write_study(folder, patients=1, visits=7, events=0.1, workers=1).folder
    shutil.rmtree(made / TRUTH)
    for path in (made / "inbox").iterdir():
        if path.name not in {BASELINE, DEPLETED, FILE, further}:
            path.unlink()
    with (made / "study.yaml").open("a", encoding="utf-8") as file:
        file.write(f"intake: {{settle_seconds: 0}}\n{store}")
    study = open_study(made)
    build_cohort(plain_night(study).snapshot)
    return study


def request(**change: object) -> Request:
    """Ask for BORDER, or for what ``change`` says."""
    given = {"by": "A. Okafor", "reason": "the valley lies higher", "thresholds": BORDER}
    return Request(**(given | change))  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def counted_patient(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The three tubes, counted."""
    return made_once(tmp_path_factory, "counted_patient", simulated)


@pytest.fixture(scope="session")
def corrected_patient(counted_patient: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The three tubes, counted, and ``request()`` made in FILE."""

    def make(folder: Path) -> None:
        shutil.copytree(counted_patient, folder)
        correct_tube(open_study(folder), FILE, request())

    return made_once(tmp_path_factory, "corrected_patient", make)


@pytest.fixture(scope="session")
def accompanied_patient(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The three tubes and COMPANION, counted."""
    return accompanied(tmp_path_factory)


def accompanied(temporary: pytest.TempPathFactory) -> Path:
    """Give the folder of the three tubes and COMPANION, counted; to be copied, never changed."""
    make = partial(simulated, further=COMPANION)
    return made_once(temporary, "accompanied_patient", make)

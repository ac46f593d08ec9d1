"""The tables have one row a visit: a label that stands for two draws stops them, and what is missing is said."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from panels.errors import ReconflowError
from tasks.build_tables import patient_kinetics
from tasks.counting.counts import TubeCounts
from tasks.identity import TubeIdentity
from tasks.intake.patients import read_patients
from tests.tasks.study_folder import make_study

DRAWN = datetime(2026, 2, 7, 8, 30)  # noqa: DTZ001
TUBE = TubeIdentity("a" * 64, "a.fcs", "P01", DRAWN, "bcell", "M1")


def counts(identity: TubeIdentity) -> TubeCounts:
    return TubeCounts(identity, "bcell@1.0.0", "f" * 64, {}, None, 1000, ())


def test_two_draws_under_one_label_that_came_in_earlier_stop_the_patients_tables(tmp_path: Path) -> None:
    study = make_study(tmp_path / "s")
    patient = read_patients(study.patients_sheet).patients["P01"]
    later = replace(TUBE, tube_sha256="b" * 64, file="b.fcs", collected=DRAWN + timedelta(days=28))
    with pytest.raises(ReconflowError, match=r"b\.fcs .*a\.fcs .*28\.0 days apart"):
        patient_kinetics(study, {}, patient, [counts(TUBE), counts(later)])

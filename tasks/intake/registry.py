"""Hold what a study knows of its samples and patients at one moment."""

from dataclasses import dataclass
from datetime import UTC, datetime

from tasks.intake.inbox import Listing
from tasks.sheets.patients import PatientSheet
from tasks.sheets.samples import SampleSheet, read_samples
from tasks.study.folder import Study
from tasks.study.settings import StudySettings


@dataclass(frozen=True, slots=True)
class Registry:
    """All a study knows of its samples and patients at one moment (``now``, UTC without offset)."""

    samples: SampleSheet
    patients: PatientSheet
    settings: StudySettings
    now: datetime


def read_registry(study: Study, patients: PatientSheet, listing: Listing) -> Registry:
    """Read the sample sheets: the study's, and those that lie in the inbox."""
    samples = read_samples(study.samples_sheet, study.inbox, listing.sheets)
    now = datetime.now(UTC).replace(tzinfo=None)
    return Registry(samples, patients, study.settings, now)

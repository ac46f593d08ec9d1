"""Open a study: its folder, its settings and where everything of it lies."""

from dataclasses import dataclass
from pathlib import Path

from tasks.sheets.patients import PatientSheet, read_patients
from tasks.store.opening import Store, open_store
from tasks.study.settings import StudySettings, load_settings

_SQLITE = "sqlite:///"


@dataclass(frozen=True, slots=True)
class Study:
    """A study folder and its settings."""

    folder: Path
    settings: StudySettings

    @property
    def inbox(self) -> Path:
        """Give the folder that is watched."""
        return self.folder / self.settings.inbox

    @property
    def archive(self) -> Path:
        """Give the folder of accepted files."""
        return self.folder / self.settings.archive

    @property
    def quarantine(self) -> Path:
        """Give the folder of refused files."""
        return self.folder / self.settings.quarantine

    @property
    def results(self) -> Path:
        """Give the folder of everything that is written for people."""
        return self.folder / self.settings.results

    @property
    def front_page(self) -> Path:
        """Give the report's front page, which the first pass writes."""
        return self.results / "index.html"

    @property
    def samples_sheet(self) -> Path:
        """Give the study's own sample sheet."""
        return self.folder / "samples.csv"

    @property
    def patients_sheet(self) -> Path:
        """Give the sheet of patients and infusions."""
        return self.folder / "patients.csv"

    @property
    def drugs_sheet(self) -> Path:
        """Give the sheet of drugs that hide markers, which may not exist."""
        return self.folder / "drugs.csv"

    @property
    def instruments_sheet(self) -> Path:
        """Give the sheet of services and other events of instruments, which may not exist."""
        return self.folder / "instruments.csv"

    @property
    def own_panels(self) -> Path:
        """Give the folder of the laboratory's own panels, which may not exist."""
        return self.folder / "panels"

    @property
    def own_strategies(self) -> Path:
        """Give the folder of the laboratory's own strategies, which may not exist."""
        return self.folder / "strategies"

    @property
    def own_calibrations(self) -> Path:
        """Give the folder of the laboratory's own calibrations, which may not exist."""
        return self.folder / "calibrations"

    @property
    def store_url(self) -> str:
        """Give the address of the store; a relative SQLite file lies in the study folder."""
        url = self.settings.store
        return (
            _SQLITE + str(self.folder / url.removeprefix(_SQLITE))
            if url.startswith(_SQLITE)
            else url
        )

    @property
    def store_file(self) -> Path | None:
        """Give the file of an SQLite store, which may not exist; None of another database."""
        url = self.store_url
        return Path(url.removeprefix(_SQLITE)) if url.startswith(_SQLITE) else None

    def store(self) -> Store:
        """Open the store; use it in a ``with`` block."""
        return open_store(self.store_url, self.settings.local_zone)

    def patients(self) -> PatientSheet:
        """Read the sheet of patients, its times in the study's time zone."""
        return read_patients(self.patients_sheet, self.settings.local_zone)

    def place_of(self, path: Path) -> str:
        """Write a path as the ledger does: relative to the study where it lies in it.

        So the study can be moved.
        """
        return (
            path.relative_to(self.folder) if path.is_relative_to(self.folder) else path
        ).as_posix()

    def path_of(self, place: str) -> Path:
        """Give the path of a place of the ledger."""
        return self.folder / place


def open_study(folder: Path) -> Study:
    """Open a study folder; raises SettingsFault when it is none or its settings are wrong."""
    settings = load_settings(folder)  # Watches the folder, which may hang already.
    return Study(folder=folder.resolve(), settings=settings)

"""Say when a line of a sheet is gone whose tube was taken in, or whose patient has tubes.

Nothing is deleted for it: a line is lost more easily than it is taken out on purpose, and results
that vanish with a slip of the spreadsheet would be missed by nobody. But the tables then hold what
no sheet vouches for, which has to be said until it is mended.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from tasks.intake.identify import Registry, identify
from tasks.intake.inbox import list_inbox
from tasks.sheets.patients import NAME as PATIENTS
from tasks.sheets.patients import PatientSheet
from tasks.sheets.samples import NAME as SAMPLES
from tasks.sheets.samples import read_samples
from tasks.store.editions import last_editions
from tasks.store.tubes import Tube
from tasks.study.folder import Study
from tasks.vocabulary.moments import instant

MOST_TOLD = 5
"""So many tubes are told of one by one."""


def gone_lines(study: Study, patients: PatientSheet, known: Sequence[Tube]) -> tuple[str, ...]:
    """Give a sentence for every line that is gone; ``known`` are all tubes taken in."""
    samples = read_samples(study.samples_sheet, study.inbox, list_inbox(study).sheets)
    registry = Registry(samples, patients, study.settings, datetime.now(UTC).replace(tzinfo=None))
    # Sheets lie in the inbox too: while its share is away, or one cannot be read, nothing is known
    # to be gone.
    unsure = bool(samples.unread()) or not study.inbox.is_dir()
    unnamed = [] if unsure else [tube for tube in known if not samples.naming(tube.file.inbox_path)]
    gone = [tube for tube in unnamed if not _said_otherwise(registry, tube)]
    return (*_of_samples(gone), *_of_patients(study, patients, known))


def _said_otherwise(registry: Registry, tube: Tube) -> bool:
    """Tell whether the file's name or keywords say all that a line would."""
    found = identify(registry, tube.file.inbox_path, tube.identity.tube_sha256, tube.keywords)
    return found.identity is not None or tube.identity.patient not in registry.patients.patients


def _of_samples(gone: Sequence[Tube]) -> Iterator[str]:
    if len(gone) > MOST_TOLD:
        named = ", ".join(tube.file.inbox_path for tube in gone[:MOST_TOLD])
        yield (
            f"{SAMPLES}: no line names {len(gone)} tubes any more that were taken in: {named} "
            f"… Their results stay as they are. "
            "Put the lines back, or withdraw the tubes."
        )
        return
    for tube in gone:
        own = tube.identity
        yield (
            f"{SAMPLES}: no line names {tube.file.inbox_path} any more, whose tube "
            f"{own.tube_sha256[:12]} was taken in. The line said: "
            f"patient {own.patient}, collected {own.collected.isoformat()}, panel "
            f"{own.panel}, visit {own.visit}, {own.specimen}"
            f"{f', control {own.control}' if own.control else ''}. Its results stay as they "
            f"are. Put the line back, or withdraw the tube."
        )


def _of_patients(study: Study, patients: PatientSheet, known: Sequence[Tube]) -> Iterator[str]:
    if any(not fault.concerns for fault in patients.faults):
        return
    faulty = {name for fault in patients.faults for name in fault.concerns}
    tubes: dict[str, int] = {}
    for tube in known:
        tubes[tube.identity.patient] = tubes.get(tube.identity.patient, 0) + 1
    for name in sorted(tubes.keys() - set(patients.patients) - faulty):
        number = "a tube" if tubes[name] == 1 else f"{tubes[name]} tubes"
        yield (
            f"{PATIENTS}: there is no line of {name} any more, of whom {number} "
            f"{'was' if tubes[name] == 1 else 'were'} taken in."
            f"{_infused_by_tables(study, name)} The results stay as they are. Put the line "
            f"back, or withdraw the tubes."
        )


def _infused_by_tables(study: Study, patient: str) -> str:
    """Say when the patient was infused by the tables made last."""
    with study.store() as store:
        tables = last_editions(store, patient).get(patient)
    row = next(csv.DictReader(io.StringIO(tables.kinetics.decode())), None) if tables else None
    if row is None:
        return ""
    zone, collected = study.settings.local_zone, datetime.fromisoformat(row["collected"])
    infused = instant(collected, zone) - timedelta(seconds=round(float(row["day"]) * 86_400))
    local = infused.astimezone(ZoneInfo(zone) if zone else collected.tzinfo or UTC)
    written = local if collected.tzinfo else local.replace(tzinfo=None)
    return f" By its tables it said: infused {written.isoformat(timespec='minutes')}."

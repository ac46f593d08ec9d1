"""Report when a line of a sheet is gone whose tube was taken in, or whose patient has tubes.

Nothing is deleted for it: a line is lost more easily than it is taken out on purpose, and results
that vanish with a slip of the spreadsheet would be missed by nobody. But the tables then hold what
no sheet says any more, which is reported until it is corrected.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from tasks.intake.identify import identify
from tasks.intake.inbox import is_inbox_there
from tasks.intake.registry import Registry
from tasks.sheets.patients import NAME as PATIENTS
from tasks.sheets.patients import PatientSheet
from tasks.sheets.samples import NAME as SAMPLES
from tasks.store.editions import last_editions
from tasks.store.exclusions import excluded_tubes
from tasks.store.tube_lists import TubeName, names_taken_in
from tasks.store.tubes import Tube, taken_in
from tasks.study.folder import Study
from tasks.vocabulary.moments import instant

MOST_SINGLE = 5
"""So many tubes have a sentence each."""


def gone_lines(study: Study, registry: Registry) -> tuple[str, ...]:
    """Give a sentence for every line that is gone.

    A tube that a person excluded is in no series any more, and is not asked about.
    """
    with study.store() as store:
        excluded = excluded_tubes(store)
        named = names_taken_in(store)
    names = [each for each in named if each.tube_sha256 not in excluded]
    gone: list[Tube] = []
    # Sheets lie in the inbox too: while its share is away, or one cannot be read, nothing is known
    # to be gone.
    if is_inbox_there(study) and not registry.samples.unread():
        gone = _unnamed(study, registry, names)
    return (*_of_samples(gone), *_of_patients(study, registry.patients, names))


def _unnamed(study: Study, registry: Registry, names: Sequence[TubeName]) -> list[Tube]:
    """List the tubes of which nothing says any more whose they are: no line, no name or keyword.

    A patient whose line is gone is reported once, and not for every tube.
    """
    without = {
        each.tube_sha256
        for each in names
        if each.patient in registry.patients.patients
        and not registry.samples.naming(each.inbox_path)
    }
    if not without:
        return []
    with study.store() as store:
        tubes = [each for each in taken_in(store) if each.identity.tube_sha256 in without]
    return [
        tube
        for tube in tubes
        if identify(
            registry, tube.file.inbox_path, tube.identity.tube_sha256, tube.keywords
        ).identity
        is None
    ]


def _of_samples(gone: Sequence[Tube]) -> Iterator[str]:
    if len(gone) > MOST_SINGLE:
        named = ", ".join(tube.file.inbox_path for tube in gone[:MOST_SINGLE])
        yield (
            f"{SAMPLES}: no line names {len(gone)} tubes any more that were taken in: {named} "
            f"… Their results stay as they are. "
            "Put the lines back, or take the tubes out: reconflow tube exclude"
        )
        return
    for tube in gone:
        identity = tube.identity
        control = f", control {identity.control}" if identity.control else ""
        yield (
            f"{SAMPLES}: no line names {tube.file.inbox_path} any more, whose tube "
            f"{identity.tube_sha256[:12]} was taken in. The line said: "
            f"patient {identity.patient}, collected {identity.collected.isoformat()}, panel "
            f"{identity.panel}, visit {identity.visit}, {identity.specimen}{control}. Its results "
            f"stay as they are. Put the line back, or take the tube out: reconflow tube exclude "
            f"{identity.tube_sha256[:12]}"
        )


def _of_patients(study: Study, patients: PatientSheet, names: Sequence[TubeName]) -> Iterator[str]:
    if any(not fault.concerns for fault in patients.faults):
        return
    faulty = {name for fault in patients.faults for name in fault.concerns}
    tubes = Counter(each.patient for each in names)
    for name in sorted(tubes.keys() - set(patients.patients) - faulty):
        number = "a tube was" if tubes[name] == 1 else f"{tubes[name]} tubes were"
        yield (
            f"{PATIENTS}: there is no line of {name} any more, of whom {number} taken in."
            f"{_infused_by_tables(study, name)} The results stay as they are. Put the line "
            f"back, or take the tubes out: reconflow tube exclude"
        )


def _infused_by_tables(study: Study, patient: str) -> str:
    """Say when the patient was infused by the tables made last."""
    with study.store() as store:
        tables = last_editions(store, patient).get(patient)
    if tables is None:
        return ""
    row = next(csv.DictReader(io.StringIO(tables.kinetics.decode())), None)
    if row is None:
        return ""
    zone, collected = study.settings.local_zone, datetime.fromisoformat(row["collected"])
    infused = instant(collected, zone) - timedelta(seconds=round(float(row["day"]) * 86_400))
    local = infused.astimezone(_zone(zone, collected))
    if collected.tzinfo is None:
        local = local.replace(tzinfo=None)
    return f" By its tables it said: infused {local.isoformat(timespec='minutes')}."


def _zone(time_zone: str | None, collected: datetime) -> tzinfo:
    """Give the study's zone, else that of the times in the tables."""
    if time_zone:
        return ZoneInfo(time_zone)
    return collected.tzinfo or UTC

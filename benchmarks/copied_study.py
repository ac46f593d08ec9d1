"""Make a study of many counted tubes in little time: copies of a small study that was counted.

    PYTHONPATH=. python benchmarks/copied_study.py FINISHED FOLDER --tubes 10000

FINISHED is a study for which a pass has ended (`reconflow demo`). Each copy is a patient of its own
with dates, file names, bytes and counts of its own. Ledger, identities, measurements and counts are
written by the store's own functions; the pages of a tube are those of the copied one. The archive
holds a line of text for each tube instead of its events: what asks for events (a recount, a map)
cannot be measured on such a study. Tables, patients' pages and the cohort are left to the first
pass.
"""

import argparse
import csv
import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count, cycle
from pathlib import Path

import numpy as np

from gating.fcs.events import open_events
from gating.fcs.header import read_header
from gating.thresholds.measure import ThresholdMeasurement
from panels.files.csv_cells import csv_text
from tasks.simulate.fcs import Dialect, FcsChannel, FcsSpill, write_fcs
from tasks.steps.pass_under_way import Pass
from tasks.store.gatings import TubeGating, gatings_of, save_gating
from tasks.store.ledger import FileStat, add_file, all_files, set_state
from tasks.store.measurements import MeasuredWith, measurements_of, save_measurements
from tasks.store.opening import Store
from tasks.store.tubes import Tube, save_tube, taken_in
from tasks.strategies.in_use import read_snapshot
from tasks.study.folder import Study, open_study
from tasks.study.snapshot import StrategyInUse
from tasks.tubes.gating_page import SHOWN
from tasks.tubes.reference_tubes import measured_with, reference_sets
from tasks.tubes.tube_pages import tube_folder

DAYS_BETWEEN_PATIENTS = 3
"""As in a trial of 40 sites in which each treats a patient every four months."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A tube of the study that is made: whose copy it is, and the patient that it is a tube of."""

    of: Tube
    patient: str
    later: timedelta

    @property
    def file(self) -> str:
        """Give the file's name."""
        return self.patient + self.of.identity.file.removeprefix(self.of.identity.patient)

    @property
    def content(self) -> bytes:
        """Give the bytes that lie in the archive in the place of events."""
        return f"{self.file} is a copy of {self.of.identity.tube_sha256}\n".encode()

    @property
    def sha256(self) -> str:
        """Give the hash of these bytes."""
        return hashlib.sha256(self.content).hexdigest()


def main() -> None:
    """Make a study of as many tubes as were asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("finished", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tubes", type=int, default=10_000)
    options = parser.parse_args()
    made = copied_study(options.finished.resolve(), options.folder.resolve(), options.tubes)
    print(f"{made:,} counted tubes in {options.folder}")


def copied_study(finished: Path, folder: Path, tubes: int) -> int:
    """Make a study of at least so many tubes, whole patients each; gives how many there are."""
    source = open_study(finished)
    _refuse_uncounted(source)
    copies = copies_of(source, tubes)
    begin_study(source, folder, copies)
    study = open_study(folder)
    with study.store() as store:
        _enter(study, store, copies)
        _count(source, study, store, copies)
    return len(copies)


def _refuse_uncounted(source: Study) -> None:
    """Refuse a study that a pass would count anew: so it would all copies, which have no events."""
    due = len(Pass(read_snapshot(source)).tubes())
    if due:
        raise SystemExit(
            f"{due} tubes of {source.folder} would be counted anew by this program: "
            f"reconflow run --study {source.folder}"
        )


def copies_of(source: Study, tubes: int) -> list[Copy]:
    """Copy the tubes of a finished study until there are so many, whole patients each."""
    with source.store() as store:
        originals = taken_in(store)
    copies: list[Copy] = []
    patients = cycle(sorted({tube.identity.patient for tube in originals}))
    for number, patient in zip(count(1), patients, strict=False):
        if len(copies) >= tubes:
            break
        # Into the past: a tube of tomorrow is looked at again every night.
        later = timedelta(days=-DAYS_BETWEEN_PATIENTS * number)
        of_patient = [each for each in originals if each.identity.patient == patient]
        taken = _kept_visits(of_patient, number)
        copies += [Copy(tube, f"S{number:05d}", later) for tube in taken]
    return copies


def begin_study(source: Study, folder: Path, copies: Sequence[Copy]) -> None:
    """Write a study with the settings of the finished one, the copies' sheets, an empty inbox."""
    (folder / "inbox").mkdir(parents=True)
    shutil.copyfile(source.folder / "study.yaml", folder / "study.yaml")
    _copy_sheets(source, folder, copies)


def drop_file(source: Study, inbox: Path, copy: Copy, events: int) -> None:
    """Write a copy's tube into an inbox as its cytometer would, with that many events.

    The events are those of the copied tube, from the first again where it has too few.
    """
    header = read_header(source.path_of(str(copy.of.file.place)))
    rows = np.resize(np.arange(header.event_count), events)
    read = open_events(header).columns(range(len(header.channels)))
    content = read.astype(np.float32)[rows]
    channels = [
        FcsChannel(each.detector, each.label, int(each.maximum)) for each in header.channels
    ]
    spill = header.spill and FcsSpill(header.spill.detectors, header.spill.matrix)
    acquired = copy.of.identity.acquired or copy.of.identity.collected
    kept = ("$CYT", "$CYTSN", "$TIMESTEP", "CREATOR", "TUBE NAME")
    keywords = {name: header.keywords[name] for name in kept if name in header.keywords}
    keywords["$DATE"] = f"{acquired + copy.later:%d-%b-%Y}".upper()
    keywords["$FIL"] = copy.file
    dialect: Dialect = "fcs3.1-le" if header.version == "FCS3.1" else "diva-fcs3.0-be"
    path = inbox / copy.file
    write_fcs(path, content, channels, dialect=dialect, spill=spill, keywords=keywords)


def _kept_visits(tubes: Sequence[Tube], number: int) -> list[Tube]:
    """Keep of a patient's tubes the first visit and every second of the others, in turns."""
    visits = list(dict.fromkeys(tube.identity.visit for tube in tubes))
    kept = {visits[0], *visits[1 + number % 2 :: 2]}
    return [tube for tube in tubes if tube.identity.visit in kept]


def _copy_sheets(source: Study, folder: Path, copies: Sequence[Copy]) -> None:
    """Write patients.csv and samples.csv with the copies' names and dates."""
    patients = {each["patient"]: each for each in _lines(source.folder / "patients.csv")}
    samples = {each["file"]: each for each in _lines(source.folder / "samples.csv")}
    persons = {copy.patient: _later(patients[copy.of.identity.patient], copy) for copy in copies}
    _write_lines(folder / "patients.csv", list(persons.values()))
    tubes = [
        _later(samples[copy.of.identity.file], copy) | {"file": copy.file, "batch": _batch(copy)}
        for copy in copies
    ]
    _write_lines(folder / "samples.csv", tubes)


def _lines(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def _write_lines(path: Path, lines: Sequence[dict[str, str]]) -> None:
    header = tuple(lines[0])
    path.write_text(csv_text(header, [tuple(line.values()) for line in lines]), encoding="utf-8")


def _later(line: dict[str, str], copy: Copy) -> dict[str, str]:
    """Give a line of a sheet to the copy's patient, with all its times moved."""
    moved = {
        name: (datetime.fromisoformat(cell) + copy.later).isoformat()
        for name, cell in line.items()
        if cell and (name in ("collected", "acquired") or name.startswith("infused"))
    }
    return line | moved | {"patient": copy.patient}


def _batch(copy: Copy) -> str:
    """Name the batch of a tube: the week in which it was acquired, as in the copied study."""
    return f"{(copy.of.identity.acquired or copy.of.identity.collected) + copy.later:%G-W%V}"


def _enter(study: Study, store: Store, copies: Sequence[Copy]) -> None:
    """Put the copies into the archive, and enter files and identities in the ledger."""
    with store.writing() as connection:
        for copy in copies:
            path = study.archive / copy.patient / f"{copy.sha256[:12]}.fcs"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(copy.content)
            seen = path.stat()
            stat = FileStat(seen.st_size, seen.st_mtime_ns, seen.st_mtime, copy.sha256)
            add_file(connection, copy.file, copy.file, study.place_of(path), stat)
    records = {record.sha256: record for record in all_files(store)}
    with store.writing() as connection:
        for copy in copies:
            old = copy.of.identity
            identity = replace(
                old,
                tube_sha256=copy.sha256,
                file=copy.file,
                patient=copy.patient,
                collected=old.collected + copy.later,
                acquired=old.acquired and old.acquired + copy.later,
                batch=_batch(copy),
            )
            named = {"cytometer": copy.of.cytometer, "serial": copy.of.serial}
            save_tube(connection, identity, copy.of.keywords, **named)
            set_state(connection, records[copy.sha256], "accepted", "")


def _count(source: Study, study: Study, store: Store, copies: Sequence[Copy]) -> None:
    """Copy measurements, counts and pages; the counts of each patient are a little different."""
    snapshot = read_snapshot(study)
    shas = {copy.of.identity.tube_sha256: copy.of for copy in copies}
    with source.store() as kept:
        counted = {sha256: gatings_of(kept, sha256)[-1] for sha256 in shas}
        measured = {
            sha256: _measured(kept, tube, snapshot.strategies[tube.identity.panel])
            for sha256, tube in shas.items()
        }
    for copy in copies:
        made, measurements = measured[copy.of.identity.tube_sha256]
        if measurements:
            save_measurements(store, copy.sha256, made, measurements)
    references = reference_sets(snapshot, store)
    for copy in copies:
        gating = counted[copy.of.identity.tube_sha256]
        asked = references[copy.sha256] if gating.reference_set_sha256 else ""
        save_gating(store, _counted_otherwise(gating, copy, asked))
        _copy_pages(source, study, copy)


def _measured(
    store: Store, tube: Tube, used: StrategyInUse
) -> tuple[MeasuredWith, dict[str, ThresholdMeasurement]]:
    """Read what was measured in a tube, if anything."""
    made = measured_with(used, used.for_tube(tube))
    sha256 = tube.identity.tube_sha256
    return made, measurements_of(store, [sha256], made).get(sha256, {})


def _counted_otherwise(gating: TubeGating, copy: Copy, references: str) -> TubeGating:
    """Give a tube's counts to its copy: each population of a patient is larger or smaller."""
    factors = np.random.default_rng(int(copy.patient[1:])).lognormal(0, 0.4, len(gating.counts))
    counts = []
    for each, factor in zip(gating.counts, factors, strict=True):
        events = min(round(each.events * factor), each.parent_events)
        asked = max(each.reference_events, events)
        counts.append(replace(each, events=events, reference_events=asked))
    return replace(
        gating,
        tube_sha256=copy.sha256,
        counts=tuple(counts),
        reference_set_sha256=references,
    )


def _copy_pages(source: Study, study: Study, copy: Copy) -> None:
    """Give a copy the files of its original, by hard links, and say whose they are."""
    folder = tube_folder(study, copy.sha256)
    folder.mkdir(parents=True)
    for path in tube_folder(source, copy.of.identity.tube_sha256).iterdir():
        if path.name != SHOWN:
            os.link(path, folder / path.name)
            continue
        shown = json.loads(path.read_text(encoding="utf-8"))
        moved = _later({name: shown[name] for name in ("collected", "acquired")}, copy)
        named = {"file": copy.file, "batch": _batch(copy)}
        says = json.dumps({**shown, **moved, **named}, sort_keys=True)
        (folder / SHOWN).write_text(f"{says}\n", encoding="utf-8")


if __name__ == "__main__":
    main()

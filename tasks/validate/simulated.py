"""Count a simulated study twice on this machine: right, the same bytes, read alike, and drawn."""

from __future__ import annotations

import csv
import hashlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from gating.fcs.events import open_events
from gating.fcs.header import read_header
from panels.text.plural import counted
from tasks.intake.take_in import take_in
from tasks.publish.page_data import read_data_script
from tasks.results.cohort_tables import build_cohort
from tasks.results.front_page import rewrite_front_page
from tasks.results.patient_tables import build_patient
from tasks.simulate.study import TRUTH, write_study
from tasks.steps.one_pass import one_pass
from tasks.strategies.in_use import read_snapshot
from tasks.study.folder import Study, open_study
from tasks.tubes.count_tube import count_tube, measure_reference
from tasks.validate.verdict import Verdict

READERS, ACCURACY, SAME, PAGES = "readers", "accuracy", "reproducibility", "pages"
PATIENTS, VISITS, EVENTS = 1, 3, 0.2
ENOUGH = 300
"""From so many cells on a count is held to ``MOST_OFF``."""
MOST_OFF = 0.15
FEW = 20
"""Fewer cells than this count as not detected; where there is none, none may be detected."""
JUDGED = (
    "t_cells",
    "cd4_t",
    "cd8_t",
    "b_cells",
    "naive_b",
    "naive_igm_igd_b",
    "car19_t",
    "carbcma_t",
)


def check_simulated(folder: Path) -> Iterator[Verdict]:
    """Make a study in an empty folder, count it twice, and judge what came out."""
    write_study(folder / "one", patients=PATIENTS, visits=VISITS, events=EVENTS, workers=1)
    shutil.copytree(folder / "one", folder / "two")
    tubes = sorted((folder / "one" / "inbox").glob("*.fcs"))
    yield from _readers(tubes[:3])
    studies = [_counted(folder / name) for name in ("one", "two")]
    yield from _accuracy(studies[0])
    yield _same_bytes(*studies)
    yield from _pages(studies[0])


def _counted(folder: Path) -> Study:
    """Make a whole pass without a server: take in, count, tables, cohort, front page."""
    with (folder / "study.yaml").open("a", encoding="utf-8") as settings:
        settings.write("intake: {settle_seconds: 0}\n")
    study = open_study(folder)
    with one_pass(folder, "run") as this:
        this.note_intake(take_in(study))
        for sha in this.references():
            measure_reference(this.snapshot, sha)
        due = this.tubes()
        assert this.counting is not None
        this.counted = [count_tube(this.counting, sha) for sha in due]
        for inputs in this.patients():
            build_patient(this.snapshot, inputs)
        build_cohort(this.snapshot)
    rewrite_front_page(read_snapshot(study))
    return study


def _readers(tubes: list[Path]) -> Iterator[Verdict]:
    """Read tubes with this program's reader, FlowIO through FlowKit, and fcsparser."""
    import flowkit
    from fcsparser import parse

    for path in tubes:
        header = read_header(path)
        ours = open_events(header).columns(range(len(header.channels)))
        theirs = flowkit.Sample(path, sample_id=path.stem).get_events("raw")
        third = parse(str(path), meta_data_only=True)
        holds = np.array_equal(ours, theirs) and int(third["$TOT"]) == len(ours)
        yield Verdict(
            READERS,
            f"{path.name}: FlowKit and fcsparser read what this program reads",
            holds,
            f"{len(ours):,} events × {len(header.channels)} channels; fcsparser {third['$TOT']}",
        )


def _accuracy(study: Study) -> Iterator[Verdict]:
    """Hold concentrations against those simulated, and see that nothing is found where none is."""
    keys = ("patient", "visit", "panel", "specimen", "population")
    true = {_key(row, keys): row for row in _rows(study.folder / TRUTH / "populations.csv")}
    for row in _rows(study.results / "cohort" / "kinetics.csv"):
        known = true[_key(row, keys)]
        if row["population"] not in JUDGED or row["specimen"] != "blood":
            continue
        cells, asked = int(known["intact_events"]), " ".join(row[key] for key in keys)
        if cells == 0:
            found = int(row["events"])
            evidence = f"{found} events ({row['code']})"
            yield Verdict(ACCURACY, f"{asked}: there is none", found < FEW, evidence)
        elif cells >= ENOUGH:
            found_per_ul, per_ul = float(row["per_ul"] or "nan"), float(known["per_ul"])
            evidence = f"{found_per_ul:.4g} per µL, {per_ul:.4g} simulated ({cells:,} cells)"
            holds = abs(found_per_ul / per_ul - 1) <= MOST_OFF
            yield Verdict(ACCURACY, f"{asked}: within {MOST_OFF:.0%}", holds, evidence)


def _same_bytes(one: Study, two: Study) -> Verdict:
    """Compare the tables of two passes over the same files, byte by byte."""
    first, second = (_hashes(study.results) for study in (one, two))
    differing = sorted(name for name in first | second if first.get(name) != second.get(name))
    named = f": {', '.join(differing[:3])}" if differing else ""
    return Verdict(
        SAME,
        "two passes over the same files write the same tables, byte by byte",
        bool(first) and not differing,
        f"{counted(len(first), 'table')}, {len(differing)} differ{named}",
    )


def _pages(study: Study) -> Iterator[Verdict]:
    """Read every page's data as the browser does, and see that what a page names is there."""
    results = study.results
    for kind, pattern in (("tube", "tubes/*/gating.js"), ("patient", "patients/*/series.js")):
        files = sorted(results.glob(pattern))
        faults = [path.parent.name for path in files if not _can_be_read(path)]
        evidence = f"{counted(len(files), 'file')}, {len(faults)} cannot be read"
        yield Verdict(PAGES, f"data of {kind} pages", bool(files) and not faults, evidence)
    wanted = [results / "index.html", results / "app.js", results / "app.css", results / "study.js"]
    wanted += [path.with_name("gating.html") for path in results.glob("tubes/*/gating.js")]
    wanted += [path.with_name("report.html") for path in results.glob("patients/*/series.js")]
    missing = [path.name for path in wanted if not path.is_file() or not path.stat().st_size]
    yield Verdict(
        PAGES, "every page is there", not missing, f"{len(wanted)} pages, missing: {missing}"
    )


def _can_be_read(path: Path) -> bool:
    try:
        return isinstance(read_data_script(path.read_bytes()), dict)
    except ValueError:
        return False


def _hashes(results: Path) -> dict[str, str]:
    files = [*results.glob("patients/*/*.csv"), *results.glob("cohort/*.csv")]
    return {
        path.relative_to(results).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _key(row: Mapping[str, str], keys: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(row[key] for key in keys)

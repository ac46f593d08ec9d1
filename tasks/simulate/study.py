"""Make a whole simulated study folder: settings, sheets and an inbox of genuine FCS files.

The truth is in a folder apart.
"""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import chain
from multiprocessing import get_context
from pathlib import Path

from panels.simulation.expression import cell_table
from panels.text.errors import UsageFault
from tasks.simulate.plan import (
    BEADS_PER_TUBE,
    SECOND_PRODUCT,
    TBNK_BLOOD_UL,
    VISIT_DAYS,
    Draw,
    PlannedTube,
    plan_draws,
    plan_tubes,
    total,
)
from tasks.simulate.tube import WrittenTube, write_tube

TRUTH = "simulation-truth"
"""The folder that holds what is true of the tubes; the pipeline never reads it."""

CAR_REAGENT = "anti-FMC63 idiotype PE lot A1 + BCMA-His APC lot B1"

SETTINGS = "# A simulated study: no patient was ever behind it.\nstudy: demo-sle\n"
_PATIENT_COLUMNS = ("patient", "infused", "infused_car19", "infused_carbcma", "baseline_visit")
_SAMPLE_COLUMNS = (
    "file",
    "patient",
    "collected",
    "panel",
    "visit",
    "specimen",
    "acquired",
    "instrument",
    "batch",
    "operator",
    "leukocytes_per_ul",
    "beads_per_tube",
    "blood_volume_ul",
    "car_reagent",
)
_DRAW_COLUMNS = ("file", "patient", "visit", "day", "panel", "specimen")
_TUBE_COLUMNS = (*_DRAW_COLUMNS, "v_eff_ul", "events", "beads", "leukocytes_per_ul")
_POPULATION_COLUMNS = (
    *_DRAW_COLUMNS,
    "population",
    "per_ul",
    "share_of_leukocytes",
    "intact_events",
    "cells",
)
_KIND_COLUMNS = (*_DRAW_COLUMNS, "kind", "per_ul", "intact_events", "cells")


@dataclass(frozen=True, slots=True)
class SimulatedStudy:
    """A study folder that was written: its tubes (file names in the inbox), the truth's folder."""

    folder: Path
    tubes: tuple[str, ...]
    truth: Path


def write_study(  # noqa: PLR0913 - keyword-only options of one call
    folder: Path,
    *,
    patients: int = 2,
    visits: int = 12,
    seed: int = 1,
    workers: int = 2,
    events: float = 1.0,
    settings: str = SETTINGS,
    progress: Callable[[str, int, int], None] | None = None,
) -> SimulatedStudy:
    """Write a simulated study into ``folder``.

    The same arguments give the same bytes, whatever ``workers`` is. ``events`` scales how much of
    each tube is acquired; ``settings`` is the text of study.yaml; ``progress`` is called with each
    file, how many are done and how many there will be. Raises UsageFault when the folder already
    holds a study or the numbers make no sense.
    """
    _check(folder, patients, visits)
    truth = folder / TRUTH
    for needed in (folder / "inbox", truth / "events"):
        needed.mkdir(parents=True, exist_ok=True)
    draws = [draw for number in range(patients) for draw in plan_draws(number, visits, seed)]
    tubes = [tube for draw in draws for tube in plan_tubes(draw, seed, events)]
    (folder / "study.yaml").write_text(settings, encoding="utf-8")
    _write_sheets(folder, draws, tubes)
    job = partial(write_tube, inbox=folder / "inbox", truth=truth)
    written = []
    with _mapper(workers) as mapper:
        for done, tube in enumerate(mapper(job, [tube.plan for tube in tubes]), 1):
            written.append(tube)
            if progress:
                progress(tube.file, done, len(tubes))
    _write_truth(truth, tubes, written)
    return SimulatedStudy(folder=folder, tubes=tuple(tube.plan.file for tube in tubes), truth=truth)


def is_complete(folder: Path) -> bool:
    """Tell whether a simulated study was written to its end: its table of tubes is written last."""
    return (folder / TRUTH / "tubes.csv").is_file()


def _check(folder: Path, patients: int, visits: int) -> None:
    if (folder / "study.yaml").exists():
        raise UsageFault(
            f"{folder} already holds a study. Name a new folder, or remove this one first."
        )
    if not 1 <= patients <= 99:
        raise UsageFault(f"A simulated study has 1 to 99 patients, not {patients}.")
    if not 2 <= visits <= len(VISIT_DAYS):
        raise UsageFault(f"A simulated patient has 2 to {len(VISIT_DAYS)} visits, not {visits}.")


@contextmanager
def _mapper(workers: int) -> Iterator[Callable[..., Iterable[WrittenTube]]]:
    """Give a ``map`` over processes, or over none when one worker is wanted."""
    if workers <= 1:
        yield map
        return
    with ProcessPoolExecutor(max_workers=workers, mp_context=get_context("spawn")) as pool:
        yield pool.map


def _write_sheets(folder: Path, draws: Sequence[Draw], tubes: Sequence[PlannedTube]) -> None:
    infusions = {draw.patient.name: draw.infused for draw in draws}
    patients = [
        {
            "patient": name,
            "infused": _iso(at),
            "infused_car19": _iso(at),
            "infused_carbcma": _iso(at + SECOND_PRODUCT),
            "baseline_visit": "D-7",
        }
        for name, at in infusions.items()
    ]
    _write_rows(folder / "patients.csv", _PATIENT_COLUMNS, patients)
    _write_rows(folder / "samples.csv", _SAMPLE_COLUMNS, map(_sample_row, tubes))


def _sample_row(tube: PlannedTube) -> dict[str, object]:
    draw, plan = tube.draw, tube.plan
    year, week, _ = plan.acquired.isocalendar()
    row: dict[str, object] = {
        "file": plan.file,
        "patient": draw.patient.name,
        "collected": _iso(draw.collected),
        "panel": plan.panel,
        "visit": draw.visit,
        "specimen": tube.specimen,
        "acquired": _iso(plan.acquired),
        "instrument": plan.instrument,
        "batch": f"{year}-W{week:02d}",
        "operator": f"tech-{1 + week % 2}",
    }
    if plan.panel == "tbnk":
        row |= {"beads_per_tube": BEADS_PER_TUBE, "blood_volume_ul": f"{TBNK_BLOOD_UL:g}"}
    elif tube.specimen == "blood":
        row["leukocytes_per_ul"] = f"{draw.analyser_leukocytes:g}"
    if plan.panel == "cart":
        row["car_reagent"] = CAR_REAGENT
    return row


def _write_truth(truth: Path, tubes: Sequence[PlannedTube], written: Sequence[WrittenTube]) -> None:
    """Write what the pipeline must find.

    There is one row a tube, one a tube × population, one a tube × kind of cell.
    """
    pairs = list(zip(tubes, written, strict=True))
    _write_rows(truth / "tubes.csv", _TUBE_COLUMNS, (_tube_truth(*pair) for pair in pairs))
    _write_rows(
        truth / "populations.csv",
        _POPULATION_COLUMNS,
        chain.from_iterable(_population_truth(*pair) for pair in pairs),
    )
    _write_rows(
        truth / "kinds.csv",
        _KIND_COLUMNS,
        chain.from_iterable(_kind_truth(*pair) for pair in pairs),
    )


def _tube_truth(tube: PlannedTube, written: WrittenTube) -> dict[str, object]:
    return _draw_row(tube) | {
        "v_eff_ul": "" if tube.v_eff_ul is None else _number(tube.v_eff_ul),
        "events": written.events,
        "beads": written.counts["kind:bead"].intact,
        "leukocytes_per_ul": _per_ul(tube, total(tube.filled_from, "leukocytes")),
    }


def _population_truth(tube: PlannedTube, written: WrittenTube) -> Iterator[dict[str, object]]:
    leukocytes = total(tube.filled_from, "leukocytes")
    for population in cell_table().populations():
        if population == "long_lived_plasma_cells" and tube.specimen == "blood":
            continue
        amount = total(tube.filled_from, population)
        yield _draw_row(tube) | {
            "population": population,
            "per_ul": _per_ul(tube, amount),
            "share_of_leukocytes": _number(amount / leukocytes),
            "intact_events": written.counts[population].intact,
            "cells": written.counts[population].cells,
        }


def _kind_truth(tube: PlannedTube, written: WrittenTube) -> Iterator[dict[str, object]]:
    for kind in cell_table().kinds:
        count = written.counts[f"kind:{kind}"]
        yield _draw_row(tube) | {
            "kind": kind,
            "per_ul": _per_ul(tube, tube.filled_from.get(kind, 0.0)),
            "intact_events": count.intact,
            "cells": count.cells,
        }


def _draw_row(tube: PlannedTube) -> dict[str, object]:
    draw = tube.draw
    values = (
        tube.plan.file,
        draw.patient.name,
        draw.visit,
        _number(draw.day),
        tube.plan.panel,
        tube.specimen,
    )
    return dict(zip(_DRAW_COLUMNS, values, strict=True))


def _write_rows(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _per_ul(tube: PlannedTube, amount: float) -> str:
    """Write a concentration; marrow has none."""
    return _number(amount) if tube.specimen == "blood" else ""


def _number(value: float) -> str:
    return f"{value:.10g}"


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="minutes")

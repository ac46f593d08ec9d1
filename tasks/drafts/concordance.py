"""Compare what a draft would count with what counts now, over every tube it would count.

The tubes are gated with the draft in memory; their patients' tables are made both ways, without
what persons corrected, and compared as versions of a strategy are. Nothing is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from panels.text.errors import TubeFault, UsageFault
from panels.text.plural import counted
from tasks.concordance.compare import amounts, compared_tables, tables_of
from tasks.counting.counts import TubeCounts
from tasks.drafts.changed_words import amount_words, changed_words
from tasks.drafts.references import DraftReferences
from tasks.results.patient_tables import flagged_tubes
from tasks.store.counts import counts_of, tube_counts
from tasks.store.exclusions import excluded_tubes
from tasks.store.tubes import Tube, taken_in
from tasks.tubes.gate_tube import gate_tube
from tasks.tubes.reference_tubes import is_fmo, reference_sets
from tasks.vocabulary.populations import short_label

if TYPE_CHECKING:
    import pandas as pd

    from tasks.drafts.candidate import Candidate
    from tasks.study.snapshot import StrategyInUse, StudySnapshot

Document = dict[str, Any]
Progress = Callable[[int, int], None]
"""Is told how many tubes are done, and of how many; it may raise to end the comparison."""
MEASURES = (
    "bias_percent",
    "limit_low",
    "limit_high",
    "concordance",
    "concordance_low",
    "concordance_high",
)


@dataclass(slots=True)
class _Sides:
    """The counts of a study now, and with a draft; ``tubes`` are those that it counts."""

    known: list[Tube]
    now: list[TubeCounts]
    drafted: dict[str, TubeCounts] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    uncompared: list[str] = field(default_factory=list)


def compare_draft(present: Candidate, progress: Progress) -> Document:
    """Give the concordance of a draft, as its page shows it.

    Raises UsageFault when there is nothing to compare.
    """
    today = present.today
    if today is None:
        raise UsageFault(f"The panel {present.draft.panel} is not counted: nothing to compare.")
    sides = _counted_now(present)
    _count_with_draft(present, sides, progress)
    if not sides.drafted:
        reasons = " ".join(sides.missing)
        raise UsageFault(
            f"No counted tube would be counted with {present.draft.name.pin}. {reasons}"
        )
    return _compared(present, today, sides)


def _counted_now(present: Candidate) -> _Sides:
    """Read what counts now, of the patients of the tubes that the draft would count."""
    snapshot = present.snapshot
    with snapshot.study.store() as store:
        known = taken_in(store)
        now = tube_counts(
            store,
            snapshot.versions(),
            reference_sets=reference_sets(snapshot, store, known),
            panels=snapshot.panel_contents(),
            calibrations=snapshot.calibrations(known),
            known=known,
            corrected=False,
        )
    return _Sides(known, now)


def _count_with_draft(present: Candidate, sides: _Sides, progress: Progress) -> None:
    """Gate every counted tube that the draft would count."""
    study = present.snapshot.study
    references = DraftReferences(present.snapshot)
    counted_now = {each.identity.tube_sha256 for each in sides.now}
    its_own = [each for each in sides.known if present.counts(each) and not is_fmo(each.identity)]
    due = [each for each in its_own if each.identity.tube_sha256 in counted_now]
    sides.uncompared += [each.identity.file for each in its_own if each not in due]
    if len(due) < len(its_own):
        sides.missing.append(
            f"{counted(len(its_own) - len(due), 'tube')} of it are not counted yet, or failed: "
            f"they are not compared."
        )
    with study.store() as store:
        excluded = excluded_tubes(store)
    for number, tube in enumerate(due):
        progress(number, len(due))
        sha256 = tube.identity.tube_sha256
        try:
            index = references(present.used)
            gating = gate_tube(study, tube, present.used, index, corrections=()).gating
        except (TubeFault, OSError) as fault:
            sides.missing.append(_why_uncounted(tube, fault))
            sides.uncompared.append(tube.identity.file)
            continue
        sides.drafted[sha256] = counts_of(tube.identity, gating, is_excluded=sha256 in excluded)
    progress(len(due), len(due))


def _why_uncounted(tube: Tube, fault: TubeFault | OSError) -> str:
    file = tube.identity.file
    if isinstance(fault, OSError):
        return f"{file} cannot be read ({fault.strerror or fault}): it is not compared."
    return f"{file} cannot be counted with it: {fault}"


def _compared(present: Candidate, today: StrategyInUse, sides: _Sides) -> Document:
    """Make the tables of the patients both ways, and compare them."""
    panel, snapshot = present.draft.panel, present.snapshot
    with_draft = snapshot.with_strategy(panel, present.used)
    patients = {each.identity.patient for each in sides.drafted.values()}
    current = _tables(snapshot, panel, sides.now, sides.known, patients)
    other = _tables(with_draft, panel, list(_replaced(present, sides)), sides.known, patients)
    chosen = [
        (table[table["tube_sha256"].isin(list(sides.drafted))], parameters)
        for table, parameters in (current, other)
    ]
    pairs, by_population, changed = compared_tables(
        chosen[0], chosen[1], today.populations, amount_words
    )
    labels = with_draft.labels()
    rows = dict(iter(pairs.groupby("population", sort=False)))
    populations = [
        {
            "population": row["population"],
            "label": short_label(labels, row["population"]),
            "unit": row["unit"],
            "pairs": row["pairs"],
            "ratio": _median_ratio(rows[row["population"]]),
            **{name: _known(row[name]) for name in MEASURES},
            "note": row["note"],
        }
        for row in by_population.to_dict("records")
    ]
    return {
        "compared": _in_words(present, today, len(sides.drafted)),
        "tubes": len(sides.drafted),
        "uncompared": sides.uncompared,
        "missing": [*sides.missing, *_reported_by_one(current[0], other[0])],
        "populations": populations,
        "pairs": [pair for each in populations for pair in _pairs(each, rows[each["population"]])],
        "changed": [changed_words(row) for row in changed.to_dict("records")],
    }


def _tables(
    snapshot: StudySnapshot,
    panel: str,
    tubes: Sequence[TubeCounts],
    known: Sequence[Tube],
    patients: set[str],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    flagged = flagged_tubes(snapshot, tubes, known)
    return tables_of(
        snapshot, panel, [each for each in flagged if each.identity.patient in patients]
    )


def _replaced(present: Candidate, sides: _Sides) -> Iterator[TubeCounts]:
    """Give the study's counts with those of the draft in the place of what it would count."""
    for each in sides.now:
        drafted = sides.drafted.get(each.identity.tube_sha256)
        if drafted is not None:
            yield drafted
        elif each.identity.panel != present.draft.panel or each.strategy == present.used.name:
            yield each


def _in_words(present: Candidate, today: StrategyInUse, tubes: int) -> str:
    return (
        f"{counted(tubes, 'tube')} with {present.draft.name.pin}, against what counts them now "
        f"({today.name}), both without what persons corrected."
    )


def _reported_by_one(current: pd.DataFrame, other: pd.DataFrame) -> Iterator[str]:
    for name in sorted(set(current["population"]) ^ set(other["population"])):
        yield f"The population {name} is reported by one of the two only."


def _pairs(population: Mapping[str, Any], rows: pd.DataFrame) -> Iterator[Document]:
    column = "per_ul" if population["unit"] == "1/uL" else "percent_reference"
    for row in rows.to_dict("records"):
        yield {
            "population": population["population"],
            "sha12": row["tube_sha256"][:12],
            "patient": row["patient"],
            "visit": row["visit_current"],
            "today": _known(row[f"{column}_current"]),
            "draft": _known(row[f"{column}_other"]),
        }


def _median_ratio(rows: pd.DataFrame) -> float | None:
    before, after, _ = amounts(rows)
    return float(np.median(after / before)) if len(before) else None


def _known(value: Any) -> float | None:
    """Give a number; None where there is none."""
    return None if value is None or value != value else float(value)  # noqa: PLR0124 - NaN

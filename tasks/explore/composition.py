"""Compare the parts of a compartment between visits, and between two groups of patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from panels.text.plural import counted
from tasks.explore.comparison import (
    Amount,
    Change,
    Comparison,
    Contrast,
    between_groups,
    between_visits,
)
from tasks.explore.parts import Parts, cluster_parts, population_parts
from tasks.results.cohort_estimates import NOT_GIVEN, strata_of

if TYPE_CHECKING:
    from tasks.explore.explore import Exploration
    from tasks.explore.parts import Results
    from tasks.study.snapshot import StudySnapshot

Json = dict[str, Any]
NOT_COMPARED: Mapping[str, Any] = {"composition": None, "groups": None}


def compositions(
    done: Exploration, results: Results, snapshot: StudySnapshot, visits: Sequence[Json]
) -> Json:
    """Compare visits, and groups where the study has them: what the page of all patients shows.

    ``visits`` are those of the page, in order; one without a day is not compared.

    Raises SettingsFault when ``cohort.stratify_by`` is no column of patients.csv.
    """
    found, compartment = done.findings, done.compartment
    clusters = cluster_parts(done.tubes) if found else {}
    parts = (clusters, population_parts(results, compartment, snapshot.labels()))
    ordered = [each["visit"] for each in visits if each["day"] is not None]
    column = snapshot.study.settings.cohort.stratify_by
    groups = None
    if column is not None:
        strata = strata_of(snapshot.study, snapshot.patients.patients)
        groups = groups_compared(parts, ordered, column, strata)
    return {"composition": visits_compared(parts, ordered), "groups": groups}


def visits_compared(parts: Sequence[Parts], visits: Sequence[str]) -> Json | None:
    """Compare the first visit with each later one (docs/explore.md, ``composition``).

    ``visits`` come in order of their days. None where no patient has the first and a later one.
    """
    pairs: dict[Contrast, list[tuple[Amount, Amount]]] = {}
    for part in parts:
        for visit in visits[1:]:
            for had in part.values():
                one, other = had.get(visits[0], {}), had.get(visit, {})
                for name in (each for each in one if each in other):
                    contrast = Contrast(name, visits[0], visit)
                    pairs.setdefault(contrast, []).append((one[name], other[name]))
    return _document(between_visits(pairs)) if pairs else None


def groups_compared(
    parts: Sequence[Parts], visits: Sequence[str], column: str, strata: Mapping[str, str]
) -> Json:
    """Compare two groups of patients at each visit (docs/explore.md, ``groups``).

    ``strata`` gives the group of each patient under a ``column`` of patients.csv; patients who have
    none are in neither.
    """
    of_group = {
        patient: strata[patient]
        for part in parts
        for patient in part
        if strata.get(patient, NOT_GIVEN) != NOT_GIVEN
    }
    groups = sorted(set(of_group.values()))
    if len(groups) != 2:
        return _document(Comparison((), _not_two(column, groups)), column=column)
    first, second = groups
    found: dict[Contrast, tuple[list[Amount], list[Amount]]] = {}
    for part in parts:
        for visit in visits:
            for patient, had in part.items():
                if patient not in of_group:
                    continue
                for name, amount in had.get(visit, {}).items():
                    sides = found.setdefault(Contrast(name, first, second, visit), ([], []))
                    sides[groups.index(of_group[patient])].append(amount)
    compared = between_groups(found)
    members = list(of_group.values())
    told = " and ".join(f"{each} ({counted(members.count(each), 'patient')})" for each in groups)
    return _document(
        Comparison(compared.changes, f"By {column}: {told}. {compared.sentence}"), column=column
    )


def _not_two(column: str, groups: Sequence[str]) -> str:
    """Say why patients are not compared by group."""
    if not groups:
        return f"No patient on this map has a group under {column} in patients.csv."
    told = ", ".join(groups)
    if len(groups) == 1:
        return f"By {column} all patients on this map are of one group ({told})."
    return (
        f"By {column} there are {len(groups)} groups ({told}); two are compared here. A column of "
        f"patients.csv with two values can be named under cohort.stratify_by."
    )


def _document(compared: Comparison, **more: str) -> Json:
    return {
        **more,
        "sentence": compared.sentence,
        "rows": [_row(each) for each in compared.changes],
    }


def _row(change: Change) -> Json:
    low, high = change.interval or (None, None)
    contrast = change.contrast
    return {
        "name": contrast.name,
        **({"visit": contrast.visit} if contrast.visit else {}),
        "from": contrast.first,
        "to": contrast.second,
        "patients": change.patients,
        "ratio": _short(change.ratio),
        "low": _short(low),
        "high": _short(high),
        "p": _short(change.p),
        "adjusted": _short(change.q),
    }


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")

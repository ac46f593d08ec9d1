"""Write down what the measurements of each draw say of each other: in qc.json of every tube, in words for report and legend."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from tasks.counting.counts import TubeCounts
from tasks.counting.limits import LimitSettings
from tasks.counting.measurements import Comparison
from tasks.counting.population_rules import Rules
from tasks.counting.visit import compare_visit, group_by_visit
from tasks.counting.volume import CountMethod
from tasks.publish.tables import write_atomically
from tasks.study.folder import Study
from tasks.tubes.qc_file import DRAW, QC, qc_bytes

Contradiction = tuple[str, str]
"""A visit (with its specimen), and the sentence that says what contradicts what there."""


def compare_draws(
    tubes: Sequence[TubeCounts],
    rules: Rules,
    *,
    counting: Mapping[str, tuple[CountMethod, ...]],
    limits: LimitSettings,
) -> dict[tuple[str, str], dict[str, tuple[Comparison, ...]]]:
    """Give for each (visit, specimen) of one patient the comparisons of every tube (SHA-256)."""
    return {
        (visit, specimen): compare_visit(own, rules, counting=counting, limits=limits)
        for (_, specimen, visit), own in group_by_visit(tubes).items()
    }


def contradictions(
    compared: Mapping[tuple[str, str], Mapping[str, Sequence[Comparison]]],
) -> tuple[Contradiction, ...]:
    """Say of each visit, worst first, which independent concentrations contradict each other."""
    found: list[Contradiction] = []
    for (visit, specimen), of_tube in compared.items():
        against = {
            each.sentence: each for own in of_tube.values() for each in own if each.contradicted
        }
        where = visit if specimen == "blood" else f"{visit} ({specimen})"
        ordered = sorted(against, key=lambda sentence: (not against[sentence].refused, sentence))
        found += [(where, f"{sentence}.{_outcome(against[sentence])}") for sentence in ordered]
    return tuple(found)


def _outcome(comparison: Comparison) -> str:
    return (
        " Beyond what the study allows by far: not evaluable until a person decides."
        if comparison.refused
        else ""
    )


def draws_in_qc(
    study: Study, compared: Mapping[tuple[str, str], Mapping[str, Sequence[Comparison]]]
) -> None:
    """Write every tube's comparisons beside its other quality figures, where they are not there already."""
    for of_tube in compared.values():
        for sha, own in of_tube.items():
            path = study.results / "tubes" / sha[:12] / QC
            if path.is_file():
                known = json.loads(path.read_text(encoding="utf-8"))
                written = known | {DRAW: [each.numbers() for each in own]}
                if written != known:
                    write_atomically(path, qc_bytes(written))

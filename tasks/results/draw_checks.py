"""Write down how the concentrations of each draw agree: in qc.json, report and legend."""

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
from tasks.vocabulary.populations import short_label

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
        (visit, specimen): compare_visit(draw, rules, counting=counting, limits=limits)
        for (_, specimen, visit), draw in group_by_visit(tubes).items()
    }


def contradictions(
    compared: Mapping[tuple[str, str], Mapping[str, Sequence[Comparison]]],
    labels: Mapping[str, str],
) -> tuple[Contradiction, ...]:
    """Say of each visit, worst first, which independent concentrations contradict each other.

    ``labels`` name the populations.
    """
    listed: list[Contradiction] = []
    for (visit, specimen), of_tube in compared.items():
        against = {
            each.sentence(short_label(labels, each.one.population)): each
            for comparisons in of_tube.values()
            for each in comparisons
            if each.contradicted
        }
        where = visit if specimen == "blood" else f"{visit} ({specimen})"
        ordered = sorted(against, key=lambda sentence: (not against[sentence].refused, sentence))
        listed += [(where, f"{sentence}.{_outcome(against[sentence])}") for sentence in ordered]
    return tuple(listed)


def _outcome(comparison: Comparison) -> str:
    return (
        " Beyond what the study allows by far: not evaluable until a person decides."
        if comparison.refused
        else ""
    )


def draws_in_qc(
    study: Study, compared: Mapping[tuple[str, str], Mapping[str, Sequence[Comparison]]]
) -> None:
    """Write every tube's comparisons beside its other quality figures.

    A file that has them already is left alone.
    """
    for of_tube in compared.values():
        for sha, comparisons in of_tube.items():
            path = study.results / "tubes" / sha[:12] / QC
            if path.is_file():
                known = json.loads(path.read_text(encoding="utf-8"))
                written = known | {DRAW: [each.numbers() for each in comparisons]}
                if written != known:
                    write_atomically(path, qc_bytes(written))

"""Choose the tubes that a person should look at, each once, with all that is said of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.overview.change import Course
from tasks.overview.counted_tube import CountedTube
from tasks.vocabulary.flags import Flag, meanings
from tasks.vocabulary.severity import WORST_FIRST, Severity, severity_of, worst_first


@dataclass(frozen=True, slots=True)
class Reason:
    """One flag of a tube, and the ids of the populations it concerns; none: the whole tube."""

    word: str
    populations: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """Give what the flag means."""
        return meanings().get(self.word, f"This release does not know the flag '{self.word}'.")


@dataclass(frozen=True, slots=True)
class Attention:
    """A tube to look at: how urgent it is, and why, the worst reason first."""

    tube: CountedTube
    severity: Severity
    reasons: tuple[Reason, ...]

    @property
    def concerned(self) -> tuple[str, ...]:
        """Name the populations of the first reason; none: the whole tube."""
        return self.reasons[0].populations


def tubes_to_look_at(
    tubes: Sequence[CountedTube], recent: Collection[str], time_zone: str | None
) -> list[Attention]:
    """List the tubes that a person should look at: the worst first, then the newest.

    ``recent`` are the SHA-256 of the tubes that were counted lately, ``time_zone`` is the study's.
    A flag that stops brings a tube here until a person decided; one to look at does so while the
    tube is recent, and, where the study reviews its tubes, until it was reviewed. What is only to
    be known never does.
    """
    reviews = any(tube.review for tube in tubes)
    found = [
        attention
        for tube in tubes
        if not tube.is_decided and (attention := _attention(tube)) is not None
        if attention.severity == "stop" or reviews or tube.sha256 in recent
    ]
    newest_first = sorted(found, key=lambda each: each.tube.drawn_at(time_zone), reverse=True)
    return sorted(newest_first, key=_urgency)


def _attention(tube: CountedTube) -> Attention | None:
    concerned: dict[str, list[str]] = {}
    for result in tube.results:
        for word in result.flags:
            if severity_of(word) != "know":
                concerned.setdefault(word, []).append(result.population)
    if not concerned:
        return None
    whole = len(tube.results)
    reasons = tuple(
        Reason(word, () if len(concerned[word]) == whole > 1 else tuple(concerned[word]))
        for word in worst_first(concerned)
    )
    return Attention(tube, severity_of(reasons[0].word), reasons)


def _urgency(attention: Attention) -> tuple[int, bool]:
    """Rank a tube; one that is only uncalibrated comes after others that stop.

    The alarm above the list names its instrument already.
    """
    only_uncalibrated = all(each.word == Flag.UNCALIBRATED for each in attention.reasons)
    return WORST_FIRST.index(attention.severity), only_uncalibrated


def attention_document(
    attention: Attention,
    *,
    file: str,
    course: Course,
    labels: Mapping[str, str],
    gates: Mapping[str, str],
) -> dict[str, Any]:
    """Write one entry of the list as ``study.js`` has it (docs/pages.md).

    ``labels`` and ``gates`` map the tube's populations to their names on pages and to their gates.
    """
    tube = attention.tube
    change = course.greatest_change(tube, attention.concerned, labels)
    return {
        "patient": tube.patient,
        "visit": tube.visit,
        "panel": tube.panel,
        "specimen": tube.specimen,
        "sha12": tube.sha256[:12],
        "file": file,
        "severity": attention.severity,
        "reasons": [
            {
                "word": each.word,
                "sentence": each.sentence,
                "populations": [labels.get(name, name) for name in each.populations],
            }
            for each in attention.reasons
        ],
        "change": change.sentence,
        "gate": gates.get(change.population, ""),
    }

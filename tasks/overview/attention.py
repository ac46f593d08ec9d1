"""Choose the tubes that a person should look at, each once, with all that is said of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from tasks.overview.change import Course
from tasks.overview.counted_tube import CountedTube
from tasks.vocabulary.flags import Flag, meanings
from tasks.vocabulary.severity import WORST_FIRST, Severity, severity_of, worst_first

ASKED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "queried": "queried: a person asked; see its page",
        "repeat": "to be repeated: a person asked for it; see its page",
    }
)
"""The decisions that ask something of somebody, and what is said where nothing else was."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One flag of a tube, and the ids of the populations it concerns; none: the whole tube.

    What a reviewer asked is a reason too: its word is the decision, ``asked`` the question.
    """

    word: str
    populations: tuple[str, ...] = ()
    asked: str = ""

    @property
    def sentence(self) -> str:
        """Give what the flag means, or what was asked."""
        return self.asked or meanings().get(
            self.word, f"This release does not know the flag '{self.word}'."
        )


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
    tubes: Sequence[CountedTube],
    recent: Collection[str],
    time_zone: str | None,
    questions: Mapping[str, str] = MappingProxyType({}),
) -> list[Attention]:
    """List the tubes that a person should look at: the worst first, then the newest.

    ``recent`` are the SHA-256 of the tubes that were counted lately, ``time_zone`` is the study's;
    ``questions`` map the SHA-256 of tubes that are queried or to be repeated to what was asked. A
    flag that stops brings a tube here until a person decided; one to look at does so while the tube
    is recent, and, where the study reviews its tubes, until it was reviewed; a question until it is
    answered by another decision. What is only to be known never does.
    """
    reviews = any(tube.review for tube in tubes)
    found = [
        attention
        for tube in tubes
        if (attention := _attention(tube, questions.get(tube.sha256, ""))) is not None
        if attention.severity == "stop" or reviews or tube.sha256 in recent
    ]
    newest_first = sorted(found, key=lambda each: each.tube.drawn_at(time_zone), reverse=True)
    return sorted(newest_first, key=_urgency)


def _attention(tube: CountedTube, question: str) -> Attention | None:
    reasons = () if tube.is_decided else _flag_reasons(tube)
    severity: Severity = severity_of(reasons[0].word) if reasons else "look"
    if tube.review in ASKED:
        reasons = (Reason(tube.review, asked=question or ASKED[tube.review]), *reasons)
    return Attention(tube, severity, reasons) if reasons else None


def _flag_reasons(tube: CountedTube) -> tuple[Reason, ...]:
    concerned: dict[str, list[str]] = {}
    for result in tube.results:
        for word in result.flags:
            if severity_of(word) != "know":
                concerned.setdefault(word, []).append(result.population)
    whole = len(tube.results)
    return tuple(
        Reason(word, () if len(concerned[word]) == whole > 1 else tuple(concerned[word]))
        for word in worst_first(concerned)
    )


def _urgency(attention: Attention) -> tuple[int, bool, bool, int]:
    """Rank a tube: of equal ones, what concerns the whole tube first, then the most reasons.

    One that is only uncalibrated comes after others that stop: the alarm above the list names its
    instrument already.
    """
    reasons = attention.reasons
    only_uncalibrated = all(each.word == Flag.UNCALIBRATED for each in reasons)
    only_in_part = all(each.populations for each in reasons)
    rank = WORST_FIRST.index(attention.severity)
    return rank, only_uncalibrated, only_in_part, -len(reasons)


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

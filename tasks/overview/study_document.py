"""Write what the front page draws, the content of ``study.js`` (docs/pages.md)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tasks.overview.attention import attention_document
from tasks.overview.change import Course
from tasks.overview.grid import grid_of
from tasks.vocabulary.flags import meanings
from tasks.vocabulary.severity import severity_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.overview.counted_tube import CountedTube
    from tasks.overview.morning import Morning
    from tasks.overview.night import Night
    from tasks.store.ledger import FileRecord
    from tasks.store.tubes import Tube
    from tasks.study.snapshot import StudySnapshot

_DEFINITION = re.compile(r" \([^()]*\)")


def study_document(snapshot: StudySnapshot, morning: Morning) -> dict[str, Any]:
    """Gather the night, the lists, the marks of all visits and the tubes to search."""
    grid = grid_of(morning.tubes)
    return {
        "format": 1,
        "study": snapshot.study.settings.study,
        "sentence": morning.night.sentence,
        "generated": datetime.now(UTC).isoformat(timespec="seconds"),
        "panels": grid.panels,
        "visits": [{"visit": visit, "day": round(day, 2)} for visit, day in grid.visits],
        "night": _night_document(morning.night),
        "hand": _files(morning.files),
        "aside": _files(morning.aside),
        "look": _look(snapshot, morning),
        "quiet": _quiet(morning),
        "patients": grid.patients(morning.patients),
        "tubes": _tubes(morning),
        "flags": _flags(morning),
        "instruments": [
            {"name": name, "page": page, "standing": standing}
            for page, (name, standing) in morning.instruments.standing.items()
        ],
        "strategies": [
            {
                "panel": each.panel,
                "strategy": each.strategy,
                "told": " ".join(filter(None, (each.description, each.newer))),
            }
            for each in morning.standings
        ],
        "notices": list(morning.notices),
    }


def _night_document(night: Night) -> dict[str, Any]:
    return {
        "ended": night.at.isoformat(timespec="seconds") if night.at else None,
        "zone": night.zone,
        "outcome": night.outcome,
        "standing": night.standing,
        "counted": night.counted,
        "to_look_at": night.to_look_at,
        "stops": night.stops,
        "needs_you": night.needs_you,
    }


def _files(files: Sequence[FileRecord]) -> list[dict[str, str]]:
    return [
        {
            "state": each.state,
            "file": each.inbox_path,
            "reason": each.reason,
            "hash": (each.sha256 or "")[:12],
        }
        for each in files
    ]


def _look(snapshot: StudySnapshot, morning: Morning) -> list[dict[str, Any]]:
    patients = {each.tube.patient for each in morning.look}
    course = Course(tube for tube in morning.tubes if tube.patient in patients)
    labels = _short_labels(snapshot)
    files = {tube.identity.tube_sha256: tube.file.name for tube in morning.known}
    gates = {
        panel: {each.id: each.gate for each in used.populations.values()}
        for panel, used in snapshot.strategies.items()
    }
    return [
        attention_document(
            each,
            file=files.get(each.tube.sha256, ""),
            course=course,
            labels=labels,
            gates=gates.get(each.tube.panel, {}),
        )
        for each in morning.look
    ]


def _short_labels(snapshot: StudySnapshot) -> dict[str, str]:
    """Name the populations without their definitions, which stand in brackets."""
    return {
        population: _DEFINITION.sub("", label) for population, label in snapshot.labels().items()
    }


def _quiet(morning: Morning) -> list[dict[str, str]]:
    """List the tubes counted lately that are in order and used, newest first.

    One that a person excluded is in no result; one that was accepted in spite of a flag is not
    without anything unusual.
    """
    unusual = {each.tube.sha256 for each in morning.look}
    unusual |= {each.sha256 for each in morning.tubes if not each.is_in_order}
    quiet = morning.recent - unusual
    lately = [tube for tube in morning.known if tube.identity.tube_sha256 in quiet]
    return [
        {
            "patient": tube.identity.patient,
            "visit": tube.identity.visit,
            "panel": tube.identity.panel,
            "specimen": tube.identity.specimen,
            "sha12": tube.identity.tube_sha256[:12],
            "file": tube.file.name,
            "collected": tube.identity.collected.isoformat(),
        }
        for tube in sorted(lately, key=lambda each: each.identity.drawn_at, reverse=True)
    ]


def _tubes(morning: Morning) -> list[list[Any]]:
    counted = {tube.sha256: tube for tube in morning.tubes}
    return [_tube_line(tube, counted.get(tube.identity.tube_sha256)) for tube in morning.known]


def _tube_line(tube: Tube, counted: CountedTube | None) -> list[Any]:
    identity = tube.identity
    return [
        identity.tube_sha256[:12],
        tube.file.name,
        identity.patient,
        identity.visit,
        identity.panel,
        list(counted.flags) if counted else [],
        counted.review if counted else "",
    ]


def _flags(morning: Morning) -> dict[str, dict[str, str]]:
    sentences = meanings()
    words = sorted({word for tube in morning.tubes for word in tube.flags})
    return {
        word: {"severity": severity_of(word), "sentence": sentences.get(word, "")} for word in words
    }

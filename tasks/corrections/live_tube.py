"""Hold a tube ready while a person drags its boundaries: what the counts and results would be.

Nothing is written here. What is kept in the end is checked and counted anew by
``tasks.corrections.correct``.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gating.display.draw_tube import draw_tube, outlines_with
from gating.evaluation.correction_limits import VERTEX_SHARE, threshold_limits
from gating.evaluation.corrections import Corrections
from panels.text.errors import UsageFault
from tasks.corrections.correct import gated_tube, uncorrected_gates
from tasks.corrections.counted_otherwise import counted_otherwise
from tasks.corrections.display_places import Outlined, Places, in_channel_units
from tasks.corrections.permitted import vertex_move
from tasks.corrections.study_state import study_state
from tasks.corrections.tube_standing import tube_standing
from tasks.counting.counts import PopulationCount, TubeCounts
from tasks.kinetics.wide_table import print_result
from tasks.publish.tube_data import polyline
from tasks.results.patient_tables import counted_tubes, patient_kinetics
from tasks.store.editions import last_editions
from tasks.strategies.in_use import read_snapshot
from tasks.study.folder import Study
from tasks.study.tube_named import tube_named
from tasks.tubes.corrections import binding_of
from tasks.vocabulary.populations import short_label

if TYPE_CHECKING:
    from gating.display.tube_drawing import DrawnAxis
    from gating.evaluation.compiled_strategy import Compiled
    from tasks.store.corrections import Vertices
    from tasks.store.tubes import Tube
    from tasks.study.snapshot import StudySnapshot
    from tasks.tubes.gate_tube import GatedTube

MOST_OPEN = 2
"""So many tubes are held at once: a million events are some 200 MB."""
Outlines = list[list[list[float]]]
"""The polylines of a gate, as lists of [x, y] in display units."""


class LiveTubes:
    """The tubes that are being corrected now, each opened once while it counts the same."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: OrderedDict[str, _Held] = OrderedDict()

    def open(self, study: Study, tube_sha256: str) -> LiveTube:
        """Give a tube ready to be previewed, gated as a night gates it.

        It is opened anew when anything that it counts with changed since, here or elsewhere.
        """
        with self._lock:
            state = study_state(study)
            held = self._open.pop(tube_sha256, None)
            if held is None or held.state != state:
                held = _opened(study, tube_sha256, state, held)
            self._open[tube_sha256] = held
            while len(self._open) > MOST_OPEN:
                self._open.popitem(last=False)
            return held.live

    def close(self, tube_sha256: str) -> None:
        """Let a tube go: it counts otherwise now."""
        with self._lock:
            self._open.pop(tube_sha256, None)


@dataclass(frozen=True, slots=True)
class _Held:
    """A tube that is open: the state its study had, and what the tube was made of."""

    state: Hashable
    made_of: Hashable
    live: LiveTube


def _opened(study: Study, tube_sha256: str, state: Hashable, held: _Held | None) -> _Held:
    """Open a tube, or keep it open where what changed in its study does not concern it."""
    snapshot = read_snapshot(study)
    made_of = _made_of(snapshot, tube_sha256)
    if held is not None and held.made_of == made_of:
        return replace(held, state=state)
    return _Held(state, made_of, LiveTube(snapshot, tube_sha256))


def _made_of(snapshot: StudySnapshot, tube_sha256: str) -> Hashable:
    """Give what is another one when a tube, or what it is compared with, counts otherwise."""
    with snapshot.study.store() as store:
        tube = tube_named(store, tube_sha256)
        standing = tube_standing(snapshot, store, tube_sha256)
        edition = last_editions(store, standing.patient).get(standing.patient)
    used = snapshot.strategies.get(tube.identity.panel)
    binding = used and binding_of(tube, used, used.for_tube(tube))
    return standing.stamp, binding, edition and edition.fingerprint


@dataclass(frozen=True, slots=True)
class Preview:
    """What a moved boundary would do, as the page takes it: see docs/review.md.

    ``waits`` says that the tube's tables are still of another calibration or strategy.
    """

    moved: tuple[Mapping[str, str], ...]
    outlines: Mapping[str, Outlines]
    changes: tuple[Mapping[str, Any], ...]
    curve: Mapping[str, Any] | None
    waits: str = ""

    def document(self) -> dict[str, Any]:
        """Give it as JSON."""
        return {
            "moved": list(self.moved),
            "outlines": self.outlines,
            "changes": list(self.changes),
            "curve": self.curve,
            "waits": self.waits,
        }


class LiveTube:
    """One tube, gated, with the other tubes of its patient."""

    def __init__(self, snapshot: StudySnapshot, tube_sha256: str) -> None:
        self._lock = threading.Lock()
        self._snapshot = snapshot
        with snapshot.study.store() as store:
            self._tube: Tube = tube_named(store, tube_sha256)
            self._gated: GatedTube = gated_tube(self._snapshot, self._tube)
            self._waits = counted_otherwise(store, self._gated.gating)
        self._uncorrected = uncorrected_gates(self._snapshot, self._tube, self._gated)
        self._counting = self._gated.preview()
        gated = self._gated
        seed = int(tube_sha256[:15], 16)
        drawing = draw_tube(gated.compiled, gated.evaluation, gated.events, gated.header, seed)
        self._axes = drawing.axes
        self._drawn = _polylines(gated.compiled, drawing.axes)
        self._before = self._counting.gate_counts(Corrections())
        patient = self._tube.identity.patient
        self._tubes = counted_tubes(self._snapshot, patient)
        self._results = self._results_of(self._tubes)

    def in_channel_units(
        self, thresholds: Places, gates: Outlined
    ) -> tuple[dict[str, float], dict[str, Vertices]]:
        """Convert display positions to the file's linear units; raises UsageFault for others."""
        return in_channel_units(self._gated.compiled, self._axes, thresholds, gates)

    def preview(self, thresholds: Places, gates: Outlined) -> Preview:
        """Say what would count with boundaries moved to display positions."""
        with self._lock:
            values, outlines = self.in_channel_units(thresholds, gates)
            corrections = Corrections(values, outlines)
            counts = self._counting.gate_counts(corrections)
            results = self._results_of(self._with(counts))
            changes = tuple(self._changes(counts, results))
            return Preview(
                moved=tuple(self._moved(values, outlines)),
                outlines=self._outlines(corrections),
                changes=changes,
                curve=self._curve(changes[0]["population"], results) if changes else None,
                waits=self._waits,
            )

    def _with(self, counts: Mapping[str, int]) -> list[TubeCounts]:
        """Give the patient's tubes with this one counted otherwise."""
        sha256 = self._tube.identity.tube_sha256
        return [
            replace(each, counts=self._recounted(each.counts, counts))
            if each.identity.tube_sha256 == sha256
            else each
            for each in self._tubes
        ]

    def _recounted(
        self, before: Mapping[str, PopulationCount], counts: Mapping[str, int]
    ) -> dict[str, PopulationCount]:
        gate_of = {each.id: each.gate for each in self._gated.compiled.strategy.populations}
        return {
            name: replace(
                each,
                events=counts[gate_of[name]],
                parent_events=counts[each.parent],
                reference_events=counts[gate_of[each.reference]],
            )
            for name, each in before.items()
        }

    def _results_of(self, tubes: Sequence[TubeCounts]) -> dict[tuple[str, str], dict[str, Any]]:
        """Give the rows of kinetics.csv by tube and population."""
        everyone, name = self._snapshot.patients, self._tube.identity.patient
        patient = everyone.patients.get(name)
        if patient is None:
            raise UsageFault(everyone.why_not(name))
        rows = patient_kinetics(self._snapshot, patient, tubes).to_dict("records")
        return {
            (str(row["tube_sha256"]), str(row["population"])): {
                str(column): value for column, value in row.items()
            }
            for row in rows
        }

    def _changes(
        self, counts: Mapping[str, int], results: Mapping[tuple[str, str], Mapping[str, Any]]
    ) -> list[dict[str, Any]]:
        labels, sha256 = self._snapshot.labels(), self._tube.identity.tube_sha256

        def printed(row: Mapping[str, Any] | None) -> str | None:
            return None if row is None else print_result(row)

        return [
            {
                "population": each.id,
                "label": short_label(labels, each.id),
                "before": self._before[each.gate],
                "after": counts[each.gate],
                "printed_before": printed(self._results.get((sha256, each.id))),
                "printed": printed(results.get((sha256, each.id))),
            }
            for each in self._gated.compiled.strategy.populations
            if counts[each.gate] != self._before[each.gate]
        ]

    def _moved(self, values: Places, outlines: Outlined) -> list[dict[str, str]]:
        """Say of every moved boundary where it lies, and whether a second person is needed."""
        compiled, told = self._gated.compiled, []
        realised = {each.threshold: each for each in compiled.thresholds}
        for name, value in values.items():
            each, limits = realised[name], threshold_limits(compiled, name)
            words = f"{name} on {each.marker}: {each.value:,.6g} → {value:,.6g} channel units."
            beyond = ""
            if limits is None or not limits[0] <= value <= limits[1]:
                said = f"{limits[0]:,.6g} to {limits[1]:,.6g}" if limits else "none declared"
                beyond = f"Beyond the limits ({said}): a second person has to agree."
            told.append({"words": words, "beyond": beyond})
        for name, vertices in outlines.items():
            share = vertex_move(self._uncorrected, name, tuple(vertices))
            beyond = ""
            if share is None or share > VERTEX_SHARE:
                beyond = (
                    f"Beyond {100 * VERTEX_SHARE:.0f} % of an axis: a second person has to agree."
                )
            told.append({"words": f"The outline of {name} is redrawn.", "beyond": beyond})
        return told

    def _outlines(self, corrections: Corrections) -> dict[str, Outlines]:
        """Give the outlines that lie elsewhere now, by gate, in display units."""
        drawn = _polylines(self._counting.compiled_with(corrections), self._axes)
        return {name: lines for name, lines in drawn.items() if lines != self._drawn[name]}

    def _curve(
        self, population: str, results: Mapping[tuple[str, str], Mapping[str, Any]]
    ) -> dict[str, Any] | None:
        """Give the course of a population in this specimen and panel, as it is and would be."""
        identity = self._tube.identity
        rows = [
            (row, results[key])
            for key, row in self._results.items()
            if key[1] == population
            and row["specimen"] == identity.specimen
            and row["panel"] == identity.panel
        ]
        if not rows:
            return None
        blood = identity.specimen == "blood"
        column = "per_ul" if blood else "percent_reference"
        points = [
            {
                "visit": str(row["visit"]),
                "day": float(row["day"]),
                "before": _known(row[column]),
                "after": _known(after[column]),
                "here": row["tube_sha256"] == identity.tube_sha256,
            }
            for row, after in rows
        ]
        return {
            "label": short_label(self._snapshot.labels(), population),
            "unit": "cells/µL" if blood else "% of its reference",
            "points": sorted(points, key=lambda point: point["day"]),
        }


def _polylines(compiled: Compiled, axes: Sequence[DrawnAxis]) -> dict[str, Outlines]:
    drawn = outlines_with(compiled, axes)
    return {name: [polyline(line, on) for line in lines] for name, (lines, on) in drawn.items()}


def _known(value: float) -> float | None:
    return None if value is None or value != value else float(value)  # noqa: PLR0124 - NaN

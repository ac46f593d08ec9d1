"""Check the quality of a gated tube and of single populations in it.

Each finding is a flag, with its number in qc.json.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gating.evaluation.compiled_strategy import Compiled
from gating.evaluation.engine import Evaluation
from gating.fcs.event_source import EventSource
from gating.fcs.header import TubeHeader
from gating.quality.acquisition import TimeQuality
from gating.quality.residual_spillover import residuals
from panels.acquisition_time import TIME, time_channel
from tasks.counting.limits import limit_of_blank
from tasks.vocabulary.flags import Flag

REMOVED_FLAGGED, REMOVED_UNUSABLE = 0.20, 0.40
DRIFT = 0.15
VIABLE, VIABLE_AT_LEAST = 0.90, 0.70
SINGLE = 0.90
CONDITION = 100.0
RESIDUAL = 0.30
LYMPHOSUM = (0.90, 1.10)
DISCORDANT_SHARE, DISCORDANT_EVENTS = 0.10, 20
FIRST_SECONDS = 5.0
CARRIED = 5.0
"""Factor by which cells must come more often in the first seconds than later."""
CARRY_EVENTS = 5
MARGIN = 0.10
SAMPLED_EVENTS = 50_000
ROOT = ("root",)
JUDGED_EVENTS = 500
"""Shares of fewer events are not judged."""


@dataclass(slots=True)
class TubeJudgement:
    """Flags of the whole tube, flags by population, and the numbers behind them."""

    flags: list[Flag] = field(default_factory=list)
    of_population: dict[str, list[Flag]] = field(default_factory=dict)
    numbers: dict[str, Any] = field(default_factory=dict)


def judge_time(acquisition: TimeQuality) -> TubeJudgement:
    """Flag an acquisition that was cleaned, or that drifts."""
    made = TubeJudgement()
    if acquisition.removed > REMOVED_UNUSABLE:
        made.flags.append(Flag.ACQUISITION_UNUSABLE)
    elif acquisition.removed > REMOVED_FLAGGED:
        made.flags.append(Flag.UNSTEADY_ACQUISITION)
    if acquisition.drift > DRIFT:
        made.flags.append(Flag.SIGNAL_DRIFT)
    made.numbers["time"] = {
        "removed": round(acquisition.removed, 6),
        "bins": acquisition.bins,
        "bins_that_stood_out": {
            name: number for name, number in acquisition.channels.items() if number
        },
        "drift": round(acquisition.drift, 6),
        "skipped": acquisition.skipped,
    }
    return made


def judge_tube(
    compiled: Compiled, evaluation: Evaluation, events: EventSource, header: TubeHeader
) -> TubeJudgement:
    """Check what the gates show; a check whose gates a strategy lacks is left out."""
    gates = _Gates(compiled, evaluation)
    made = TubeJudgement()
    _viability(gates, made)
    _singlets(gates, made)
    _lymphosum(gates, made)
    _doublets_of_cars(gates, made)
    _discordant_b_cells(gates, made)
    if compiled.matrix is not None and float(np.linalg.cond(compiled.matrix)) > CONDITION:
        made.flags.append(Flag.COMPENSATION_DOUBTFUL)
    _residuals(gates, events, header, made)
    _carried_over(gates, events, header, made)
    _margins(gates, events, header, made)
    return made


@dataclass(frozen=True, slots=True)
class _Gates:
    compiled: Compiled
    evaluation: Evaluation

    def count(self, *names: str) -> list[int] | None:
        """Count some gates, None when the strategy lacks one of them."""
        if not all(name in self.compiled.path_of for name in names):
            return None
        return [self.evaluation.count(self.compiled.path_of[name]) for name in names]

    def rows(self, name: str) -> np.ndarray:
        return self.evaluation.rows[self.compiled.path_of[name]]


def _viability(gates: _Gates, made: TubeJudgement) -> None:
    counted = gates.count("cd45_positive", "leukocytes")
    if not counted or counted[0] < JUDGED_EVENTS:
        return
    viable = counted[1] / counted[0]
    made.numbers["viable_share"] = round(viable, 6)
    if viable < VIABLE_AT_LEAST:
        made.flags.append(Flag.VERY_LOW_VIABILITY)
    elif viable < VIABLE:
        made.flags.append(Flag.LOW_VIABILITY)


def _singlets(gates: _Gates, made: TubeJudgement) -> None:
    """Flag many doublets; beads and the debris of a tube that is not washed are none of cells."""
    counted = gates.count("root", "singlets")
    washed = gates.compiled.strategy.beads is None
    if not washed or not counted or counted[0] < JUDGED_EVENTS:
        return
    single = counted[1] / counted[0]
    made.numbers["singlet_share"] = round(single, 6)
    if single < SINGLE:
        made.flags.append(Flag.MANY_DOUBLETS)


def _lymphosum(gates: _Gates, made: TubeJudgement) -> None:
    """Flag lymphocytes that are not, together, T, B and NK cells."""
    counted = gates.count("lymphocytes", "t_cells", "b_cells", "nk_cells")
    if not counted or counted[0] < JUDGED_EVENTS:
        return
    total = sum(counted[1:]) / counted[0]
    made.numbers["lymphosum"] = round(total, 6)
    if not LYMPHOSUM[0] <= total <= LYMPHOSUM[1]:
        made.flags.append(Flag.LYMPHOSUM_OFF)


def _doublets_of_cars(gates: _Gates, made: TubeJudgement) -> None:
    """Compare T cells with both CARs with the doublets that may pass as single cells.

    Doublets pass no more often than singlets are refused.
    """
    counted = gates.count(
        "root", "singlets", "t_cells", "car19_t", "carbcma_t", "car_double_positive"
    )
    if not counted or not counted[0] or not counted[2]:
        return
    events, single, t_cells, car19, carbcma, both = counted
    expected = 2 * (1 - single / events) * car19 * carbcma / t_cells
    made.numbers["car_double_positive"] = {
        "events": both,
        "expected_of_doublets": round(expected, 6),
    }
    if both >= DISCORDANT_EVENTS and both > limit_of_blank(expected):
        made.of_population["car_double_positive"] = [Flag.CAR_DOUBLE_POSITIVE_EXCESS]


def _discordant_b_cells(gates: _Gates, made: TubeJudgement) -> None:
    counted = gates.count("b_cells", "b_cells_cd20")
    if not counted or not counted[1]:
        return
    lacking = len(
        np.setdiff1d(gates.rows("b_cells_cd20"), gates.rows("b_cells"), assume_unique=True)
    )
    made.numbers["cd20_without_cd19"] = lacking
    if lacking >= DISCORDANT_EVENTS and lacking > DISCORDANT_SHARE * counted[1]:
        for population in ("b_cells", "b_cells_cd20"):
            made.of_population[population] = [Flag.CD19_LOW_B_CELLS]


def _carried_over(
    gates: _Gates, events: EventSource, header: TubeHeader, made: TubeJudgement
) -> None:
    """Flag populations that came in the first seconds far more often than all events did.

    So cells of the tube before look that were carried over.
    """
    clock = time_channel(header.channels)
    kept = gates.evaluation.root
    if clock is None or gates.evaluation.count(ROOT) < JUDGED_EVENTS:
        return
    time = events.column(clock.index)
    early = time < time[0] + FIRST_SECONDS
    share = float(early.mean() if kept is None else early[kept].mean())
    if not 0 < share < 1 / CARRIED:
        return
    for population in gates.compiled.strategy.populations:
        rows = gates.rows(population.gate)
        first = int(early[rows].sum())
        usual = share * len(rows)
        if (
            first >= CARRY_EVENTS
            and first > CARRIED * usual
            and first > limit_of_blank(usual, 0.999)
        ):
            made.of_population.setdefault(population.id, []).append(Flag.CARRY_OVER_SUSPECTED)
            made.numbers.setdefault("in_first_seconds", {})[population.id] = {
                "events": first,
                "expected": round(usual, 4),
            }


def _residuals(gates: _Gates, events: EventSource, header: TubeHeader, made: TubeJudgement) -> None:
    """Measure how far cells that lack a marker shift with another, and flag large shifts.

    A shift is large when it could carry them towards a boundary.
    """
    measured = residuals(gates.compiled, gates.evaluation, events, header)
    made.numbers["compensation_residual"] = {
        each.marker: {
            "beside": each.beside,
            "shift": round(each.shift, 4),
            "of_boundary": round(each.of_boundary, 6),
        }
        for each in measured
    }
    if any(each.of_boundary > RESIDUAL for each in measured):
        made.flags.append(Flag.COMPENSATION_RESIDUAL)


def _margins(gates: _Gates, events: EventSource, header: TubeHeader, made: TubeJudgement) -> None:
    """Count cells (never beads) at the end of each detector's range, where none can be told apart.

    An even sample of the cells is used.
    """
    compiled, evaluation = gates.compiled, gates.evaluation
    cells = "not_beads" if "not_beads" in compiled.path_of else "root"
    total = evaluation.count(compiled.path_of[cells])
    if total < JUDGED_EVENTS:
        return
    rows, step = evaluation.of(compiled.path_of[cells]), max(1, total // SAMPLED_EVENTS)
    sample = np.arange(0, total, step) if rows is None else rows[::step]
    index = {channel.detector: channel.index for channel in header.channels}
    shares = {
        marker: float(
            (events.column(index[detector], sample) >= compiled.maximum_of[marker] - 1).mean()
        )
        for marker, detector in sorted(compiled.detector_of.items())
        if marker != TIME
    }
    made.numbers["margins"] = {
        marker: round(share, 6) for marker, share in shares.items() if share > 0
    }
    if max(shares.values(), default=0.0) > MARGIN:
        made.flags.append(Flag.MANY_AT_THE_MARGIN)

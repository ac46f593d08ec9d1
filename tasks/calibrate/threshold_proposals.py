"""Propose a threshold's value: of the first source that gives one, held to the others.

The place of reference cells of the same detector carries the boundary from the strategy's own
instrument, and so keeps what it means; controls without the stain have the last word where they
would have it higher: no boundary may lie among cells that cannot be positive. Without either the
valley and the negative cells of the tubes tell. What was not taken is a witness.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gating.calibration.model import END_OF_SCALE
from gating.strategy.axis_map import AxisMap
from gating.strategy.model import Strategy
from gating.thresholds.measured_threshold import MISJUDGED
from gating.thresholds.valley import bin_of
from tasks.calibrate.threshold_sources import (
    Seen,
    SourceEstimate,
    pooled_counts,
    source_estimates,
)

if TYPE_CHECKING:
    from tasks.calibrate.alignment import Alignment
    from tasks.calibrate.negative_tail import Excess

ORDER = ("landmark", "fmo", "valley", "negative")
STEP = 1.06
"""So much a boundary is moved up at a time where too many negative cells lie beyond it."""
FAR = 2.0
HIGHER = 1.5
"""Sources contradict a value that differs by more than a factor of 2; negative cells one that they
would have 1.5 times as high."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """The value proposed for one threshold (None: nothing measures it) and what each source gave.

    ``declared`` is the value on the instrument the strategy is drawn on; ``doubt`` says which
    source contradicts the one that was taken (empty: none).
    """

    threshold: str
    marker: str
    declared: float
    value: float | None
    source: str
    sources: tuple[SourceEstimate, ...]
    doubt: str = ""


def propose(
    name: str,
    strategy: Strategy,
    alignment: Alignment,
    seen: Seen,
    maps: Mapping[str, AxisMap],
) -> Proposal:
    """Propose the value of one threshold, and say which source contradicts it.

    ``strategy`` has the numbers of the instrument it is drawn on; ``maps`` are by axis.
    """
    declared = strategy.thresholds[name]
    of_axis = [each for (_, axis), each in alignment.landmarks.items() if axis == declared.marker]
    moved = maps.get(declared.marker, AxisMap())
    sources = source_estimates(name, strategy, alignment.strategy, seen, (moved, of_axis))
    by_name = {each.source: each for each in sources}
    taken = next(
        (by_name[each] for each in ORDER if each in by_name and by_name[each].value is not None),
        None,
    )
    if taken is None or taken.value is None:
        return Proposal(name, declared.marker, declared.value, None, "", sources)
    control = by_name.get("fmo")
    if control is not None and control.value is not None and control.value > taken.value:
        taken = control
    value = float(f"{taken.value:.3g}")
    if not 0 < value <= END_OF_SCALE:
        beyond = replace(taken, value=None, fault=f"{value:.0f} lies beyond the scale")
        sources = tuple(beyond if each is taken else each for each in sources)
        return Proposal(name, declared.marker, declared.value, None, "", sources)
    counts = pooled_counts(name, seen)
    doubts = (_contradiction(each, value, counts) for each in sources if each is not taken)
    return Proposal(
        name,
        declared.marker,
        declared.value,
        value,
        taken.source,
        sources,
        "; ".join(filter(None, doubts)),
    )


def raised(proposal: Proposal, excess: Excess) -> Proposal:
    """Move a boundary up by a step: too many cells that cannot be positive lie beyond it."""
    value = float(f"{(proposal.value or 0.0) * STEP:.3g}")
    moved = SourceEstimate("tail", value, tubes=excess.tubes, cells=excess.cells)
    others = tuple(each for each in proposal.sources if each.source != "tail")
    doubts = (_contradiction(each, value, None) for each in others)
    return replace(
        proposal,
        value=value,
        source="tail",
        sources=(*others, moved),
        doubt="; ".join(filter(None, doubts)),
    )


def refused(proposal: Proposal, excess: Excess) -> Proposal:
    """Propose nothing where too many cells that cannot be positive lie beyond any boundary."""
    fault = (
        f"{excess.beyond:,} of {excess.cells:,} cells from before the infusion still lie beyond "
        f"{proposal.value or 0.0:.0f}"
    )
    others = tuple(each for each in proposal.sources if each.source != "tail")
    return replace(
        proposal,
        value=None,
        source="",
        sources=(*others, SourceEstimate("tail", None, fault=fault)),
        doubt="",
    )


def _contradiction(source: SourceEstimate, value: float, counts: np.ndarray | None) -> str:
    """Say how a source contradicts a value; empty where it does not.

    A valley does by the cells between the two, as in a tube: more than a tenth of the smaller mode.
    """
    if source.value is None:
        return ""
    ratio = source.value / value
    described = f"{source.source} gives {source.value:.0f}, {ratio:.2f} times as much"
    if source.source == "valley" and counts is not None:
        low, high = sorted((bin_of(source.value), bin_of(value)))
        place = bin_of(source.value)
        smaller = min(counts[:place].sum(), counts[place:].sum())
        share = counts[low:high].sum() / max(smaller, 1)
        between = f", and {100 * share:.0f} % of the smaller mode lie between"
        return f"{described}{between}" if share > MISJUDGED else ""
    if source.source in {"negative", "fmo"}:
        return described if ratio > HIGHER else ""
    return described if max(ratio, 1 / ratio) > FAR else ""

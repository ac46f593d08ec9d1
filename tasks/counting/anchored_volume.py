"""Determine the effective volume of a tube from a population whose concentration is known."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from tasks.counting.counts import TubeCounts
from tasks.counting.direct_volume import direct_volume
from tasks.counting.draw import Draw, analyser_counts, anchor_events, drawn_with, same_draw
from tasks.counting.limits import Analyser
from tasks.counting.volume import Volume, anchor_source
from tasks.vocabulary.flags import Flag, anchor_flag
from tasks.vocabulary.populations import ANCHORS

ANCHORS_APART = 0.10
"""SD between anchors, on the logarithm, from which they count as different."""
ANALYSED: tuple[Analyser, ...] = ("leukocytes", "lymphocytes")
"""Populations that the haematology analyser counts too."""
ANALYSER = "the analyser"


def anchored_volume(
    draw: Draw,
    tube: TubeCounts,
    population: str,
    *,
    anchors: Sequence[str],
    method: Literal["chain", "dual"],
) -> tuple[Volume | None, tuple[Flag, ...]]:
    """Determine the volume of a tube without beads by an anchor population.

    The anchor's concentration is known from another tube of the draw (``chain``) or from the
    analyser (``dual``). The anchors are tried in the population's order; a population is tied to
    itself only when no other anchor is left. An anchor needs a quantifiable number of events in
    both tubes.
    """
    order = [each for each in anchors if each != population]
    order += [each for each in anchors if each == population]
    by_anchor = _by_chain if method == "chain" else _by_analyser
    flags: list[Flag] = []
    for anchor in order:
        volume, flag = by_anchor(draw, tube, anchor)
        if flag and flag not in flags:
            flags.append(flag)
        if volume:
            flags += _anchor_flags(anchor, order[0], population)
            tied = _tied(volume, tube, anchor, population)
            if _is_tied_to_corrected(draw, tube, population, tied):
                flags.append(Flag.ANCHORED_ON_CORRECTED)
            return tied, tuple(flags)
    return None, tuple(flags)


def _anchor_flags(anchor: str, preferred: str, population: str) -> tuple[Flag, ...]:
    if anchor == population:
        return (Flag.ANCHOR_ITSELF,)
    if anchor == preferred:
        return ()
    return (anchor_flag(anchor),)


def _tied(volume: Volume, tube: TubeCounts, anchor: str, population: str) -> Volume:
    """Add the counting error of the anchor in this tube.

    Where the population is its own anchor that error cancels out.
    """
    counted = 0.0 if anchor == population else 1 / tube.counts[anchor].events
    return replace(
        volume,
        relative_variance=volume.relative_variance + counted,
        repeats=anchor == population,
        tied_to=(*volume.tied_to, (tube.identity.tube_sha256, anchor)),
    )


def _is_tied_to_corrected(draw: Draw, tube: TubeCounts, population: str, volume: Volume) -> bool:
    """Tell whether a person corrected a count that ties the population to a volume.

    Its own count does not matter here: that it was corrected is said of the count itself.
    """
    corrected = {
        (each.identity.tube_sha256, name) for each in draw.tubes for name in each.corrected
    }
    own = (tube.identity.tube_sha256, population)
    return any(row in corrected and row != own for row in volume.tied_to)


def _by_chain(draw: Draw, tube: TubeCounts, anchor: str) -> tuple[Volume | None, Flag | None]:
    """Tie the tube to its partner by an anchor that both counted."""
    events, partner = anchor_events(draw, tube, anchor), partner_of(draw, tube)
    if events is None or partner is None:
        return None, None
    other, volume = partner
    counted = anchor_events(draw, other, anchor)
    if counted is None:
        return None, None
    between_anchors = anchor_variance(draw, tube, other)
    flag = None
    if (other.identity.tube_sha256, anchor) in draw.differing:
        flag = Flag.REPLICATES_DIFFER
    elif between_anchors > ANCHORS_APART**2:
        flag = Flag.ANCHORS_DIFFER
    chained = Volume(
        microlitres=events * volume.microlitres / counted,
        method="chain",
        relative_variance=volume.relative_variance + 1 / counted + between_anchors,
        sources=(*volume.sources, anchor_source(tube.identity.tube_sha256, anchor)),
        tied_to=((other.identity.tube_sha256, anchor),),
    )
    return chained, flag


def anchor_variance(draw: Draw, tube: TubeCounts, partner: TubeCounts) -> float:
    """Give the variance between the anchors' estimates of the volume, beyond counting errors.

    Each anchor's logarithm of (events here / events there) estimates one and the same ratio of
    volumes. The variance between them is the moment estimate of DerSimonian and Laird (Controlled
    Clinical Trials 1986;7:177), 0 for fewer than two anchors that both tubes counted.
    """
    pairs = [
        (anchor_events(draw, tube, name), anchor_events(draw, partner, name)) for name in ANCHORS
    ]
    both = [(one, other) for one, other in pairs if one and other]
    if len(both) < 2:
        return 0.0
    logs = [math.log(one / other) for one, other in both]
    weights = [1 / (1 / one + 1 / other) for one, other in both]
    total = sum(weights)
    mean = sum(w * x for w, x in zip(weights, logs, strict=True)) / total
    spread = sum(w * (x - mean) ** 2 for w, x in zip(weights, logs, strict=True))
    scale = total - sum(w * w for w in weights) / total
    return max(0.0, (spread - (len(both) - 1)) / scale)


def partner_of(draw: Draw, tube: TubeCounts) -> tuple[TubeCounts, Volume] | None:
    """Choose the directly counted tube of the same draw that all anchors use.

    Beads go first, then the tube with most blood. Anchors of several tubes must not be mixed: a
    subset could come out larger than the population it belongs to.
    """
    candidates: list[tuple[tuple[bool, float, str], TubeCounts, Volume]] = []
    for other in same_draw(draw, tube):
        volume, _ = direct_volume(other, draw.methods_of(other), draw.limits)
        if volume is not None and other is not tube:
            rank = (volume.method != "bead", -volume.microlitres, other.identity.tube_sha256)
            candidates.append((rank, other, volume))
    if not candidates:
        return None
    _, partner, volume = min(candidates, key=lambda candidate: candidate[0])
    return partner, volume


def _by_analyser(draw: Draw, tube: TubeCounts, anchor: str) -> tuple[Volume | None, Flag | None]:
    """Tie the tube to the haematology analyser's count of its leukocytes or lymphocytes.

    The count on the tube's line of the sheet goes before those on other lines of the draw.
    """
    analysed = next((each for each in ANALYSED if each == anchor), None)
    if analysed is None:
        return None, None
    events = anchor_events(draw, tube, anchor)
    counts = analyser_counts([tube], analysed)
    if not counts:
        counts = analyser_counts(drawn_with(draw, tube), analysed)
    if len(counts) > 1:
        return None, Flag.ANALYSER_COUNTS_DIFFER
    if events is None or not counts:
        return None, None
    per_ul = next(iter(counts))
    errors = draw.limits.errors
    volume = Volume(
        microlitres=events / per_ul,
        method="dual",
        relative_variance=errors.analyser_cv(analysed, per_ul) ** 2 + errors.pipette_cv**2,
        sources=(ANALYSER,),
    )
    return volume, None

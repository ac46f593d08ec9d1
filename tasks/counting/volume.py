"""Find the effective volume: how many µL of blood the counted events of a tube stand for."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tasks.counting.counts import TubeCounts
from tasks.counting.intervals import (
    Interval,
    bead_ratio,
    log_normal,
    scaled_count,
    volumetric,
    widened,
)
from tasks.counting.limits import Analyser, LimitSettings
from tasks.vocabulary.flags import Flag, anchor_flag
from tasks.vocabulary.populations import ANCHORS, LYMPHOCYTES

CountMethod = Literal["bead", "volumetric", "chain", "dual"]
Method = Literal["bead", "volumetric", "dual", "chain", "none"]

ANCHORS_APART = 0.10
"""SD between anchors, on the logarithm, from which they are said to differ."""
ANALYSER = "the analyser"


@dataclass(frozen=True, slots=True)
class Volume:
    """An effective volume, how it was found and how uncertain it is.

    ``relative_variance`` is the variance of its logarithm, all errors together;
    ``systematic_variance`` is the part of it that no count shows (pipette, bead lot, coincidence).
    ``repeats`` marks a population tied to its own concentration. ``sources`` name what it hangs on:
    beads or acquired volume of a tube, the analyser, an anchor of the tube itself; ``tied_to`` are
    the rows (tube, population) of the anchor here and in the partner.
    """

    microlitres: float
    method: CountMethod
    relative_variance: float
    systematic_variance: float = 0.0
    beads: int | None = None
    repeats: bool = False
    sources: tuple[str, ...] = ()
    tied_to: tuple[tuple[str, str], ...] = ()

    def concentration(self, events: int) -> tuple[float, Interval]:
        """Give cells/µL for ``events``, with their 95 % interval."""
        value = events / self.microlitres
        if self.repeats:
            return value, log_normal(value, self.relative_variance)
        if self.method == "bead" and self.beads is not None:
            return value, widened(
                bead_ratio(events, self.beads, self.beads / self.microlitres),
                value,
                self.systematic_variance,
            )
        if self.method == "volumetric":
            return value, widened(
                volumetric(events, self.microlitres), value, self.systematic_variance
            )
        return value, scaled_count(events, self.microlitres, self.relative_variance)


@dataclass(frozen=True, slots=True)
class Draw:
    """The tubes of one visit with what ties their counts to a volume.

    ``counting`` maps panel to its counting methods in order; ``quantify_events`` maps (tube,
    population) to the events from which that population may serve as an anchor in that tube;
    ``differing`` holds the (tube, population) whose duplicate direct counts differ. ``beside`` are
    tubes of the visit that count for nothing (controls, unusable ones) but whose lines may hold the
    analyser's counts.
    """

    tubes: tuple[TubeCounts, ...]
    counting: Mapping[str, tuple[CountMethod, ...]]
    quantify_events: Mapping[tuple[str, str], int]
    limits: LimitSettings
    differing: frozenset[tuple[str, str]] = frozenset()
    beside: tuple[TubeCounts, ...] = ()


def direct_volume(
    tube: TubeCounts, methods: Sequence[CountMethod], limits: LimitSettings
) -> tuple[Volume | None, tuple[Flag, ...]]:
    """Find the volume from the tube itself: by its counting beads or by its acquired volume, whichever the panel has first.

    Beads fewer than ``limits.minimum_beads`` are not used at all, because every concentration of
    the tube hangs on them, while few lymphocytes in leukopenia are biology: they are flagged and
    their interval is wide.
    """
    flags: list[Flag] = []
    found: Volume | None = None
    for method in methods:
        if method == "bead":
            found, flag = _by_beads(tube, limits)
        elif method == "volumetric":
            found, flag = _by_acquired_volume(tube, limits)
        else:
            continue
        if flag:
            flags.append(flag)
        if found:
            break
    lymphocytes = tube.counts.get(LYMPHOCYTES)
    if found and lymphocytes is not None and lymphocytes.events < limits.minimum_lymphocytes:
        flags.append(Flag.FEW_LYMPHOCYTES)
    return found, tuple(flags)


def anchored_volume(
    draw: Draw,
    tube: TubeCounts,
    population: str,
    anchors: Sequence[str],
    method: Literal["chain", "dual"],
) -> tuple[Volume | None, tuple[Flag, ...]]:
    """Find the volume of a tube without beads by an anchor population whose concentration is known from elsewhere.

    The anchors are tried in the population's order; a population is tied to itself only when no
    other anchor is left. An anchor needs a quantifiable number of events in both tubes.
    """
    order = [a for a in anchors if a != population] + [a for a in anchors if a == population]
    flags: list[Flag] = []
    for anchor in order:
        found, flag = (
            _by_chain(draw, tube, anchor) if method == "chain" else _by_analyser(draw, tube, anchor)
        )
        if flag and flag not in flags:
            flags.append(flag)
        if found:
            return _tied(found, tube, anchor, population), (
                *flags,
                *_anchor_flags(anchor, order[0], population),
            )
    return None, tuple(flags)


def _anchor_flags(anchor: str, first: str, population: str) -> tuple[Flag, ...]:
    if anchor == population:
        return (Flag.ANCHOR_ITSELF,)
    return () if anchor == first else (anchor_flag(anchor),)


def _tied(found: Volume, tube: TubeCounts, anchor: str, population: str) -> Volume:
    """Add the counting error of the anchor in this tube, unless the population is its own anchor and it cancels out."""
    counted = 0.0 if anchor == population else 1 / tube.counts[anchor].events
    tied_to = (*found.tied_to, (tube.identity.tube_sha256, anchor))
    return replace(
        found,
        relative_variance=found.relative_variance + counted,
        repeats=anchor == population,
        tied_to=tied_to,
    )


def own_volumes(draw: Draw, tube: TubeCounts) -> tuple[Volume, ...]:
    """Give every volume the tube itself tells, by its beads and by its acquired volume, where its panel is counted directly at all.

    What a washed tube took in says nothing of the blood.
    """
    if not {"bead", "volumetric"} & set(draw.counting.get(tube.identity.panel, ())):
        return ()
    found = (_by_beads(tube, draw.limits)[0], _by_acquired_volume(tube, draw.limits)[0])
    return tuple(volume for volume in found if volume is not None)


def _by_beads(tube: TubeCounts, limits: LimitSettings) -> tuple[Volume | None, Flag | None]:
    """Find the volume whose beads were counted, for the cells that were counted one by one."""
    lot, blood = tube.identity.beads_per_tube, tube.identity.blood_volume_ul
    if tube.beads is None:
        return None, None
    if tube.bead_proof != "proven":
        return None, Flag.BEADS_INCOMPLETE if lot else None
    if tube.beads < limits.minimum_beads:
        return None, Flag.FEW_BEADS
    if not lot or not blood or lot <= 0 or blood <= 0:
        return None, Flag.BEAD_LOT_MISSING
    systematic = limits.errors.bead_lot_cv**2 + _shared_variance(tube, limits)
    microlitres = tube.alone * blood * tube.beads / lot
    return (
        Volume(
            microlitres, "bead", 1 / tube.beads + systematic, systematic,
            beads=tube.beads, sources=(bead_source(tube.identity.tube_sha256),),
        ),
        None,
    )  # fmt: skip


def _by_acquired_volume(
    tube: TubeCounts, limits: LimitSettings
) -> tuple[Volume | None, Flag | None]:
    acquired, dilution = tube.identity.acquired_volume_ul, tube.identity.dilution
    if not acquired or acquired <= 0:
        return None, None
    if not dilution or dilution <= 0:
        return None, Flag.DILUTION_MISSING
    systematic = _shared_variance(tube, limits)
    microlitres = tube.alone * tube.kept * acquired / dilution
    sources = (volume_source(tube.identity.tube_sha256),)
    return Volume(microlitres, "volumetric", systematic, systematic, sources=sources), None


def _shared_variance(tube: TubeCounts, limits: LimitSettings) -> float:
    """Give the variance that every count of a tube shares: the pipette's, and that of half the correction for coincidence."""
    coincidence = (1 - tube.alone) / 2
    return limits.errors.pipette_cv**2 + coincidence**2


def bead_source(sha: str) -> str:
    """Name the counting beads of a tube."""
    return f"the beads of tube {sha[:12]}"


def volume_source(sha: str) -> str:
    """Name the acquired volume of a tube."""
    return f"the acquired volume of tube {sha[:12]}"


def anchor_source(sha: str, anchor: str) -> str:
    """Name an anchor population of a tube."""
    return f"the {anchor} of tube {sha[:12]}"


def _by_chain(draw: Draw, tube: TubeCounts, anchor: str) -> tuple[Volume | None, Flag | None]:
    """Tie the tube to its partner by an anchor that both counted."""
    events, partner = anchor_events(draw, tube, anchor), partner_of(draw, tube)
    if events is None or partner is None:
        return None, None
    other, volume = partner
    counted = anchor_events(draw, other, anchor)
    if counted is None:
        return None, None
    flag = (
        Flag.REPLICATES_DIFFER if (other.identity.tube_sha256, anchor) in draw.differing else None
    )
    apart = anchor_variance(draw, tube, other)
    if flag is None and apart > ANCHORS_APART**2:
        flag = Flag.ANCHORS_DIFFER
    variance = volume.relative_variance + 1 / counted + apart
    sources = (*volume.sources, anchor_source(tube.identity.tube_sha256, anchor))
    tied_to = ((other.identity.tube_sha256, anchor),)
    return Volume(
        events * volume.microlitres / counted, "chain", variance, sources=sources, tied_to=tied_to
    ), flag


def anchor_variance(draw: Draw, tube: TubeCounts, partner: TubeCounts) -> float:
    """Give the variance between what the anchors that both tubes counted say of the volume, beyond counting errors.

    Each anchor's logarithm of (events here / events there) estimates one and the same ratio of
    volumes. The variance between them is the moment estimate of DerSimonian and Laird (Controlled
    Clinical Trials 1986;7:177), 0 for fewer than two anchors.
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
    """Choose the directly counted tube of the same draw that all anchors use: beads first, then the one with most blood.

    Anchors of several tubes must not be mixed: a subset could come out larger than the population
    it belongs to.
    """
    candidates: list[tuple[tuple[bool, float, str], TubeCounts, Volume]] = []
    for other in same_draw(draw, tube):
        volume, _ = direct_volume(other, draw.counting.get(other.identity.panel, ()), draw.limits)
        if volume is not None and other is not tube:
            rank = (volume.method != "bead", -volume.microlitres, other.identity.tube_sha256)
            candidates.append((rank, other, volume))
    return min(candidates, key=lambda candidate: candidate[0])[1:] if candidates else None


def _by_analyser(draw: Draw, tube: TubeCounts, anchor: str) -> tuple[Volume | None, Flag | None]:
    """Tie the tube to the haematology analyser's count of its leukocytes or lymphocytes."""
    analysed: Analyser
    if anchor == "leukocytes":
        analysed = "leukocytes"
    elif anchor == "lymphocytes":
        analysed = "lymphocytes"
    else:
        return None, None
    events = anchor_events(draw, tube, anchor)
    own = analyser_counts([tube], analysed)
    known = own or analyser_counts(drawn_with(draw, tube), analysed)
    if len(known) > 1:
        return None, Flag.ANALYSER_COUNTS_DIFFER
    if events is None or not known:
        return None, None
    per_ul = next(iter(known))
    errors = draw.limits.errors
    variance = errors.analyser_cv(analysed, per_ul) ** 2 + errors.pipette_cv**2
    return Volume(events / per_ul, "dual", variance, sources=(ANALYSER,)), None


def analyser_counts(tubes: Iterable[TubeCounts], analysed: Analyser) -> set[float]:
    """List the different counts of an analyser that the sheet gives for some tubes (cells/µL)."""
    said = (
        t.identity.leukocytes_per_ul if analysed == "leukocytes" else t.identity.lymphocytes_per_ul
        for t in tubes
    )
    return {count for count in said if count is not None and count > 0}


def anchor_events(draw: Draw, tube: TubeCounts, anchor: str) -> int | None:
    """Give the anchor's events in a tube when there are enough of them to carry other counts."""
    count = tube.counts.get(anchor)
    needed = draw.quantify_events.get(
        (tube.identity.tube_sha256, anchor), draw.limits.quantify_events
    )
    return count.events if count is not None and count.events >= needed else None


def same_draw(draw: Draw, tube: TubeCounts) -> list[TubeCounts]:
    """List the tubes drawn at about the same time: a count of another day must not be carried over."""
    return _drawn_with(draw.tubes, draw, tube)


def drawn_with(draw: Draw, tube: TubeCounts) -> list[TubeCounts]:
    """List the tubes drawn at about the same time, also those that count for nothing themselves."""
    return _drawn_with((*draw.tubes, *draw.beside), draw, tube)


def _drawn_with(tubes: Iterable[TubeCounts], draw: Draw, tube: TubeCounts) -> list[TubeCounts]:
    longest = draw.limits.same_draw_hours * 3600
    return [
        t
        for t in tubes
        if abs((t.identity.drawn_at - tube.identity.drawn_at).total_seconds()) <= longest
    ]

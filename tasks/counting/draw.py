"""Hold the tubes of one draw, and read from them what ties counts to a volume."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tasks.counting.counts import TubeCounts
from tasks.counting.limits import Analyser, LimitSettings
from tasks.counting.volume import CountMethod


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

    def methods_of(self, tube: TubeCounts) -> tuple[CountMethod, ...]:
        """Give the counting methods of a tube's panel, best first; none for an unknown panel."""
        return self.counting.get(tube.identity.panel, ())


def same_draw(draw: Draw, tube: TubeCounts) -> list[TubeCounts]:
    """List the tubes drawn at about the same time.

    A count of another day must not be carried over.
    """
    return _drawn_with(draw.tubes, draw, tube)


def drawn_with(draw: Draw, tube: TubeCounts) -> list[TubeCounts]:
    """List the tubes drawn at about the same time, also those that count for nothing themselves."""
    return _drawn_with((*draw.tubes, *draw.beside), draw, tube)


def _drawn_with(tubes: Iterable[TubeCounts], draw: Draw, tube: TubeCounts) -> list[TubeCounts]:
    longest = draw.limits.same_draw_hours * 3600
    drawn_at = tube.identity.drawn_at
    return [
        each
        for each in tubes
        if abs((each.identity.drawn_at - drawn_at).total_seconds()) <= longest
    ]


def anchor_events(draw: Draw, tube: TubeCounts, anchor: str) -> int | None:
    """Give the anchor's events in a tube when there are enough of them to carry other counts."""
    count = tube.counts.get(anchor)
    if count is None:
        return None
    row = (tube.identity.tube_sha256, anchor)
    needed = draw.quantify_events.get(row, draw.limits.quantify_events)
    if count.events >= needed:
        return count.events
    return None


def analyser_counts(tubes: Iterable[TubeCounts], analysed: Analyser) -> set[float]:
    """List the different counts of an analyser that the sheet gives for some tubes (cells/µL)."""
    counts = {_analyser_count(tube, analysed) for tube in tubes}
    return {count for count in counts if count is not None and count > 0}


def _analyser_count(tube: TubeCounts, analysed: Analyser) -> float | None:
    if analysed == "leukocytes":
        return tube.identity.leukocytes_per_ul
    return tube.identity.lymphocytes_per_ul

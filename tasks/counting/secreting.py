"""Estimate how many of the B cells (CD19+) secrete antibodies, which puts them in no quadrant.

The quadrants are those of IgD × CD27.

Neither the plasmablasts' gate nor the plasma cells' is a child of the B cells': plasmablasts are
larger than lymphocytes, and some plasma cells have lost CD19. So the strategy counts how many B
cells lie outside the quadrants, and how many plasmablasts and plasma cells there are, but not how
many of each are B cells.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from tasks.counting.counts import TubeCounts
from tasks.vocabulary.flags import Flag
from tasks.vocabulary.populations import B_CELLS, PLASMA_CELLS, PLASMABLASTS, QUADRANTS

MANY = 0.10
"""From this share of the B cells on a flag says that b_cells are not resting B cells alone."""

FEWEST_EVENTS = 20
"""Fewer B cells or fewer secreting ones are not reported: every tube calls so few not detected."""


@dataclass(frozen=True, slots=True)
class SecretingBCells:
    """B cells outside the quadrants, as the counts of the two populations allow to name them.

    If each is a plasmablast or a plasma cell, at least ``plasmablasts`` and ``plasma_cells`` are
    that, because the other population has too few cells to fill the place; ``either`` are one or
    the other. ``neither`` are more than both populations have. (A secreting CD138− cell with IgD is
    counted in neither population: such cells, few of a hundred, are the error of the two numbers.)
    """

    plasmablasts: int
    plasma_cells: int
    either: int
    neither: int

    @property
    def secreting(self) -> int:
        """Give all that are plasmablasts or plasma cells."""
        return self.plasmablasts + self.plasma_cells + self.either


def secreting_b_cells(events: Mapping[str, int]) -> SecretingBCells | None:
    """Divide the B cells outside the quadrants; ``events`` are a tube's by population.

    Gives ``None`` where one of them is not reported or the quadrants overlap.
    """
    if not {B_CELLS, *QUADRANTS, PLASMABLASTS, PLASMA_CELLS} <= set(events):
        return None
    outside = events[B_CELLS] - sum(events[quadrant] for quadrant in QUADRANTS)
    if outside < 0:
        return None
    plasmablasts, plasma_cells = events[PLASMABLASTS], events[PLASMA_CELLS]
    surely_plasmablasts = min(plasmablasts, max(0, outside - plasma_cells))
    surely_plasma_cells = min(plasma_cells, max(0, outside - plasmablasts))
    neither = max(0, outside - plasmablasts - plasma_cells)
    either = outside - surely_plasmablasts - surely_plasma_cells - neither
    return SecretingBCells(surely_plasmablasts, surely_plasma_cells, either, neither)


def are_many(secreting: int, b_cells: int) -> bool:
    """Decide whether so many of the B cells secrete antibodies that a reader must know."""
    return min(secreting, b_cells) >= FEWEST_EVENTS and secreting > MANY * b_cells


def with_secreting_cells(tube: TubeCounts) -> TubeCounts:
    """Flag a tube's B cells where many of them are plasmablasts or plasma cells."""
    divided = secreting_b_cells({name: count.events for name, count in tube.counts.items()})
    if divided is None or not are_many(divided.secreting, tube.counts[B_CELLS].events):
        return tube
    count = tube.counts[B_CELLS]
    flags = dict.fromkeys((*count.flags, str(Flag.MANY_SECRETING_B_CELLS)))
    return replace(tube, counts={**tube.counts, B_CELLS: replace(count, flags=tuple(flags))})

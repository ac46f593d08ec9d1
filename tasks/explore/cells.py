"""Hold the cells of one compartment whose markers are explored together."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]

NOISE = -1
"""The label of events that belong to no cluster."""
WHOLE = 0.9
"""A population or cluster with this share of a compartment's events tells none of them apart."""


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Events of one compartment from several tubes.

    ``values`` (events × markers) are compensated and on the display scale; ``tube`` (events,) says
    by number which tube an event is from, ``weight`` (events,) how many events of that tube's
    compartment it stands for; ``inside`` (events × populations) which of the reported
    ``populations`` hold it. ``leaves`` are the populations that name cells: those that hold no
    other reported one, and not the compartment itself.
    """

    markers: tuple[str, ...]
    values: Floats
    tube: Integers
    weight: Floats
    populations: tuple[str, ...]
    inside: Booleans
    leaves: tuple[str, ...]

    def __len__(self) -> int:
        """Count the events."""
        return len(self.values)

    @property
    def in_leaves(self) -> Booleans:
        """Give which leaf populations hold each event (events × leaves)."""
        return self.inside[:, [self.populations.index(name) for name in self.leaves]]


def leaf_populations(
    paths: Mapping[str, tuple[str, ...]], inside: Booleans, compartment: str
) -> tuple[str, ...]:
    """Choose the populations that name the cells of a compartment.

    ``paths`` maps each reported population, in the order of the columns of ``inside``, to the path
    of its gate from the root. A population is left out when it holds nearly all of the compartment,
    none of it, or when the gate of another one that holds some of it lies below its own.
    """
    share = inside.mean(axis=0) if len(inside) else np.zeros(len(paths))
    present = {name: path for (name, path), held in zip(paths.items(), share, strict=True) if held}
    return tuple(
        name
        for name, held in zip(paths, share, strict=True)
        if name != compartment and 0 < held < WHOLE and not _has_below(paths[name], present)
    )


def _has_below(own: tuple[str, ...], paths: Mapping[str, tuple[str, ...]]) -> bool:
    return any(len(path) > len(own) and path[: len(own)] == own for path in paths.values())

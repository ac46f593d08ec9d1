"""Map the dimensions of another program's gates to a strategy's axes, scales and compensation.

A gate that a strategy would read differently cannot be carried over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from gating.exchange.import_notes import Note
from gating.exchange.read_document import Foreign
from gating.exchange.scale_conversion import ChannelNames, is_scatter, scale_like, top_of
from gating.fcs.near_identity import is_identity, stands_apart
from gating.strategy.gates import Scale
from panels.acquisition_time import TIME
from panels.panel import Panel

if TYPE_CHECKING:
    import flowkit

Path = tuple[str, ...]


class CannotCarry(Exception):
    """The reason why one gate cannot be carried over; the import notes it.

    ``cure`` says what the user can change so that it is (empty: nothing).
    """

    def __init__(self, reason: str, cure: str = "") -> None:
        super().__init__(reason)
        self.cure = cure


@dataclass(slots=True)
class DimensionMapping:
    """How the gates of a document read their events: the markers, the scales, the compensation.

    The first gate that is compensated settles the compensation. ``matrix_panel`` is the panel with
    the document's matrix, once a gate refers to one.
    """

    foreign: Foreign
    panel: Panel
    name: str
    names: ChannelNames
    stores_spill: bool | None
    notes: list[Note]
    scales: dict[str, Scale] = field(default_factory=dict)
    reference: str | None = None
    matrix_panel: dict[str, Any] | None = None

    def known_axis(self, name: str, matrix: flowkit.Matrix | None = None) -> str:
        """Give the marker or scatter parameter of a channel.

        Raises CannotCarry when the panel does not read it.
        """
        axis = self.names.axis(name, matrix)
        if axis is None:
            raise CannotCarry(
                f"It needs the channel {name}, which the panel {self.panel.panel} does not read.",
                f"Add {name} to the panel: as the detector or a synonym of a marker, or, if it is "
                f"scatter or time, under 'scatter'.",
            )
        return axis

    def axis(self, dimension: Any) -> str:
        """Give the axis of a dimension.

        Raises CannotCarry for one that the strategy would compensate differently.
        """
        if getattr(dimension, "ratio_ref", None):
            raise CannotCarry("It draws a shape on a ratio.")
        reference = dimension.compensation_ref
        matrix = self.foreign.gating.comp_matrices.get(reference)
        name = getattr(dimension, "dimension_ref", None) or dimension.id
        axis = self.known_axis(name, matrix)
        wanted = self._compensation(reference, matrix)
        if is_scatter(axis):
            if wanted not in {None, "FCS"} and _covers(matrix, name):
                raise CannotCarry(f"It compensates {axis}, which a strategy never does.")
            return axis
        self._settle_compensation(axis, wanted, matrix)
        return axis

    def _settle_compensation(
        self, axis: str, wanted: str | None, matrix: flowkit.Matrix | None
    ) -> None:
        """Refuse a fluorescence that the panel would compensate differently."""
        if self.panel.compensated and wanted is None:
            raise CannotCarry(
                f"It reads {axis} uncompensated, and the panel {self.panel.panel} compensates it.",
                f"If the files hold values that need no compensation (compensated or unmixed "
                f"already), write 'compensated: false' into the panel {self.panel.panel}.",
            )
        if not self.panel.compensated and wanted is not None:
            raise CannotCarry(
                f"It reads {axis} compensated, and the panel {self.panel.panel} takes its "
                f"files as they are.",
                f"Take 'compensated: false' out of the panel {self.panel.panel} if its files are "
                f"to be compensated.",
            )
        if wanted is not None:
            self._agree_on(wanted, matrix)

    def _compensation(self, reference: str | None, matrix: flowkit.Matrix | None) -> str | None:
        """Give the reference of a compensation that changes values.

        None for none, for an identity, and for a file's spill where the files store none.
        """
        if reference is None or reference == "uncompensated":
            return None
        if reference == "FCS" and self.stores_spill is False:
            return None
        if matrix is not None and self._changes_nothing(matrix.matrix):
            return None
        return reference

    def _changes_nothing(self, matrix: np.ndarray) -> bool:
        """Tell whether a matrix is an identity; for a panel that compensates, an exact one.

        Such a panel may hold a matrix that hardly compensates.
        """
        if len(set(matrix.shape)) != 1:
            return False
        if self.panel.compensated:
            return np.array_equal(matrix, np.eye(len(matrix)))
        return is_identity(matrix)

    def _agree_on(self, wanted: str, matrix: flowkit.Matrix | None) -> None:
        """Take the first compensation for the strategy's; a gate with another is refused."""
        if self.reference is None:
            if wanted != "FCS":
                self.matrix_panel = self._panel_with(wanted, matrix)
            self.reference = wanted
        if self.reference != wanted:
            raise CannotCarry(
                f"It asks for the compensation {wanted}; other gates ask for {self.reference}."
            )

    def _panel_with(self, reference: str, matrix: flowkit.Matrix | None) -> dict[str, Any]:
        """Give the panel with the document's matrix as the panel's."""
        if matrix is None:
            raise CannotCarry(f"The compensation {reference} is not defined.")
        if matrix.matrix.shape[0] != matrix.matrix.shape[1]:
            raise CannotCarry(
                f"The compensation {reference} has more detectors than dyes: not of this panel."
            )
        order = [stain.marker for stain in self.panel.markers]
        axes = [self.names.axis(detector) for detector in matrix.detectors]
        unknown = [place for place, axis in enumerate(axes) if axis not in order]
        self._leave_out(reference, matrix, unknown)
        of_panel = [place for place in range(len(axes)) if place not in unknown]
        full = np.eye(len(order))
        places = [order.index(str(axes[place])) for place in of_panel]
        full[np.ix_(places, places)] = matrix.matrix[np.ix_(of_panel, of_panel)]
        text = (
            f"The compensation {reference} is kept as the matrix of the panel {self.name}, which "
            f"the strategy refers to. Copy panel.yaml into the study's panels folder as "
            f"{self.name}.yaml, unless the import wrote it there (--study)."
        )
        self.notes.append(Note("changed", "", text))
        changed = {
            "panel": self.name,
            "matrix": full.tolist(),
            "title": f"{self.panel.title}, with the matrix {reference}",
        }
        return self.panel.model_dump(mode="json", exclude_defaults=True) | changed

    def _leave_out(self, reference: str, matrix: flowkit.Matrix, unknown: Sequence[int]) -> None:
        """Note the detectors that the panel does not read, where the others do without them.

        Raises CannotCarry where one of them spills into others, or they into it.
        """
        apart = [place for place in unknown if stands_apart(matrix.matrix, place)]
        mixed = [matrix.detectors[place] for place in unknown if place not in apart]
        if mixed:
            raise CannotCarry(
                f"The compensation {reference} has {', '.join(mixed)}: not of this panel.",
                f"Add {', '.join(mixed)} to the panel {self.panel.panel} as detectors of markers.",
            )
        if apart:
            names = ", ".join(matrix.detectors[place] for place in apart)
            text = (
                f"The compensation {reference} also lists {names}, which the panel "
                f"{self.panel.panel} does not read: no spill goes there or comes from there, so "
                f"they were left out."
            )
            self.notes.append(Note("changed", "", text))

    def settle_scales(self, nodes: Mapping[Path, flowkit.gates.Gate]) -> None:
        """Choose a scale for each axis: of its ellipses, else its polygons, else its other gates.

        Where no file says how far an axis reaches, the end of the document's scales of it is taken,
        if they agree.
        """
        drawn = list(self._drawn(nodes))
        self._settle_ranges(drawn)
        ranks: dict[str, list[tuple[int, Scale]]] = {}
        for rank, axis, transform in drawn:
            scale = scale_like(transform, self.names.maximum(axis))
            if is_scatter(axis):
                scale = Scale(kind="linear")
            ranks.setdefault(axis, []).append((rank, scale))
        self.scales = {axis: min(each, key=lambda one: one[0])[1] for axis, each in ranks.items()}

    def _drawn(
        self, nodes: Mapping[Path, flowkit.gates.Gate]
    ) -> Iterator[tuple[int, str, flowkit.transforms.Transform | None]]:
        """Yield each axis of each gate with its scale.

        The first value is how much the gate's shape depends on the scale (0 most).
        """
        gating = self.foreign.gating
        for gate in nodes.values():
            for dimension in getattr(gate, "dimensions", None) or ():
                name = getattr(dimension, "dimension_ref", None) or getattr(dimension, "id", "")
                matrix = gating.comp_matrices.get(dimension.compensation_ref)
                axis = self.names.axis(str(name), matrix)
                reference = dimension.transformation_ref
                if axis is None or reference not in {None, *gating.transformations}:
                    continue
                yield _scale_rank(gate), axis, self.transform(reference)

    def _settle_ranges(
        self, drawn: Iterable[tuple[int, str, flowkit.transforms.Transform | None]]
    ) -> None:
        """Take the ends of the document's scales as ranges where no file gives them; note which."""
        tops: dict[str, dict[bool, set[float]]] = {}
        for _, axis, transform in drawn:
            if axis == TIME or self.names.has_maximum(axis):
                continue
            top, straight = top_of(transform), type(transform).__name__ == "LinearTransform"
            ends = tops.setdefault(axis, {False: set(), True: set()})
            if top is not None and 0 < top < np.inf:
                ends[straight].add(top)
        # A linear scale may end where someone zoomed to; the others end where the cytometer does.
        best = {axis: ends[False] or ends[True] for axis, ends in tops.items()}
        agreed = {axis: next(iter(ends)) for axis, ends in best.items() if len(ends) == 1}
        for axis, top in agreed.items():
            self.names.set_maximum(axis, top)
        if agreed:
            listed = ", ".join(f"{axis} {top:.10g}" for axis, top in sorted(agreed.items()))
            text = (
                f"No file says how far values reach, so the end of the document's own scale was "
                f"taken: {listed}. Name a file with --fcs if $PnR is another."
            )
            self.notes.append(Note("changed", "", text))
        unknown = [axis for axis in tops if not self.names.has_maximum(axis)]
        if unknown:
            text = (
                f"The document does not say how far values reach on {', '.join(sorted(unknown))}: "
                f"262144 was taken. Name a file with --fcs if it is not so."
            )
            self.notes.append(Note("to do", "", text))

    def transform(self, reference: str | None) -> flowkit.transforms.Transform | None:
        """Give a scale of the document (None: linear); raises CannotCarry for an undefined one."""
        if reference is None:
            return None
        if reference not in self.foreign.gating.transformations:
            raise CannotCarry(f"Its scale {reference} is not defined.")
        return self.foreign.gating.transformations[reference]


def _covers(matrix: flowkit.Matrix | None, name: str) -> bool:
    """Tell whether a matrix compensates a channel, by its detector or its fluorochrome."""
    return matrix is not None and name in (*matrix.detectors, *matrix.fluorochromes)


def _scale_rank(gate: flowkit.gates.Gate) -> int:
    """Rank how much a gate's shape depends on its scale: ellipses most (0), then polygons."""
    from flowkit import gates

    if isinstance(gate, gates.EllipsoidGate):
        return 0
    return 1 if isinstance(gate, gates.PolygonGate) else 2

"""Say on which axis, scale and compensation another program's gate reads its events, and whether a strategy would read them so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from gating.exchange.import_notes import Note
from gating.exchange.read_document import Foreign
from gating.exchange.scale_conversion import ChannelNames, is_scatter, scale_like, top_of
from gating.strategy.gates import Scale
from panels.acquisition_time import TIME
from panels.panel import Panel

if TYPE_CHECKING:
    import flowkit

Path = tuple[str, ...]


class CannotCarry(Exception):
    """Say why one gate cannot be carried over; caught by the import, which reports it."""


@dataclass(slots=True)
class DimensionMapping:
    """How the gates of a document read their events: the marker, the scale, and the compensation that the first of them settles.

    ``own_panel`` is the panel with the document's matrix, once a gate asked for one.
    """

    foreign: Foreign
    panel: Panel
    name: str
    names: ChannelNames
    stores_spill: bool | None
    notes: list[Note]
    scales: dict[str, Scale] = field(default_factory=dict)
    reference: str | None = None
    own_panel: dict[str, Any] | None = None

    def known_axis(self, name: str, matrix: flowkit.Matrix | None = None) -> str:
        """Give the marker or scatter parameter of a channel; raises CannotCarry when the panel does not read it."""
        axis = self.names.axis(name, matrix)
        if axis is None:
            raise CannotCarry(
                f"It needs the channel {name}, which the panel {self.panel.panel} does not read."
            )
        return axis

    def axis(self, dimension: Any) -> str:
        """Give the axis of a dimension, refusing one that the strategy would compensate otherwise."""
        if getattr(dimension, "ratio_ref", None):
            raise CannotCarry("It draws a shape on a ratio.")
        reference = dimension.compensation_ref
        matrix = self.foreign.gating.comp_matrices.get(reference)
        name = getattr(dimension, "dimension_ref", None) or dimension.id
        axis = self.known_axis(name, matrix)
        wanted = self._compensation(reference, matrix)
        if is_scatter(axis):
            if (
                wanted not in {None, "FCS"}
                and matrix is not None
                and name in (*matrix.detectors, *matrix.fluorochromes)
            ):
                raise CannotCarry(f"It compensates {axis}, which a strategy never does.")
            return axis
        if self.panel.compensated and wanted is None:
            raise CannotCarry(
                f"It reads {axis} uncompensated, and the panel {self.panel.panel} compensates it."
            )
        if not self.panel.compensated and wanted is not None:
            raise CannotCarry(
                f"It reads {axis} compensated, and the panel {self.panel.panel} takes its "
                f"files as they are."
            )
        if wanted is not None:
            self._agree_on(wanted, matrix)
        return axis

    def _compensation(self, reference: str | None, matrix: flowkit.Matrix | None) -> str | None:
        """Give the reference of a compensation that changes values; None for none, and for an identity."""
        if (
            reference is None
            or reference == "uncompensated"
            or (reference == "FCS" and self.stores_spill is False)
        ):
            return None
        if (
            matrix is not None
            and matrix.matrix.shape[0] == matrix.matrix.shape[1]
            and np.array_equal(matrix.matrix, np.eye(len(matrix.matrix)))
        ):
            return None
        return reference

    def _agree_on(self, wanted: str, matrix: flowkit.Matrix | None) -> None:
        """Take the first compensation for the strategy's; a gate that asks for another cannot be carried over."""
        if self.reference is None:
            if wanted != "FCS":
                self.own_panel = self._panel_with(wanted, matrix)
            self.reference = wanted
        if self.reference != wanted:
            raise CannotCarry(
                f"It asks for the compensation {wanted}; other gates ask for {self.reference}."
            )

    def _panel_with(self, reference: str, matrix: flowkit.Matrix | None) -> dict[str, Any]:
        """Give the panel with the document's matrix as its own."""
        if matrix is None:
            raise CannotCarry(f"The compensation {reference} is not defined.")
        order = [stain.marker for stain in self.panel.markers]
        axes = [self.names.axis(detector) for detector in matrix.detectors]
        strange = [
            detector
            for detector, axis in zip(matrix.detectors, axes, strict=True)
            if axis not in order
        ]
        if strange or matrix.matrix.shape[0] != matrix.matrix.shape[1]:
            raise CannotCarry(
                f"The compensation {reference} has "
                f"{', '.join(strange) or 'more detectors than dyes'}: not of this panel."
            )
        full = np.eye(len(order))
        places = [order.index(str(axis)) for axis in axes]
        full[np.ix_(places, places)] = matrix.matrix
        text = (
            f"The compensation {reference} is kept as the matrix of the panel {self.name}, which "
            f"the strategy refers to."
        )
        self.notes.append(
            Note(
                "changed",
                "",
                f"{text} Copy panel.yaml into the study's panels folder as {self.name}.yaml.",
            )
        )
        changed = {
            "panel": self.name,
            "matrix": full.tolist(),
            "title": f"{self.panel.title}, with the matrix {reference}",
        }
        return self.panel.model_dump(mode="json", exclude_defaults=True) | changed

    def settle_scales(self, nodes: Mapping[Path, flowkit.gates.Gate]) -> None:
        """Choose one scale an axis: that of its ellipses, else of its polygons, else of its other gates.

        Where no file says how far an axis reaches, the end of the document's own scales of it is
        taken, if they agree.
        """
        found = list(self._drawn(nodes))
        self._settle_ranges(found)
        ranks: dict[str, list[tuple[int, Scale]]] = {}
        for rank, axis, transform in found:
            scale = scale_like(transform, self.names.maximum(axis))
            ranks.setdefault(axis, []).append(
                (rank, Scale(kind="linear") if is_scatter(axis) else scale)
            )
        self.scales = {axis: min(each, key=lambda one: one[0])[1] for axis, each in ranks.items()}

    def _drawn(
        self, nodes: Mapping[Path, flowkit.gates.Gate]
    ) -> Iterator[tuple[int, str, flowkit.transforms.Transform | None]]:
        """Yield each axis of each gate with its scale, and how much the gate's shape depends on it (0 most)."""
        from flowkit import gates

        for gate in nodes.values():
            rank = (
                0
                if isinstance(gate, gates.EllipsoidGate)
                else 1
                if isinstance(gate, gates.PolygonGate)
                else 2
            )
            for dimension in getattr(gate, "dimensions", None) or ():
                name = getattr(dimension, "dimension_ref", None) or str(
                    getattr(dimension, "id", "")
                )
                axis = self.names.axis(
                    str(name), self.foreign.gating.comp_matrices.get(dimension.compensation_ref)
                )
                if axis is not None and dimension.transformation_ref in {
                    None,
                    *self.foreign.gating.transformations,
                }:
                    yield rank, axis, self.transform(dimension.transformation_ref)

    def _settle_ranges(
        self, drawn: Iterable[tuple[int, str, flowkit.transforms.Transform | None]]
    ) -> None:
        """Take the ends of the document's scales for the ranges that no file tells, saying which."""
        tops: dict[str, dict[bool, set[float]]] = {}
        for _, axis, transform in drawn:
            if axis == TIME or self.names.knows(axis):
                continue
            top, straight = top_of(transform), type(transform).__name__ == "LinearTransform"
            ends = tops.setdefault(axis, {False: set(), True: set()})
            ends[straight] |= {top} if top is not None and 0 < top < np.inf else set()
        # A linear scale may end where someone zoomed to; the others end where the cytometer does.
        best = {axis: ends[False] or ends[True] for axis, ends in tops.items()}
        agreed = {axis: next(iter(ends)) for axis, ends in best.items() if len(ends) == 1}
        for axis, top in agreed.items():
            self.names.learn(axis, top)
        if agreed:
            listed = ", ".join(f"{axis} {top:.10g}" for axis, top in sorted(agreed.items()))
            text = (
                f"No file says how far values reach, so the end of the document's own scale was "
                f"taken: {listed}."
            )
            self.notes.append(
                Note("changed", "", f"{text} Name a file with --fcs if $PnR is another.")
            )
        unknown = [axis for axis in tops if not self.names.knows(axis)]
        if unknown:
            text = (
                f"The document does not say how far values reach on {', '.join(sorted(unknown))}: "
                f"262144 was taken."
            )
            self.notes.append(Note("to do", "", f"{text} Name a file with --fcs if it is not so."))

    def transform(self, reference: str | None) -> flowkit.transforms.Transform | None:
        """Give a scale of the document (None: linear); raises CannotCarry when it is not defined."""
        if reference is None:
            return None
        if reference not in self.foreign.gating.transformations:
            raise CannotCarry(f"Its scale {reference} is not defined.")
        return self.foreign.gating.transformations[reference]

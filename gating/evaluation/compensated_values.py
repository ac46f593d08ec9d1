"""Read the linear values of a tube's channels, compensated where a gate needs it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gating.fcs.event_source import CHUNK, EventSource, Rows, Some
from panels.text.errors import CompensationFault, PanelMismatch, StrategyFault
from panels.text.printable import shown

if TYPE_CHECKING:
    import flowkit

    from gating.fcs.header import TubeHeader
    from gating.fcs.spillover import Spill


class Channels:
    """The linear values of a tube's channels, read for chosen events and compensations only.

    Compensated columns come in blocks of rows, all detectors of the matrix at once, so that memory
    stays small.
    """

    def __init__(
        self, gating: flowkit.GatingStrategy, events: EventSource, header: TubeHeader
    ) -> None:
        self._events = events
        self._header = header
        self._matrices = gating.comp_matrices
        self._inverses: dict[str, tuple[list[int], np.ndarray]] = {}
        self._detectors = [c.detector for c in header.channels]
        self._labels = [c.label for c in header.channels]
        self._flowjo = [detector.replace("/", "_") for detector in self._detectors]

    @property
    def count(self) -> int:
        """Count the events of the tube."""
        return self._events.count

    def index(self, name: str, compensation: str | None = None) -> int:
        """Find a channel by detector, by label, or by the fluorochrome a matrix gives it."""
        for names in (self._detectors, self._labels, self._flowjo):
            if name in names:
                return names.index(name)
        matrix = self._matrices.get(compensation) if compensation else None
        if matrix is not None and name in matrix.fluorochromes:
            return self._detectors.index(matrix.detectors[matrix.fluorochromes.index(name)])
        missing = f"a gate needs the channel '{shown(name)}', which this tube does not have"
        raise PanelMismatch(f"{self._header.path.name}: {missing}.")

    def linear(self, wanted: Sequence[tuple[int, str | None]], rows: Some) -> list[np.ndarray]:
        """Give one linear column for each (channel index, compensation) wanted."""
        columns: dict[tuple[int, str | None], np.ndarray] = {}
        for compensation in {c for _, c in wanted}:
            indices = sorted({i for i, c in wanted if c == compensation})
            block = self._block(indices, compensation, rows)
            columns |= {(i, compensation): v for i, v in zip(indices, block, strict=True)}
        return [columns[key] for key in wanted]

    def _block(self, indices: list[int], compensation: str | None, rows: Some) -> list[np.ndarray]:
        detectors, inverse = self._inverse(compensation)
        mixed = [i for i in indices if i in detectors]
        values = {i: self._events.column(i, rows) for i in indices if i not in detectors}
        if mixed:
            unmix = np.ascontiguousarray(inverse[:, [detectors.index(i) for i in mixed]])
            parts = list(_parts(rows, self._events.count))
            out = np.empty((len(mixed), sum(length for _, length in parts)), dtype=np.float64)
            start = 0
            for part, length in parts:
                out[:, start : start + length] = (self._events.columns(detectors, part) @ unmix).T
                start += length
            values |= dict(zip(mixed, out, strict=True))
        return [values[i] for i in indices]

    def _inverse(self, compensation: str | None) -> tuple[list[int], np.ndarray]:
        """Give the detectors of a matrix and its inverse; both are empty for no compensation."""
        if not compensation:
            return [], np.empty((0, 0))
        if compensation not in self._inverses:
            self._inverses[compensation] = self._invert(compensation)
        return self._inverses[compensation]

    def _invert(self, compensation: str) -> tuple[list[int], np.ndarray]:
        spill = self._spill(compensation)
        if spill is None:
            return [], np.empty((0, 0))
        matrix = np.asarray(spill.matrix, dtype=np.float64)
        try:
            return [self.index(d) for d in spill.detectors], np.linalg.inv(matrix)
        except np.linalg.LinAlgError as error:
            raise CompensationFault(
                f"{self._header.path.name}: the compensation matrix cannot be inverted."
            ) from error

    def _spill(self, compensation: str) -> Spill | flowkit.Matrix | None:
        """Give the matrix a compensation refers to; None where it leaves the values as they are."""
        if compensation == "FCS":
            if self._header.spill_fault:
                raise CompensationFault(f"{self._header.path.name}: {self._header.spill_fault}")
            # Gating-ML 2.0, section 4.1: without a spill keyword, "FCS" means uncompensated.
            return self._header.spill
        if compensation in self._matrices:
            return self._matrices[compensation]
        raise StrategyFault(
            f"a gate refers to the compensation '{shown(compensation)}', which is not defined."
        )


def _parts(rows: Some, total: int) -> Iterator[tuple[Rows | slice, int]]:
    """Cut some events into parts, each with its length."""
    if rows is None or isinstance(rows, slice):
        first, last, _ = (rows or slice(None)).indices(total)
        for start in range(first, last, CHUNK):
            stop = min(start + CHUNK, last)
            yield slice(start, stop), stop - start
    else:
        for start in range(0, len(rows), CHUNK):
            part = rows[start : start + CHUNK]
            yield part, len(part)

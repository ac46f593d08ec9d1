"""Read the events of FCS files: the only reader of them in this program.

The file is mapped into memory and a column is converted when it is read, so a tube never lies in
memory whole. A value that cannot be trusted is never given: the file is refused with a sentence,
or the sentence stands in ``problems``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gating.fcs.encoding import linear_values
from gating.fcs.event_source import Some
from gating.fcs.header import TubeHeader
from gating.fcs.layout import event_type
from panels.text.errors import UnreadableFile
from panels.text.quoting import as_label


@dataclass(frozen=True, slots=True, eq=False)
class Events:
    """The events of one tube, mapped from its file; values are linear float64.

    ``plain`` is the type of every stored number, where all channels are stored as the same kind of
    decimals.
    """

    header: TubeHeader
    table: NDArray[np.void]
    plain: np.dtype[np.floating[Any]] | None

    @property
    def count(self) -> int:
        """Give the number of events."""
        return self.header.event_count

    def column(self, index: int, rows: Some = None) -> NDArray[np.float64]:
        """Read one channel as linear float64 (n,).

        ``rows`` are indices of events or a slice; without it all events are read. Time step, log
        amplification ($PnE) and gain ($PnG) are applied as FlowKit's raw events have them. Raises
        UnreadableFile when a value is not a finite number.
        """
        layout, stored = self.header.layout, self.table[str(index)]
        if rows is not None:
            stored = stored[rows]
        with np.errstate(over="ignore", invalid="ignore"):
            values = linear_values(stored, layout.encodings[index], layout.order)
        if not np.isfinite(values).all():
            raise self._not_finite(index)
        return values

    def columns(self, indices: Sequence[int], rows: Some = None) -> NDArray[np.float64]:
        """Read several channels as linear float64 (n × k); see ``column``."""
        encodings = self.header.layout.encodings
        if self.plain is None or not all(encodings[index].is_linear for index in indices):
            values = [self.column(index, rows) for index in indices]
            return np.column_stack(values) if values else np.empty((self._length(rows), 0))
        # Whole events lie together in the file: fetching them whole is one access an event instead
        # of one a value. They are fetched as bytes, because NumPy copies a whole table that does
        # not begin at a round address before it takes from it.
        events = self._whole_events(rows)
        stored = events.view(self.plain).reshape(len(events), -1)[:, _run_of(indices)]
        with np.errstate(invalid="ignore"):
            block = stored.astype(np.float64)
        finite = np.isfinite(block)
        if not finite.all():
            raise self._not_finite(indices[int(np.flatnonzero(~finite.all(axis=0))[0])])
        return block

    def _whole_events(self, rows: Some) -> NDArray[np.void]:
        if rows is None:
            return self.table
        if isinstance(rows, slice):
            return self.table[rows]
        return self.table.take(rows)

    def _length(self, rows: Some) -> int:
        if rows is None:
            return self.count
        if isinstance(rows, slice):
            return len(range(self.count)[rows])
        return len(rows)

    def _not_finite(self, index: int) -> UnreadableFile:
        name = self.header.path.name
        detector = as_label(self.header.channels[index].detector)
        return UnreadableFile(
            f"{name}: {detector} holds values that are not numbers (NaN or infinite). Export "
            f"it again."
        )


def _run_of(indices: Sequence[int]) -> slice | list[int]:
    """Write channels that lie side by side as a slice, which is fetched faster than a list."""
    if not indices:
        return slice(0, 0)
    run = range(indices[0], indices[-1] + 1)
    return slice(run.start, run.stop) if list(indices) == list(run) else list(indices)


def open_events(header: TubeHeader) -> Events:
    """Map the events of a tube, without reading them.

    Raises UnreadableFile when the file has become shorter since its header was read.
    """
    layout, stored = header.layout, event_type(header.layout)
    if header.event_count == 0:
        return Events(header=header, table=np.empty(0, dtype=stored), plain=None)
    if header.path.stat().st_size < layout.start + header.event_count * layout.event_bytes:
        raise UnreadableFile(
            f"{header.path.name} has become shorter since it was first read. Copy it again "
            f"from the cytometer."
        )
    shape = (header.event_count,)
    mapped = np.memmap(header.path, dtype=stored, mode="r", offset=layout.start, shape=shape)
    kinds = {(each.kind, each.width) for each in layout.encodings}
    same = len(kinds) == 1 and "I" not in next(iter(kinds))
    plain = np.dtype(f"{layout.order}f{layout.encodings[0].width}") if same else None
    return Events(header=header, table=np.asarray(mapped), plain=plain)

"""Say in words what changed from one version of a panel to another."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from panels.panel import Panel, Stain

PLAIN = ("title", "instrument", "counting", "co_infusion", "compensated")


@dataclass(frozen=True, slots=True)
class PanelChange:
    """One thing that changed between two versions of a panel.

    ``where`` names it; ``was`` is None where it was added, ``now`` where it was removed.
    """

    kind: str
    where: str
    was: object
    now: object

    @property
    def text(self) -> str:
        """Say it in a sentence."""
        if self.was is None:
            return f"{self.where}: {_written(self.now)} is new"
        if self.now is None:
            return f"{self.where}: {_written(self.was)} is gone"
        return f"{self.where}: {_written(self.was)} becomes {_written(self.now)}"

    def document(self) -> dict[str, object]:
        """Give what ``reconflow panel diff --json`` prints of it."""
        return {
            "kind": self.kind,
            "where": self.where,
            "was": self.was,
            "now": self.now,
            "text": self.text,
        }


def panel_changes(old: Panel, new: Panel) -> tuple[PanelChange, ...]:
    """List what differs between two versions of a panel; their version numbers do not count."""
    return (
        *_plain(old, new),
        *_markers(old, new),
        *_pairs("scatter", "scatter", old.scatter, new.scatter),
        *_instruments(old, new),
        *_matrix(old, new),
    )


def _plain(old: Panel, new: Panel) -> Iterator[PanelChange]:
    for name in ("panel", *PLAIN):
        was, now = getattr(old, name), getattr(new, name)
        if was != now:
            yield PanelChange(name, name, was, now)


def _markers(old: Panel, new: Panel) -> Iterator[PanelChange]:
    before, after = ({stain.marker: stain for stain in each.markers} for each in (old, new))
    for name in dict.fromkeys((*before, *after)):
        was, now = before.get(name), after.get(name)
        if was is not None and now is not None:
            yield from _stain(was, now)
        elif now is not None:
            yield PanelChange("marker_added", f"marker {name}", None, now.detector)
        elif was is not None:
            yield PanelChange("marker_removed", f"marker {name}", was.detector, None)
    if list(before) != list(after) and set(before) == set(after):
        yield PanelChange("marker_order", "order of the markers", tuple(before), tuple(after))


def _stain(was: Stain, now: Stain) -> Iterator[PanelChange]:
    for name in ("detector", "synonyms", "required"):
        before, after = getattr(was, name), getattr(now, name)
        if before != after:
            yield PanelChange(name, f"{name} of {now.marker}", before, after)


def _instruments(old: Panel, new: Panel) -> Iterator[PanelChange]:
    before, after = old.instruments, new.instruments
    for name in dict.fromkeys((*before, *after)):
        where = f"instrument {name}"
        if name not in before:
            yield PanelChange("instrument_added", where, None, dict(after[name]))
        elif name not in after:
            yield PanelChange("instrument_removed", where, dict(before[name]), None)
        else:
            yield from _pairs("instrument_detector", name, before[name], after[name])
    if list(before) != list(after) and set(before) == set(after):
        where = "order of the instruments"
        yield PanelChange("instrument_order", where, tuple(before), tuple(after))


def _pairs(
    kind: str, whose: str, old: Mapping[str, str], new: Mapping[str, str]
) -> Iterator[PanelChange]:
    for name in dict.fromkeys((*old, *new)):
        if old.get(name) != new.get(name):
            yield PanelChange(kind, f"{whose}, {name}", old.get(name), new.get(name))


def _matrix(old: Panel, new: Panel) -> Iterator[PanelChange]:
    if old.matrix == new.matrix:
        return
    was, now = old.matrix or (), new.matrix or ()
    if [len(row) for row in was] != [len(row) for row in now]:
        yield PanelChange("matrix", "matrix", _size(was), _size(now))
        return
    markers = [stain.marker for stain in new.markers]
    for row, (before, after) in enumerate(zip(was, now, strict=True)):
        for column, (first, second) in enumerate(zip(before, after, strict=True)):
            if first != second:
                where = f"matrix, {markers[row]} into {markers[column]}"
                yield PanelChange("matrix", where, first, second)


def _size(matrix: Sequence[object]) -> str | None:
    return f"{len(matrix)} × {len(matrix)}" if matrix else None


def _written(value: object) -> str:
    """Write a value as the definition does."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(str, value))}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {each}" for key, each in value.items()) + "}"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)

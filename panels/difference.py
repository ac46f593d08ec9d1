"""Say in words what changed from one version of a panel to another."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from panels.panel import Panel, Stain

PLAIN = ("title", "instrument", "counting", "co_infusion", "compensated")


@dataclass(frozen=True, slots=True)
class PanelChange:
    """One thing that changed: ``where`` names it, ``was`` and ``now`` are None where it was added or removed."""

    kind: str
    where: str
    was: object
    now: object

    @property
    def text(self) -> str:
        """Say it in a sentence."""
        if self.was is None:
            return f"{self.where}: {_told(self.now)} is new"
        if self.now is None:
            return f"{self.where}: {_told(self.was)} is gone"
        return f"{self.where}: {_told(self.was)} becomes {_told(self.now)}"

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
        if was is None or now is None:
            kind = "marker_added" if was is None else "marker_removed"
            yield PanelChange(kind, f"marker {name}", was and was.detector, now and now.detector)
        else:
            yield from _stain(was, now)
    if list(before) != list(after) and set(before) == set(after):
        yield PanelChange("marker_order", "order of the markers", tuple(before), tuple(after))


def _stain(was: Stain, now: Stain) -> Iterator[PanelChange]:
    for name in ("detector", "synonyms", "required"):
        before, after = getattr(was, name), getattr(now, name)
        if before != after:
            yield PanelChange(name, f"{name} of {now.marker}", before, after)


def _instruments(old: Panel, new: Panel) -> Iterator[PanelChange]:
    for name in dict.fromkeys((*old.instruments, *new.instruments)):
        if name in old.instruments and name in new.instruments:
            yield from _pairs(
                "instrument_detector", name, old.instruments[name], new.instruments[name]
            )
        else:
            was, now = (
                None if name not in each else dict(each[name])
                for each in (old.instruments, new.instruments)
            )
            yield PanelChange(
                "instrument_added" if was is None else "instrument_removed",
                f"instrument {name}",
                was,
                now,
            )
    if list(old.instruments) != list(new.instruments) and set(old.instruments) == set(
        new.instruments
    ):
        yield PanelChange(
            "instrument_order",
            "order of the instruments",
            tuple(old.instruments),
            tuple(new.instruments),
        )


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
        told = (f"{len(each)} × {len(each)}" if each else None for each in (was, now))
        yield PanelChange("matrix", "matrix", *told)
        return
    markers = [stain.marker for stain in new.markers]
    for row, (before, after) in enumerate(zip(was, now, strict=True)):
        for column, (first, second) in enumerate(zip(before, after, strict=True)):
            if first != second:
                yield PanelChange(
                    "matrix", f"matrix, {markers[row]} into {markers[column]}", first, second
                )


def _told(value: object) -> str:
    """Write a value as the definition does."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(str, value))}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {each}" for key, each in value.items()) + "}"
    return f"{value:g}" if isinstance(value, float) else str(value)

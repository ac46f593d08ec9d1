"""Describe a named threshold of a strategy: its value and where it may come from in a tube."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, model_validator

from panels.files.strict_model import Identifier, StrictModel

Source = Literal[
    "fixed", "gain", "control", "fmo", "baseline", "negative", "valley", "mixture", "pooled"
]
NEEDED_BY: Mapping[Source, tuple[str, ...]] = {
    "fixed": (),
    "gain": ("anchor", "limits"),
    "control": ("seen_in", "limits"),
    "fmo": ("seen_in", "limits"),
    "baseline": ("seen_in", "limits"),
    "negative": ("negative", "limits"),
    "valley": ("seen_in", "limits"),
    "mixture": ("seen_in", "limits"),
    "pooled": ("seen_in", "limits"),
}
"""What a threshold has to declare for each of its sources."""


class Stretch(StrictModel):
    """A part of the axis of another marker, and how far the boundary clears negative cells there.

    It goes up to ``below``. ``clears`` is the distance from the negative cells' mode to the
    boundary, in SDs of the half below the mode, in a tube where all is right.
    """

    below: float | None = None
    clears: float = Field(gt=0)


class Negative(StrictModel):
    """A gate whose cells never carry the marker, or mostly not.

    ``spread`` is the robust SD of their linear values where the declared value is right, ``tail``
    the share of them that may lie beyond the boundary. ``clearance`` says how far the boundary lies
    above them, in each stretch of the marker ``beside`` (whose dye may leak in).
    """

    gate: Identifier
    spread: float = Field(gt=0)
    tail: float = Field(default=0.001, gt=0, lt=1)
    beside: str | None = None
    clearance: tuple[Stretch, ...] = ()

    @model_validator(mode="after")
    def _stretches_follow_each_other(self) -> "Negative":
        ends = [stretch.below for stretch in self.clearance]
        inner = [end for end in ends[:-1] if end is not None]
        all_but_last = len(inner) == len(ends) - 1
        if ends and (ends[-1] is not None or not all_but_last or sorted(inner) != inner):
            raise ValueError(
                "the stretches of 'clearance' rise: each but the last has 'below', the last "
                "has none"
            )
        if len(ends) > 1 and self.beside is None:
            raise ValueError(
                "'clearance' has several stretches, so 'beside' must name the marker they are "
                "stretches of"
            )
        return self


class Anchor(StrictModel):
    """A gate whose cells always carry the marker alike.

    ``median`` is that of their linear values where the declared value is right.
    """

    gate: Identifier
    median: float = Field(gt=0)


class Threshold(StrictModel):
    """One named boundary on one marker: its value, and where a tube's value may come from.

    ``evidence`` is the reason for the value. ``limits`` are how far a patch version, and any source
    but ``fixed``, may move the value without it being another definition. ``sources`` are tried in
    order until one passes its own test (``gating.thresholds.resolution``): ``seen_in`` is the gate
    whose cells show both sides of the boundary, ``negative`` and ``anchor`` tell whether the tube
    is stained and detected as the declared value supposes.
    """

    marker: str
    value: float
    evidence: str
    limits: tuple[float, float] | None = None
    sources: tuple[Source, ...] = Field(default=("fixed",), min_length=1)
    seen_in: Identifier | None = None
    negative: Negative | None = None
    anchor: Anchor | None = None

    @model_validator(mode="after")
    def _sources_can_be_tried(self) -> "Threshold":
        if self.limits is not None and not self.limits[0] <= self.value <= self.limits[1]:
            raise ValueError(
                f"'value' ({self.value:g}) must lie within 'limits' ({self.limits[0]:g} to "
                f"{self.limits[1]:g})"
            )
        for source in self.sources:
            missing = [name for name in NEEDED_BY[source] if getattr(self, name) is None]
            if missing:
                raise ValueError(f"the source '{source}' needs {' and '.join(map(repr, missing))}")
        if len(set(self.sources)) < len(self.sources):
            raise ValueError("a source is listed twice")
        return self

    @property
    def is_measured(self) -> bool:
        """Tell whether the threshold is measured in the tube itself."""
        return any((self.seen_in, self.negative, self.anchor))

    @property
    def gates(self) -> dict[str, tuple[str, ...]]:
        """Map each gate that this threshold is measured on to the key that names it."""
        keys: dict[str, tuple[str, ...]] = {}
        if self.negative:
            keys[self.negative.gate] = ("negative", "gate")
        if self.anchor:
            keys[self.anchor.gate] = ("anchor", "gate")
        if self.seen_in:
            keys[self.seen_in] = ("seen_in",)
        return keys

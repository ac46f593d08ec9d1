"""Write the axes of a FlowJo sample: the names, numbers, scales and matrix that FlowJo has of them.

The reverse of ``gating.exchange.flowjo_channels`` and ``flowjo_axes``: FlowJo leaves the gain of a
channel alone, where our reader divides by it, and counts Time in seconds by a gain of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gating.exchange.gatingml_structure import qualified
from gating.exchange.scale_conversion import linear_bound
from panels.acquisition_time import is_time_channel
from panels.text.errors import StrategyFault

if TYPE_CHECKING:
    import flowkit
    from lxml import etree

PREFIX = "Comp-"
DISPLAY = 256.0


@dataclass(frozen=True, slots=True)
class WrittenChannel:
    """A channel as the file declares it: ``maximum`` is ``$PnR``, ``gain`` is ``$PnG``."""

    detector: str
    label: str
    maximum: float
    gain: float = 1.0


@dataclass(frozen=True, slots=True)
class WorkspaceAxes:
    """How FlowJo names and scales the channels of one sample.

    ``matrix`` is the compensation in our units (None: the values are taken as they are).
    """

    channels: Mapping[str, WrittenChannel]
    transforms: Mapping[str, flowkit.transforms.Transform]
    matrix: flowkit.Matrix | None
    time_step: float | None

    def name(self, dimension: Any) -> str:
        """Give FlowJo's name of the channel a dimension reads."""
        detector = dimension_channel(dimension)
        compensated = self.matrix is not None and detector in self.matrix.detectors
        if compensated and dimension.compensation_ref not in {None, "uncompensated"}:
            return f"{PREFIX}{plain_detector(detector)}"
        return plain_detector(detector)

    def transform(self, dimension: Any) -> flowkit.transforms.Transform | None:
        """Give the scale a dimension is drawn on; None for a linear one."""
        reference = dimension.transformation_ref
        return None if reference is None else self.transforms[reference]

    def number(self, dimension: Any, place: float) -> float:
        """Give FlowJo's number of a place on the scale of a dimension."""
        ours = linear_bound(self.transform(dimension), place)
        return ours * self.stretch(dimension_channel(dimension))

    def display_unit(self, dimension: Any) -> float:
        """Give how many of the 256 places of FlowJo's display one unit of a scale is long."""
        if self.transform(dimension) is not None:
            return DISPLAY
        detector = dimension_channel(dimension)
        return DISPLAY * self.stretch(detector) / self.top(detector)

    def stretch(self, detector: str) -> float:
        """Give what our number of a channel is multiplied by to be FlowJo's."""
        return 1.0 if is_time_channel(detector) else self.channels[detector].gain

    def top(self, detector: str) -> float:
        """Give where FlowJo's linear scale of a channel ends, in FlowJo's numbers."""
        step = (self.time_step or 1.0) if is_time_channel(detector) else 1.0
        return self.channels[detector].maximum * step

    def add_scales(self, parent: etree._Element, used: Mapping[str, Any]) -> None:
        """Write the scale of every channel, and of every compensated channel in use.

        ``used`` maps FlowJo's name of a channel to a dimension that reads it.
        """
        scaled = dict(used)
        for detector in self.channels:
            plain = plain_detector(detector)
            # Readers look a compensated channel's scale up by either of its names.
            if plain not in scaled and f"{PREFIX}{plain}" in used:
                scaled[plain] = used[f"{PREFIX}{plain}"]
            elif plain not in scaled:
                self._add_linear(parent, plain, detector)
        for name, dimension in scaled.items():
            transform = self.transform(dimension)
            if transform is None:
                self._add_linear(parent, name, dimension_channel(dimension))
            else:
                self._add_logicle(parent, name, dimension_channel(dimension), transform)

    def _add_linear(self, parent: etree._Element, name: str, detector: str) -> None:
        gain = (self.time_step or 1.0) if is_time_channel(detector) else 1.0
        values = {"minRange": 0.0, "maxRange": self.top(detector)}
        scale = add(parent, "transforms:linear", **_numbers(values))
        scale.set("gain", repr(float(gain)))
        add(scale, "data-type:parameter", **{"data-type:name": name})

    def _add_logicle(
        self, parent: etree._Element, name: str, detector: str, transform: Any
    ) -> None:
        if type(transform).__name__ != "LogicleTransform":
            raise StrategyFault(f"The scale of {name} is of a kind that is not written for FlowJo.")
        values = {
            "T": transform.param_t * self.stretch(detector),
            "W": transform.param_w,
            "M": transform.param_m,
            "A": transform.param_a,
        }
        scale = add(parent, "transforms:logicle", **_numbers(values))
        scale.set(qualified("transforms:length"), "256")
        add(scale, "data-type:parameter", **{"data-type:name": name})

    def add_matrix(self, parent: etree._Element) -> None:
        """Write the compensation, in FlowJo's numbers."""
        if self.matrix is None:
            return
        written = add(parent, "transforms:spilloverMatrix")
        for key, value in _MATRIX.items():
            written.set(key, value)
        listed = add(written, "data-type:parameters")
        names = [plain_detector(each) for each in self.matrix.detectors]
        gains = np.array([self.stretch(each) for each in self.matrix.detectors])
        values = self.matrix.matrix * gains[None, :] / gains[:, None]
        for name in names:
            each = add(listed, "data-type:parameter", **{"data-type:name": name})
            each.set("userProvidedCompInfix", f"{PREFIX}{name}")
        for name, row in zip(names, values, strict=True):
            spillover = add(written, "transforms:spillover", **{"data-type:parameter": name})
            spillover.set("userProvidedCompInfix", f"{PREFIX}{name}")
            for other, value in zip(names, row, strict=True):
                add(
                    spillover,
                    "transforms:coefficient",
                    **{"data-type:parameter": other, "transforms:value": repr(float(value))},
                )


_MATRIX = {
    "spectral": "0",
    "prefix": PREFIX,
    "name": "Acquisition-defined",
    "editable": "0",
    "version": "FlowJo-10.7.1",
    "status": "FINALIZED",
    "suffix": "",
}


def dimension_channel(dimension: Any) -> str:
    """Name the detector that a dimension or a divider reads."""
    return str(getattr(dimension, "dimension_ref", None) or dimension.id)


def plain_detector(detector: str) -> str:
    """Write a detector's name as FlowJo does, which has '_' for '/'."""
    return detector.replace("/", "_")


def add(parent: etree._Element, tag: str, **attributes: str) -> etree._Element:
    """Add an element; a name with a colon is of the name spaces of Gating-ML."""
    from lxml import etree

    made = {_qualified(name): value for name, value in attributes.items()}
    return etree.SubElement(parent, _qualified(tag), made)


def _qualified(name: str) -> str:
    return qualified(name) if ":" in name else name


def _numbers(values: Mapping[str, float]) -> dict[str, str]:
    return {f"transforms:{key}": repr(float(value)) for key, value in values.items()}

"""Read the axes of a FlowJo sample: the channel, scale and matrix of a gate's axis.

A FlowJo scale is separated from the gain of its channel (``gating.exchange.flowjo_channels``), so
that it shows our linear numbers where FlowJo shows its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from gating.exchange.flowjo_channels import LeftOut, SampleChannels, number
from gating.exchange.flowjo_matrix import SampleMatrix, sample_matrix
from gating.exchange.flowkit_errors import FLOWKIT_ERRORS
from gating.exchange.gatingml_structure import SPACES
from gating.exchange.gatingml_structure import qualified as _attribute

if TYPE_CHECKING:
    from flowkit.transforms import Transform
    from lxml import etree

    from gating.fcs.header import TubeHeader

BIEX_LENGTH = "256"
BIEX_PLACES = 4096.0
"""Places of FlowKit's biexponential scale; every other scale is shown from 0 to 1."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of a gate: a place on it is ``transform(number × factor)``.

    It is ``length`` long, or of no known length (None).
    """

    channel: str
    compensation: str | None
    reference: str | None
    transform: Transform | None
    factor: float
    length: float | None

    def place(self, number: float) -> float:
        """Give where a number of FlowJo's lies on the axis."""
        if self.transform is None:
            return number * self.factor
        return float(np.asarray(self.transform.apply(np.array([[number * self.factor]])))[0, 0])


@dataclass(slots=True)
class SampleAxes:
    """Reads the axes of one sample.

    ``transforms`` are the scales that were used so far, by the name of their channel.
    """

    channels: SampleChannels
    scales: Mapping[str, etree._Element]
    matrix: SampleMatrix | None
    derived: frozenset[str]
    transforms: dict[str, Transform] = field(default_factory=dict)

    def axis(self, name: str) -> Axis:
        """Read the axis that shows a channel; raises LeftOut when it cannot be read."""
        if name in self.derived:
            raise LeftOut(f"{name} is a parameter FlowJo derived itself: no file holds it.")
        channel, compensation = self._channel(name)
        scale = self.scales.get(name, self.scales.get(channel))
        factor = self.channels.factor(channel, *_gain_and_top(scale))
        if scale is None:
            return Axis(channel, compensation, None, None, factor, None)
        reference = name if name in self.scales else channel
        if reference not in self.transforms:
            self.transforms[reference] = _transform(name, scale, factor)
        transform = self.transforms[reference]
        return Axis(channel, compensation, reference, transform, factor, length_of(transform))

    def _channel(self, name: str) -> tuple[str, str | None]:
        """Give the channel an axis shows, and the matrix it is compensated with."""
        if self.matrix is None:
            return name, None
        bare = self.matrix.bare(name)
        if bare in self.matrix.detectors:
            if self.matrix.matrix is None:
                raise LeftOut(f"It reads {name}, and {self.matrix.trouble}")
            return str(bare), self.matrix.name
        if name in self.matrix.detectors and self.matrix.changes:
            raise LeftOut(
                f"It is drawn on the uncompensated {name}; a strategy compensates every "
                f"fluorescence."
            )
        if bare is None or self.channels.named(name) or not self.channels.named(bare):
            return name, None
        return bare, None


def length_of(transform: Transform) -> float:
    """Give the length of an axis in display units, by its scale."""
    return BIEX_PLACES if type(transform).__name__ == "WSPBiexTransform" else 1.0


def sample_axes(
    sample: etree._Element, channels: SampleChannels, tube: TubeHeader | None = None
) -> SampleAxes:
    """Read the scales, derived parameters and compensation of a sample.

    A compensation that is the spill stored in the sample's ``tube`` is called so: other tubes then
    have their own.
    """
    scales = {}
    for scale in sample.iterfind("Transformations/*"):
        for parameter in scale.iterfind("data-type:parameter", SPACES):
            scales[parameter.get(_attribute("data-type:name"), "")] = scale
    derived = frozenset(each.get("name", "") for each in sample.iter("DerivedParameter"))
    return SampleAxes(channels, scales, sample_matrix(sample, channels, tube), derived)


def _gain_and_top(scale: etree._Element | None) -> tuple[float, float | None]:
    from lxml import etree

    if scale is None or etree.QName(scale).localname != "linear":
        return 1.0, None
    gain = number(scale.get("gain", "1"), "the gain of a scale")
    return gain, number(_written(scale).get("maxRange", ""), "the end of a scale")


def _transform(name: str, scale: etree._Element, factor: float) -> Transform:
    """Build a scale for our numbers: every linear length is multiplied by ``factor``."""
    from lxml import etree

    kind = etree.QName(scale).localname
    written = _written(scale)
    published = kind in _SCALES
    if kind == "biex":
        published = written.get("length") == BIEX_LENGTH
    if not published:
        raise LeftOut(
            f"The scale of {name} is FlowJo's own and not published. Save it as "
            f"biexponential, logicle, arcsinh or linear."
        )
    values = {
        key: number(written.get(key, ""), f"'{key}' of the scale of {name}")
        for key in _SCALES[kind]
    }
    try:
        with np.errstate(all="ignore"):
            return _built(kind, values, factor)
    except (*FLOWKIT_ERRORS, ArithmeticError) as error:
        raise LeftOut(f"The scale of {name} ({kind}) has parameters that make no scale.") from error


_SCALES = {
    "linear": ("minRange", "maxRange"),
    "log": ("offset", "decades"),
    "logicle": ("T", "W", "M", "A"),
    "biex": ("neg", "width", "pos", "maxRange"),
    "fasinh": ("T", "M", "A"),
}


def _built(kind: str, values: Mapping[str, float], factor: float) -> Transform:
    """Build one scale; raises ValueError where its parameters make none."""
    from flowkit import transforms
    from flowkit._models.transforms import WSPBiexTransform, WSPLogTransform

    v = values
    if not _is_sound(kind, v):
        raise ValueError(kind)
    if kind == "linear":
        # FlowJo shows minRange at 0 and maxRange at 1; Gating-ML's flin shows −A at 0 and T at 1.
        return transforms.LinearTransform(
            param_t=v["maxRange"] * factor, param_a=-v["minRange"] * factor
        )
    if kind == "log":
        return WSPLogTransform(offset=v["offset"] * factor, decades=v["decades"])
    if kind == "logicle":
        return transforms.LogicleTransform(
            param_t=v["T"] * factor, param_w=v["W"], param_m=v["M"], param_a=v["A"]
        )
    if kind == "biex":
        return WSPBiexTransform(
            negative=v["neg"], width=v["width"], positive=v["pos"], max_value=v["maxRange"] * factor
        )
    return transforms.AsinhTransform(param_t=v["T"] * factor, param_m=v["M"], param_a=v["A"])


def _is_sound(kind: str, v: Mapping[str, float]) -> bool:
    """Tell whether parameters make a scale (Gating-ML 2.0, 6.2 to 6.5, and FlowJo's own)."""
    if kind == "linear":
        return v["maxRange"] > v["minRange"]
    if kind == "log":
        return v["offset"] > 0 and v["decades"] > 0
    if kind == "biex":
        return v["maxRange"] > 0 and v["pos"] > 0 and v["width"] < 0 <= v["neg"]
    if v["T"] <= 0 or v["M"] <= 0:
        return False
    if kind == "fasinh":
        return v["A"] >= 0
    return 0 <= v["W"] <= v["M"] / 2 and -v["W"] <= v["A"] <= v["M"] - 2 * v["W"]


def _written(scale: etree._Element) -> dict[str, str]:
    from lxml import etree

    return {etree.QName(key).localname: value for key, value in scale.attrib.items()}

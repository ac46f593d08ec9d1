"""Lay out a logarithmic axis of amounts, which always has two labels or more."""

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEAST_LABELS = 2
STEPS = ((1,), (1, 2, 5), (1, 2, 3, 4, 5, 6, 7, 8, 9))
"""What is labelled within each decade; a short axis needs the finer steps."""


def scale_amounts(axes: "Axes", low: float, high: float) -> None:
    """Make the axis of amounts logarithmic from ``low`` to ``high`` (both above 0), and label it.

    One label tells nothing of a logarithmic axis: one that holds fewer than two powers of ten is
    labelled at 1, 2, 5 of each decade, or at every digit.
    """
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axes.set_yscale("log")
    axes.set_ylim(low, high)
    axes.yaxis.set_major_locator(FixedLocator(labelled_amounts(low, high)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def labelled_amounts(low: float, high: float) -> list[float]:
    """Choose which amounts between ``low`` and ``high`` are labelled; the ends where none is."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in STEPS:
        places = [step * 10.0**power for power in decades for step in steps]
        inside = [float(f"{place:.6g}") for place in places if low <= place <= high]
        if len(inside) >= LEAST_LABELS:
            return inside
    return [float(f"{low:.3g}"), float(f"{high:.3g}")]

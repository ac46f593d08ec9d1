"""Link the points of a figure to the gates they rest on, each with its text."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from tasks.publish.wording import Row

MARK = "#point-"
TOUCHED_AREA = 130.0
"""The area in square points in which a pointer or a finger finds a point."""
NOT_EVALUABLE_AT, NOT_DETECTED_AT = 0.035, 0.06
"""Where what has no place on the scale is drawn, as a share of the plot's height."""


class Link(NamedTuple):
    """Where a point leads, and what it says."""

    address: str
    text: str


class LinkedFigure(NamedTuple):
    """A figure, and the links whose marks its points have."""

    figure: "Figure"
    links: "Sequence[Link]"


@dataclass(slots=True)
class FigureLinks:
    """The links of one figure in the order in which they were added."""

    links: list[Link] = field(default_factory=list)

    def add(self, link: Link) -> str:
        """Keep a link, and give the mark that stands for it in the drawn figure."""
        self.links.append(link)
        return f"{MARK}{len(self.links) - 1}"


def gate_address(root: str, tube_sha256: str, gate: str, light: str = "") -> str:
    """Give the address of a gate on its tube's page, from a page whose ``root`` leads to results.

    ``light`` is a gate whose events are lit in every plot.
    """
    lit = f"&light={quote(light, safe='')}" if light else ""
    return f"{tube_address(root, tube_sha256)}gating.html#gate={quote(gate, safe='')}{lit}"


def tube_address(root: str, tube_sha256: str) -> str:
    """Give the address of a tube's folder, from a page whose ``root`` leads to results."""
    return f"{root}tubes/{quote(tube_sha256[:12], safe='')}/"


def link_points(axes: "Axes", rows: "pd.DataFrame", mark_of: "Callable[[Row], str]") -> None:
    """Lay an invisible area over each point of one population that leads to its gate.

    ``rows`` have the columns of ``KINETICS``, and ``amount`` and ``lod`` in the drawn unit;
    ``mark_of`` gives the mark of a row's link.
    """
    on_scale: list[tuple[float, float, str]] = []
    on_axis: list[tuple[float, float, str]] = []
    for row in rows.to_dict("records"):
        day, code = float(row["day"]), row["code"]
        height = row["lod"] if code == "ND" else row["amount"]
        if code == "NE":
            on_axis.append((day, NOT_EVALUABLE_AT, mark_of(row)))
        elif height > 0:
            on_scale.append((day, float(height), mark_of(row)))
        elif code == "ND":
            on_axis.append((day, NOT_DETECTED_AT, mark_of(row)))
    _lay(axes, on_scale)
    _lay(axes, on_axis, on_axis=True)


def _lay(
    axes: "Axes", points: "Sequence[tuple[float, float, str]]", *, on_axis: bool = False
) -> None:
    if not points:
        return
    days, heights, marks = zip(*points, strict=True)
    transform = axes.get_xaxis_transform() if on_axis else axes.transData
    areas = axes.scatter(days, heights, s=TOUCHED_AREA, color="white", transform=transform)
    areas.set(alpha=0.0, linewidth=0, zorder=6, urls=list(marks), gid="links", clip_on=False)


def link_names(figure: "Figure", mark_of: "Mapping[str, str]") -> None:
    """Link every text of a figure that is one of the names; ``mark_of`` maps name to mark."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        mark = mark_of.get(text.get_text()) if isinstance(text, Text) else None
        if mark is not None:
            text.set_url(mark)

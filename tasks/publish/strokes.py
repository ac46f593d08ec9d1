"""Draw bars, lines and signs of many patients as few artists."""

from typing import TYPE_CHECKING, Any

from tasks.publish.figure_style import Colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEIGHT = 0.3
"""The height of a bar, in lines."""
BESIDE = 7.0
"""So many points beside its day an arrow points on."""


class Strokes:
    """Bars, lines and signs of all patients, drawn by kind at once.

    Some hundred patients have thousands, and as artists of their own they take seconds. ``gid`` is
    the kind; what is of one kind and look is one collection of that id.
    """

    def __init__(self) -> None:
        """Begin without any."""
        self._bars: dict[tuple[Any, ...], list[list[tuple[float, float]]]] = {}
        self._lines: dict[tuple[Any, ...], list[list[tuple[float, float]]]] = {}
        self._signs: dict[tuple[Any, ...], list[tuple[float, float]]] = {}

    def bar(
        self, gid: str, days: tuple[float, float], y: float, *, color: Colour | str, hatch: str
    ) -> None:
        """Add a bar over some days; with a hatch it is not filled."""
        (start, end), low, high = days, y - HEIGHT / 2, y + HEIGHT / 2
        corners = [(start, low), (end, low), (end, high), (start, high)]
        self._bars.setdefault((gid, color, hatch), []).append(corners)

    def line(  # noqa: PLR0913 - keyword-only looks
        self,
        gid: str,
        days: tuple[float, float],
        y: float,
        *,
        color: Colour | str,
        linewidth: float,
        zorder: float,
        linestyle: Any = "solid",
    ) -> None:
        """Add a level line over some days."""
        key = (gid, color, linewidth, zorder, linestyle)
        self._lines.setdefault(key, []).append([(days[0], y), (days[1], y)])

    def sign(  # noqa: PLR0913 - keyword-only looks
        self,
        gid: str,
        day: float,
        y: float,
        *,
        marker: str,
        size: float,
        color: Colour | str,
        linewidth: float,
        zorder: float,
    ) -> None:
        """Add a marker of a size in points."""
        key = (gid, marker, size, color, linewidth, zorder, 0.0)
        self._signs.setdefault(key, []).append((day, y))

    def arrow(self, gid: str, day: float, y: float, *, color: Colour | str) -> None:
        """Point to the right, beside the sign of the last visit."""
        key = (gid, ">", 5.0, color, 0.0, 6.0, BESIDE)
        self._signs.setdefault(key, []).append((day, y))

    def draw(self, axes: "Axes") -> None:
        """Draw them all; the limits of the axes are not changed."""
        from matplotlib.collections import LineCollection, PolyCollection
        from matplotlib.transforms import ScaledTranslation

        for (gid, color, hatch), corners in self._bars.items():
            bars = PolyCollection(corners, edgecolors=[color], linewidths=0.8, zorder=3, gid=gid)
            bars.set(facecolor="white" if hatch else color, hatch=hatch or None)
            axes.add_collection(bars, autolim=False)
        for (gid, color, linewidth, zorder, linestyle), stretches in self._lines.items():
            lines = LineCollection(stretches, colors=[color], linewidths=linewidth, gid=gid)
            lines.set(zorder=zorder, linestyle=linestyle, capstyle="butt")
            axes.add_collection(lines, autolim=False)
        for (gid, marker, size, color, linewidth, zorder, beside), places in self._signs.items():
            moved = ScaledTranslation(beside / 72, 0, axes.figure.dpi_scale_trans)
            days, heights = zip(*places, strict=True)
            signs = axes.scatter(
                days, heights, s=size**2, c=[color], marker=marker, linewidths=linewidth
            )
            signs.set(gid=gid, zorder=zorder)
            signs.set_offset_transform(axes.transData + moved)

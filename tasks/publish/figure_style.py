"""Set how all figures look: colours, sizes in inches, titles, legend, and empty plots."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend

Colour = tuple[float, float, float]
DPI = 110
WIDTH = 9.4
"""Width of the figures that show visit by visit or patient by patient, in inches."""
INK, FADED = "#1b1f24", "#667080"
HATCH = "/////"
DOTTED, DASHED, LLOQ_DASHES = (0, (1, 1)), (0, (3, 2)), (0, (4, 2))


@contextmanager
def paper_style() -> Iterator[None]:
    """Draw axes with ticks, and type in the sizes of a printed page."""
    import matplotlib as mpl
    import seaborn as sns

    # Titles are above the axes; Matplotlib would measure all labels of a plot to see whether one
    # is in their way.
    placed = mpl.rc_context({"axes.titley": 1.0})
    with sns.axes_style("ticks"), sns.plotting_context("paper", font_scale=1.0), placed:
        yield


def literal(text: str) -> str:
    """Write a laboratory's own words so that Matplotlib takes no part of them for a formula."""
    return text.replace("$", r"\$")


def title_plot(axes: "Axes", title: str) -> None:
    """Write a plot's title over its left edge."""
    axes.set_title(title, loc="left", fontsize=10, fontweight="bold", color=INK)


def label_left(figure: "Figure", text: str, x: float, y: float) -> None:
    """Write upwards beside all plots what their axes measure.

    ``x`` and ``y`` are shares of the figure's width and height.
    """
    figure.text(x, y, text, rotation=90, va="center", ha="center", fontsize=9.5)


def legend_below(
    figure: "Figure", signs: Sequence["Artist"], columns: int, *, text_gap: float
) -> "Legend":
    """Explain the signs under all plots; ``text_gap`` between sign and text is in font sizes."""
    return figure.legend(
        handles=signs,
        loc="lower center",
        ncols=columns,
        frameon=False,
        fontsize=8,
        handletextpad=text_gap,
    )


def say_empty(axes: "Axes", why: str) -> None:
    """Write into the middle of a plot why it is empty."""
    words = axes.text(0.5, 0.5, why, transform=axes.transAxes, color=FADED, gid="empty")
    words.set(ha="center", va="center")

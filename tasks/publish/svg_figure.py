"""Turn a figure into SVG that stands inside a page: with links, and in the page's colours.

The same figure gives the same text: there is no date in it, and its ids follow from its content.
"""

import io
import re
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from tasks.publish.figure_links import MARK, Link
from tasks.publish.figure_style import FADED, INK

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.figure import Figure

PAGE_COLOURS = {
    "#ffffff": "--paper",
    INK: "--ink",
    "#262626": "--ink",
    "#000000": "--ink",
    FADED: "--faded",
    "#dde2e8": "--line",
    "#d9dfe6": "--line",
    "#cfe8da": "--good-shade",
    "#f8dfa5": "--warn-shade",
    "#eceff3": "--shade",
    # Those of Seaborn's "colorblind" palette that a thin line shows badly on dark paper.
    "#0173b2": "--blue",
    "#029e73": "--green",
    "#d55e00": "--vermilion",
    "#ca9161": "--brown",
    "#949494": "--grey",
}
"""Colours of a figure that follow the page, which may be dark; the shades are those of cells.

A page that does not define one of them shows it as it was drawn.
"""
_COLOUR = re.compile("|".join(PAGE_COLOURS), re.IGNORECASE)
_GROUP_ID = re.compile(r'<g id="[^"]*"')
_HEAD = re.compile(r"^.*?<svg [^>]*?viewBox=\"([^\"]*)\"[^>]*>", re.DOTALL)
_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
RAW_LETTERS = 2
"""Matplotlib writes fewer than so many letters for each one that is left: what is taken off are ids
and its own description."""
_LINK = re.compile(rf'<a xlink:href="{MARK}(\d+)"[^>]*>')


class _TooLong(Exception):
    """The text has more letters than were asked for."""


class _Bounded(io.StringIO):
    """A text that ends with _TooLong when it becomes longer than ``most`` letters."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._left = most

    def write(self, text: str, /) -> int:
        self._left -= len(text)
        if self._left < 0:
            raise _TooLong
        return super().write(text)


def short_svg_markup(
    figure: "Figure", title: str, links: Sequence[Link], most_letters: int
) -> "Markup | None":
    """Give the markup of ``svg_markup``, or None where it has more than ``most_letters``.

    Drawing ends where that is plain: a figure of some hundred patients has millions.
    """
    try:
        drawn = _svg(figure, title, _Bounded(RAW_LETTERS * most_letters))
    except _TooLong:
        return None
    markup = _in_page(drawn, title, links)
    return markup if len(markup) <= most_letters else None


def svg_markup(figure: "Figure", title: str, links: Sequence[Link] = ()) -> "Markup":
    """Give a figure as an ``<svg>`` element that is named ``title``.

    ``links`` are those whose marks the figure's artists have as their address. All texts are
    escaped, by Matplotlib and here.
    """
    return _in_page(_svg(figure, title, io.StringIO()), title, links)


def _in_page(drawn: str, title: str, links: Sequence[Link]) -> "Markup":
    """Turn what Matplotlib wrote into an element of the page."""
    from markupsafe import Markup

    drawn = _METADATA.sub("", drawn)
    head = _HEAD.match(drawn)
    if head is None:
        raise ValueError("Matplotlib wrote no <svg> element.")
    width, height = (round(float(points) / 0.75) for points in head[1].split()[2:])
    opening = (
        f'<svg viewBox="{head[1]}" width="{width}" height="{height}" role="group" '
        f'aria-label="{escape(title)}">'
    )
    body = _GROUP_ID.sub("<g", drawn[head.end() :])
    body = _COLOUR.sub(lambda found: f"var({PAGE_COLOURS[found[0].lower()]}, {found[0]})", body)
    body = _LINK.sub(lambda found: _opened(links[int(found[1])]), body)
    body = body.replace("xlink:href", "href")
    return Markup(opening + body.strip())  # noqa: S704 - escaped by Matplotlib and above


def _svg(figure: "Figure", salt: str, written: io.StringIO) -> str:
    import matplotlib as mpl

    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": salt}):
        figure.savefig(written, format="svg", metadata={"Date": None})
    return written.getvalue()


def _opened(link: Link) -> str:
    title = f"<title>{escape(link.text)}</title>"
    return f'<a class="point" href="{escape(link.address)}">{title}'

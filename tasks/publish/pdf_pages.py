"""Put texts, tables and figures on A4 pages, with a line at the foot of each."""

import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tasks.publish.figure_style import FADED, INK, literal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

A4 = (8.27, 11.69)
"""Width and height in inches."""
MARGIN, FOOT, TOP, FIGURE_TOP = 0.6, 0.4, 0.5, 0.75
LINE = 1.32
"""The distance of two lines, in type sizes."""
POINTS = 72
LETTER_WIDTH = 0.56
"""The mean width of a letter, in type sizes: so much room is kept for each."""
CELL_GAP = 0.06
PICTURE_DPI, COLOURS = 150, 200


@dataclass(slots=True)
class PdfPages:
    """A document of A4 pages that grows from top to bottom.

    ``foot`` stands at the foot of every page with its number; ``title`` is the document's, and
    ``moment`` (an aware time) is written into it as the time of its making.
    """

    title: str
    foot: str
    moment: datetime
    pages: int = 0
    _bytes: io.BytesIO = field(default_factory=io.BytesIO)
    _document: Any = None
    _page: "Figure | None" = None
    _y: float = 0.0

    def heading(self, text: str, size: float = 13.0) -> None:
        """Write a heading; it is never the last line of a page."""
        self._need(5 * size * LINE / POINTS)
        self._y += 0.1
        self._line(text, size, fontweight="bold")
        self._y += 0.05

    def paragraph(self, text: str, size: float = 9.5, *, colour: str = INK) -> None:
        """Write a text over the width of the page."""
        for line in _wrapped(text, self._width(), size):
            self._line(line, size, color=colour)
        self._y += 0.06

    def table(
        self, header: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[float]
    ) -> None:
        """Write a table; ``widths`` are relative. The header is repeated on each page."""
        scale = self._width() / sum(widths)
        columns = [scale * width for width in widths]
        size = 7.2
        self._row(header, columns, size, fontweight="bold")
        for row in rows:
            height = _row_height(row, columns, size)
            if self._y + height > A4[1] - FOOT - 0.25:
                self.new_page()
                self._row(header, columns, size, fontweight="bold")
            self._row(row, columns, size)
        self._y += 0.12

    def figure(self, figure: "Figure", heading: str = "") -> None:
        """Give a figure a page of its own, upright or across, as it fits; it stays vector.

        The figure is laid out anew on the page. One that fits neither way becomes a picture.
        """
        self._end_page()
        width, height = figure.get_size_inches()
        page = A4 if width <= A4[0] and height + FIGURE_TOP + FOOT <= A4[1] else A4[::-1]
        if width > page[0] or height + FIGURE_TOP + FOOT > page[1]:
            self.picture(figure, heading)
            return
        _spread(figure, page)
        _write_heading(figure, page, heading)
        self._write_foot(figure, page)
        self._save(figure)

    def picture(self, figure: "Figure", heading: str = "") -> None:
        """Put a figure that is larger than a page on one, as a picture scaled to it."""
        import numpy as np
        from PIL import Image

        from tasks.publish.figure_bytes import png_bytes

        self._end_page()
        width, height = figure.get_size_inches()
        page = A4 if height > width else A4[::-1]
        room = (page[0] - 2 * MARGIN, page[1] - TOP - FOOT - 0.45)
        scale = min(room[0] / width, room[1] / height)
        pixels = (round(scale * width * PICTURE_DPI), round(scale * height * PICTURE_DPI))
        with Image.open(io.BytesIO(png_bytes(figure))) as drawn:
            small = drawn.convert("RGB").resize(pixels, Image.Resampling.LANCZOS)
        # With a palette the picture takes a third of the room.
        small = small.quantize(COLOURS, dither=Image.Dither.NONE).convert("RGB")
        sheet = self._sheet(page)
        _write_heading(sheet, page, heading)
        bottom = 1 - (TOP + 0.15 + scale * height) / page[1]
        place = (MARGIN / page[0], bottom, scale * width / page[0], scale * height / page[1])
        axes = sheet.add_axes(place)
        axes.imshow(np.asarray(small), interpolation="none", aspect="auto")
        axes.axis("off")
        self._save(sheet)

    def new_page(self) -> None:
        """Begin a page."""
        self._end_page()
        self._page = self._sheet(A4)
        self._y = TOP

    def finish(self) -> bytes:
        """Give the document."""
        self._end_page()
        if self._document is not None:
            self._document.close()
        return self._bytes.getvalue()

    def _width(self) -> float:
        return A4[0] - 2 * MARGIN

    def _need(self, height: float) -> None:
        if self._page is None or self._y + height > A4[1] - FOOT - 0.25:
            self.new_page()

    def _line(self, text: str, size: float, **style: Any) -> None:
        height = size * LINE / POINTS
        self._need(height)
        self._write(MARGIN, text, size, **style)
        self._y += height

    def _row(self, cells: Sequence[str], columns: Sequence[float], size: float, **s: Any) -> None:
        height = _row_height(cells, columns, size)
        self._need(height)
        top, x = self._y, MARGIN
        for text, width in zip(cells, columns, strict=True):
            for number, line in enumerate(_wrapped(text, width - CELL_GAP, size)):
                self._y = top + number * size * LINE / POINTS
                self._write(x, line, size, **s)
            x += width
        self._y = top + height
        self._rule()

    def _rule(self) -> None:
        from matplotlib.lines import Line2D

        if self._page is not None:
            y = 1 - (self._y - 0.025) / A4[1]
            ends = [MARGIN / A4[0], 1 - MARGIN / A4[0]]
            self._page.add_artist(Line2D(ends, [y, y], color="#d9dfe6", linewidth=0.5))

    def _write(self, x: float, text: str, size: float, **style: Any) -> None:
        if self._page is not None:
            place = (x / A4[0], 1 - self._y / A4[1])
            self._page.text(*place, literal(text), fontsize=size, va="top", **style)

    def _sheet(self, page: tuple[float, float]) -> "Figure":
        from matplotlib.figure import Figure

        sheet = Figure(figsize=page, facecolor="white")
        self._write_foot(sheet, page)
        return sheet

    def _write_foot(self, sheet: "Figure", page: tuple[float, float]) -> None:
        y = FOOT / page[1]
        style: dict[str, Any] = {"fontsize": 7.5, "color": FADED, "va": "top"}
        sheet.text(MARGIN / page[0], y, literal(self.foot), **style)
        sheet.text(1 - MARGIN / page[0], y, f"page {self.pages + 1}", ha="right", **style)

    def _end_page(self) -> None:
        if self._page is not None:
            page, self._page = self._page, None
            self._save(page)

    def _save(self, figure: "Figure", **options: Any) -> None:
        from matplotlib.backends.backend_pdf import PdfPages as Document

        if self._document is None:
            metadata = {"Title": self.title, "CreationDate": self.moment, "ModDate": self.moment}
            self._document = Document(self._bytes, metadata=metadata)
        self._document.savefig(figure, **options)
        self.pages += 1


def _spread(figure: "Figure", page: tuple[float, float]) -> None:
    """Enlarge a figure to a page; what is on it keeps its size, under the heading."""
    width, height = figure.get_size_inches()
    left, bottom = (page[0] - width) / 2, page[1] - FIGURE_TOP - height
    area = (left / page[0], bottom / page[1], width / page[0], height / page[1])

    def place(x: float, y: float) -> tuple[float, float]:
        return area[0] + x * area[2], area[1] + y * area[3]

    places = [(axes, axes.get_position()) for axes in figure.axes]
    figure.set_size_inches(page)
    for axes, before in places:
        size = (before.width * area[2], before.height * area[3])
        axes.set_position((*place(before.x0, before.y0), *size))
    for text in figure.texts:
        text.set_position(place(*text.get_position()))
    for legend in figure.legends:
        legend.set_bbox_to_anchor(area, transform=figure.transFigure)


def _write_heading(sheet: "Figure", page: tuple[float, float], heading: str) -> None:
    place = (MARGIN / page[0], 1 - TOP / page[1])
    sheet.text(*place, literal(heading), fontsize=11, fontweight="bold", color=INK, va="top")


def _wrapped(text: str, width: float, size: float) -> list[str]:
    """Break a text into lines of a width in inches; a part of it may have breaks of its own."""
    letters = max(4, int(width * POINTS / (LETTER_WIDTH * size)))
    lines: list[str] = []
    for part in text.split("\n"):
        lines += textwrap.wrap(part, letters) or [""]
    return lines


def _row_height(cells: Sequence[str], columns: Sequence[float], size: float) -> float:
    lines = max(
        len(_wrapped(text, width - CELL_GAP, size))
        for text, width in zip(cells, columns, strict=True)
    )
    return lines * size * LINE / POINTS + 0.04

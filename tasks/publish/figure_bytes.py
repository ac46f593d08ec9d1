"""Turn a figure into the bytes of its PNG."""

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def png_bytes(figure: "Figure") -> bytes:
    """Render a figure as PNG at the figure's resolution.

    It is packed lightly, because packing hard costs more than drawing.
    """
    packed = io.BytesIO()
    figure.savefig(packed, format="png", dpi=figure.dpi, pil_kwargs={"compress_level": 2})
    return packed.getvalue()

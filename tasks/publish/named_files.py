"""Link the files of a tube that a sentence names: its thresholds and its quality figures."""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markupsafe import Markup

_FILES = re.compile(r"(thresholds\.csv|qc\.json)")


def linked(sentence: str, address: str) -> "Markup":
    """Give a sentence as markup in which the files that it names are links.

    ``address`` is that of the tube's folder and ends with a slash; a place in the page (``#tubes``)
    leads there instead, where the sentence is of several tubes. The sentence is escaped.
    """
    from markupsafe import Markup

    parts = _FILES.split(sentence)
    return Markup("").join(
        Markup('<a href="{}">{}</a>').format(_target(address, part), part)
        if _FILES.fullmatch(part)
        else part
        for part in parts
    )


def _target(address: str, name: str) -> str:
    return address if address.startswith("#") else f"{address}{name}"

"""Write the page of maps of a patient or of a cohort: a shell that app.js fills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

PAGE = "map.html"


@dataclass(frozen=True, slots=True)
class MapPage:
    """The maps of a patient ("": of all together): compartments with what pages call them.

    ``patients`` are those who have a page of their own, on the page of all; ``of_all`` are the
    compartments that the page of all has, on a patient's.
    """

    patient: str
    compartments: Mapping[str, str]
    patients: Sequence[str] = ()
    of_all: Sequence[str] = ()


def render_map_page(page: MapPage) -> str:
    """Write patients/<patient>/map.html or cohort/map.html."""
    from tasks.publish.pages import render

    return render(
        "map.html",
        {
            "map": page,
            "page": "map",
            "key": page.patient,
            "root": "../../" if page.patient else "../",
            "data": [],
        },
    )

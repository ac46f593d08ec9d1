"""Write the shell of the study's front page: what stands there before, and without, its script."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tasks.publish.pages import render

SHOWN_WITHOUT_SCRIPT = 20
"""So many open files stand in the page itself; the script draws the others from study.js."""


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """One file to name: its state, and in words why and what to do."""

    file: str
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class FrontPage:
    """What the shell says.

    ``sentence`` tells how the night was and ``standing`` how urgent the morning is (``stop``,
    ``look``, ``quiet``); ``states`` counts the files by state; ``open_files`` ask for a person and
    those ``aside`` for nothing; ``patients`` maps every patient to the address of the report;
    ``cohort_page`` says whether there is a page of all patients together, ``map_page`` whether
    there are maps of their cells; ``strategies`` maps panel and version to how that version came to
    count it; ``notices`` are sentences on the sheets and the instruments; ``uncalibrated`` says
    which tubes were counted without a calibration of their instrument (empty: none);
    ``instruments`` maps the address of each instrument's page to its name and how it stands.
    """

    study: str
    sentence: str
    standing: str
    states: Mapping[str, int]
    open_files: Sequence[LedgerLine]
    aside: Sequence[LedgerLine] = ()
    patients: Mapping[str, str] = field(default_factory=dict)
    cohort_page: bool = False
    map_page: bool = False
    strategies: Mapping[tuple[str, str], str] = field(default_factory=dict)
    notices: Sequence[str] = ()
    uncalibrated: str = ""
    instruments: Mapping[str, tuple[str, str]] = field(default_factory=dict)


def render_index(page: FrontPage) -> str:
    """Write results/index.html: the night in a sentence, what needs a hand, the way to the rest."""
    return render(
        "index.html",
        {
            "front": page,
            "named": page.open_files[:SHOWN_WITHOUT_SCRIPT],
            "unnamed": len(page.open_files[SHOWN_WITHOUT_SCRIPT:]),
            "aside": page.aside[:SHOWN_WITHOUT_SCRIPT],
            "more_aside": len(page.aside[SHOWN_WITHOUT_SCRIPT:]),
            "root": "",
            "page": "front",
            "key": "",
            "data": ("study.js",),
        },
    )

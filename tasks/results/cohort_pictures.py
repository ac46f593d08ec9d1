"""Draw the figures of the cohort, and keep those whose numbers are the same as last time.

A correction of one tube, or one visit more, changes few of them; drawing is most of what a cohort
costs. What a figure was made of stands in ``.figures.json`` beside it, with its markup. Those that
this process drew last are kept as well: a decision that is taken back draws nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, NamedTuple

from tasks.publish.kept_drawings import KeptDrawings, as_drawn
from tasks.publish.tables import csv_bytes, write_atomically
from tasks.vocabulary.populations import IN_COHORT_FIGURES

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from markupsafe import Markup

    from tasks.publish.cohort_page import CohortRecord

KEPT = ".figures.json"
FIGURES = ("time_to_recovery", "curves", "composition", "swimmer", "completeness", "exposure")
LAYOUT = ["patient", "specimen", "visit", "day", "review", "used"]
"""Which visits there are decides how far an axis goes, whatever was counted there."""
STATES = ["patient", "specimen", "visit", "day", "population", "code", "review"]
"""The columns that tell how complete the visits are."""
DEAREST_FIRST = ("completeness", "swimmer", "curves", "exposure", "time_to_recovery", "composition")
MOST_KEPT = 60
DRAWN_BY = ("reconflow", "matplotlib", "seaborn", "pandas")
"""Another version of one of these may draw the same numbers otherwise."""


class Drawn(NamedTuple):
    """A figure as it is written: the PNG, and the markup for the page."""

    png: bytes
    markup: str


_KEPT: KeptDrawings[Drawn] = KeptDrawings(MOST_KEPT)


class CohortFrames(NamedTuple):
    """The tables of a cohort, with the columns of the schemas that bear their names."""

    kinetics: pd.DataFrame
    parameters: pd.DataFrame
    recovery: pd.DataFrame
    composition: pd.DataFrame


class Shown(NamedTuple):
    """What the figures are drawn from: the rows that some figure shows, and those of ``STATES``."""

    record: CohortRecord
    frames: CohortFrames
    states: pd.DataFrame

    @property
    def patients(self) -> int:
        """Give the number of patients."""
        return int(self.frames.kinetics["patient"].nunique())


DrawAll = Callable[[Shown, Sequence[str]], AbstractContextManager[Callable[[str], Drawn]]]
"""Draws the figures with some names in a block, in which each is asked for by its name."""


@contextmanager
def drawn_here(shown: Shown, _names: Sequence[str]) -> Iterator[Callable[[str], Drawn]]:
    """Draw each figure in this process, when it is asked for."""
    yield partial(draw_figure, shown)


def cohort_pictures(
    folder: Path,
    record: CohortRecord,
    frames: CohortFrames,
    kept_here: KeptDrawings[Drawn] = _KEPT,
    draw_all: DrawAll = drawn_here,
    meanwhile: Callable[[], None] = lambda: None,
) -> dict[str, Markup]:
    """Write the cohort's figures as PNG into a folder, and give their markup for the page.

    ``kept_here`` holds what was drawn already, for this folder or another; ``meanwhile`` is done
    after ``draw_all`` has begun.
    """
    from markupsafe import Markup

    frames = frames._replace(kinetics=as_drawn(frames.kinetics))
    made_of = _made_of(record, frames)
    kept = {
        name: each
        for name, each in _read(folder).items()
        if each == _entry(folder, name, made_of.get(name, ""), each["markup"])
    }
    due = [name for name in DEAREST_FIRST if name not in kept]
    new = [name for name in due if not kept_here.has((name, made_of[name]))]
    with draw_all(_shown(record, frames), new) as draw:
        meanwhile()
        for name in due:
            drawn = kept_here.drawing((name, made_of[name]), partial(draw, name))
            write_atomically(folder / f"{name}.png", drawn.png)
            kept[name] = _entry(folder, name, made_of[name], drawn.markup)
    write_atomically(folder / KEPT, (json.dumps(kept, sort_keys=True) + "\n").encode())
    return {name: Markup(kept[name]["markup"]) for name in FIGURES}  # noqa: S704 - our own SVG


def _entry(folder: Path, name: str, made_of: str, markup: str) -> dict[str, str]:
    """Say of what a figure was made, with digests by which a slip in PNG or markup is noticed."""
    return {
        "made_of": made_of,
        "png": _sha256_of(folder, name),
        "markup": markup,
        "digest": _sha256(made_of.encode(), markup.encode()),
    }


def draw_figure(shown: Shown, name: str) -> Drawn:
    """Draw the figure with this name."""
    from tasks.publish.cohort_figures import cohort_figures, figure_in_page
    from tasks.publish.figure_bytes import png_bytes

    frames = shown.frames
    if name == "completeness":
        frames = frames._replace(kinetics=shown.states)
    drawn = cohort_figures(shown.record, *frames, names=[name])[name]
    png = png_bytes(drawn.figure)
    return Drawn(png, str(figure_in_page(name, drawn, png)))


def _shown(record: CohortRecord, frames: CohortFrames) -> Shown:
    """Leave out the rows that no figure shows; what is drawn may be sent to other processes.

    Where a table does not note which rows are used, all are needed to judge it.
    """
    from tasks.kinetics.winning_rows import are_noted

    kinetics = frames.kinetics
    states = kinetics[STATES]
    if are_noted(kinetics):
        in_figures = kinetics["population"].isin([name for name, _ in IN_COHORT_FIGURES])
        kinetics = kinetics[in_figures | ~kinetics.duplicated(LAYOUT)]
    return Shown(record, frames._replace(kinetics=kinetics), states)


def _made_of(record: CohortRecord, frames: CohortFrames) -> dict[str, str]:
    """Hash by figure the numbers and words it is drawn from."""
    shown = [name for name, _ in IN_COHORT_FIGURES]
    kinetics, parameters, recovery, composition = frames
    # Each table is written once, though it enters several figures.
    counts = csv_bytes(kinetics[kinetics["population"].isin(shown)])
    visits = csv_bytes(kinetics[LAYOUT].drop_duplicates())
    derived = csv_bytes(parameters[parameters["population"].isin(shown)])
    groups = json.dumps(dict(record.strata), sort_keys=True).encode()
    words = json.dumps(
        [[name, record.labels.get(name, "")] for name in shown]
        + [[*key, gate] for key, gate in sorted(record.gates.items()) if key[1] in shown]
    ).encode()
    parts: Mapping[str, tuple[bytes, ...]] = {
        "time_to_recovery": (repr(record.curves).encode(),),
        "curves": (counts, visits, words),
        "composition": (csv_bytes(composition),),
        "swimmer": (counts, visits, derived, csv_bytes(recovery)),
        "completeness": (counts, visits),
        "exposure": (derived, visits),
    }
    drawn_by = repr([version(each) for each in DRAWN_BY]).encode()
    return {name: _sha256(drawn_by, groups, *of) for name, of in parts.items()}


def _sha256(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
        digest.update(b"\0")
    return digest.hexdigest()


def _sha256_of(folder: Path, name: str) -> str:
    path = folder / f"{name}.png"
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def _read(folder: Path) -> dict[str, dict[str, str]]:
    """Read what was kept last time; nothing where it was cut short or altered in its form."""
    try:
        kept = json.loads((folder / KEPT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {
        name: each
        for name, each in (kept.items() if isinstance(kept, dict) else ())
        if isinstance(each, dict) and isinstance(each.get("markup"), str)
    }

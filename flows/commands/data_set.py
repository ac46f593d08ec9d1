"""The command that exports a whole study."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from flows.cli import Json, Outcome, Study
from panels.text.errors import UsageFault

if TYPE_CHECKING:
    from tasks.study.folder import Study as OpenStudy


TableForm = Literal["csv", "xlsx", "parquet", "sdtm"]


def export(  # noqa: PLR0913 - options of one command
    *,
    study: Study = Path(),
    format: Annotated[  # noqa: A002 - the option's name is --format
        Literal["csv", "xlsx", "parquet", "sdtm", "h5ad"],
        Parameter(help="The form of the data set; h5ad holds gated cells."),
    ] = "csv",
    as_of: Annotated[
        str | None,
        Parameter(help="What was known then: a day (its end) or a time, such as 2026-03-31."),
    ] = None,
    output: Annotated[
        Path | None,
        Parameter(help="The folder to write to; results/export/<format> when not given."),
    ] = None,
    cells: Annotated[
        int, Parameter(help="With h5ad: at most so many cells of each population of each tube.")
    ] = 1000,
    compartment: Annotated[
        str,
        Parameter(
            help="With h5ad: the cells of this compartment's map (reconflow explore) in place of "
            "those of all populations, with their coordinates and clusters."
        ),
    ] = "",
    json: Json = False,
) -> Outcome:
    """Write the whole study as one data set.

    With --as-of it is written as it was known then, with what was restated since.
    """
    from tasks.study.folder import open_study

    opened = open_study(study)
    name = f"{format}-as-of-{as_of.replace(':', '')}" if as_of else format
    folder = output or opened.results / "export" / name
    if format != "h5ad":
        if compartment:
            raise UsageFault("--compartment: only with --format h5ad, which holds cells.")
        return _export_tables(opened, format, folder, as_of)
    if as_of:
        raise UsageFault(
            "--as-of gives tables, not cells: the gates of an earlier day are in "
            "results/tubes. Choose another format."
        )
    if cells < 1:
        raise UsageFault("--cells: at least 1.")
    if compartment:
        return _export_map(opened, folder / f"map-{compartment}.h5ad", compartment)
    return _export_cells(opened, folder / "cells.h5ad", cells)


def _export_cells(study: "OpenStudy", path: Path, most_cells: int) -> Outcome:
    """Write at most so many cells of each population of each tube."""
    from tasks.export.cells import write_cells

    return _cells_written(path, *write_cells(study, path, most_cells))


def _export_map(study: "OpenStudy", path: Path, compartment: str) -> Outcome:
    """Write the cells of a compartment's map."""
    from tasks.export.map_cells import write_map_cells
    from tasks.study.lock import study_lock

    with study_lock(study):
        written = write_map_cells(study, path, compartment)
    return _cells_written(path, *written)


def _cells_written(path: Path, number: int, left_out: Sequence[str]) -> Outcome:
    for sentence in left_out:
        sys.stderr.write(f"reconflow: {sentence}\n")
    return Outcome(
        document={"files": [str(path)], "cells": number},
        text=f"{number:,} cells\n{path}",
        failed=bool(left_out),
    )


def _export_tables(study: "OpenStudy", form: TableForm, folder: Path, as_of: str | None) -> Outcome:
    from tasks.export.files import write_export
    from tasks.export.study_data import collect, moment_of
    from tasks.review.restatement import restatements
    from tasks.review.sign_off import signed_at
    from tasks.strategies.in_use import read_snapshot

    moment = moment_of(as_of, study.settings.local_zone or "UTC") if as_of else None
    tables = collect(study, moment)
    if form == "xlsx":
        tables = replace(tables, labels=read_snapshot(study).labels())
    restated = None
    if moment:
        restated = restatements(tables, collect(study))
        with study.store() as store:
            signed = signed_at(store, moment)
        restated["signed"] = [signed.get(patient, "") for patient in restated["patient"]]
    written = [str(path) for path in write_export(tables, form, folder, restated)]
    document: dict[str, object] = {
        "files": written,
        "rows": {name: len(frame) for name, frame, _ in tables.tables()},
    }
    lines = written
    if restated is not None:
        document["restated"] = len(restated)
        lines = [f"{len(restated)} values are other ones now than then.", *written]
    return Outcome(document=document, text="\n".join(lines))

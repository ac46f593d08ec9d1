"""The command that hands a whole study on."""

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from flows.cli import Json, Outcome, Study
from panels.text.errors import UsageFault


def export(
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
    json: Json = False,
) -> Outcome:
    """Write the whole study as one data set; with --as-of as it was known then, and what was restated since."""
    from tasks.study.folder import open_study

    opened = open_study(study)
    folder = output or opened.results / "export" / (
        f"{format}-as-of-{as_of.replace(':', '')}" if as_of else format
    )
    if format == "h5ad":
        from tasks.export.cells import write_cells

        if as_of:
            raise UsageFault(
                "--as-of gives tables, not cells: the gates of an earlier day are in "
                "results/tubes. Choose another format."
            )
        if cells < 1:
            raise UsageFault("--cells: at least 1.")
        number, left_out = write_cells(opened, folder / "cells.h5ad", cells)
        for sentence in left_out:
            sys.stderr.write(f"reconflow: {sentence}\n")
        path = str(folder / "cells.h5ad")
        return Outcome(
            document={"files": [path], "cells": number},
            text=f"{number:,} cells\n{path}",
            failed=bool(left_out),
        )
    from tasks.export.files import write_export
    from tasks.export.restatement import restatements
    from tasks.export.study_data import collect, moment_of

    moment = moment_of(as_of, opened.settings.local_zone or "UTC") if as_of else None
    data = collect(opened, moment)
    restated = restatements(data, collect(opened)) if moment else None
    written = [str(path) for path in write_export(data, format, folder, restated)]
    document: dict[str, object] = {
        "files": written,
        "rows": {name: len(frame) for name, frame, _ in data.tables()},
    }
    if restated is not None:
        document["restated"] = len(restated)
    said = [] if restated is None else [f"{len(restated)} values are other ones now than then."]
    return Outcome(document=document, text="\n".join([*said, *written]))

"""The command that lays the cells of a compartment on a map over time."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from flows.cli import Json, Outcome, Study
from panels.text.errors import UsageFault

USUAL = "b_cells"


def explore(
    *,
    study: Study = Path(),
    compartment: Annotated[
        tuple[str, ...],
        Parameter(
            negative="",
            help="b_cells, t_cells, car_t, leukocytes or another reported population; those of "
            "study.yaml when not given, else b_cells.",
        ),
    ] = (),
    patient: Annotated[
        tuple[str, ...],
        Parameter(negative="", help="Write the data of these patients alone; all when not given."),
    ] = (),
    new_map: Annotated[
        str, Parameter(help="Make another map than there is, for this reason; the old one stays.")
    ] = "",
    json: Json = False,
) -> Outcome:
    """Lay the cells of a compartment on a map, the same at all visits; make it where there is none.

    Exploratory: no table, parameter or flag reads a map.
    """
    from tasks.explore.document import mapped_document, mapped_text
    from tasks.explore.write_data import map_each
    from tasks.strategies.in_use import read_snapshot
    from tasks.study.folder import open_study
    from tasks.study.lock import study_lock

    opened = open_study(study)
    snapshot = read_snapshot(opened)
    unknown = [name for name in patient if name not in snapshot.patients.patients]
    if unknown:
        raise UsageFault(f"--patient: patients.csv has no {unknown[0]}.")
    names = compartment or opened.settings.explore.compartments or (USUAL,)
    with study_lock(opened):
        mapped = map_each(snapshot, names, new_map=new_map, patients=patient)
    if mapped.faults and not mapped.done:
        raise next(iter(mapped.faults.values()))
    return Outcome(mapped_document(mapped), mapped_text(mapped), failed=bool(mapped.faults))

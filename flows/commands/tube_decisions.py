"""The commands by which a person decides on one tube."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from flows.cli import Json, Outcome, Study
from flows.commands.log_head import note_log_head
from panels.text.errors import UsageFault

if TYPE_CHECKING:
    from tasks.store.exclusions import Action

tube = App(
    name="tube",
    help=(
        "Correct, exclude or include one tube, with name and reason, and show what happened to it."
    ),
    help_format="plaintext",
)

By = Annotated[str, Parameter(help="Who decides this.")]
Reason = Annotated[str, Parameter(help="Why, for those who read it later.")]


@tube.command(
    help=(
        "Set thresholds or outlines of one TUBE (its file's name, or 6 digits or more of its "
        "SHA-256). The counts, the pages and the patient's tables follow at once; what was counted "
        "before stays in the store.\n\n"
        "It holds for this tube as long as the same strategy and calibration count it. One person "
        "may stay within a threshold's limits, or move each vertex of a polygon by 15 % of its "
        "axis; beyond that a second person has to agree (--second).\n\n"
        "With --from all corrections of a sheet are made at once, if each of its lines may be: "
        "columns file, threshold, value, gate, vertices, reason, or the DEVIATIONS.csv of a "
        "workspace that was imported."
    )
)
def correct(  # noqa: PLR0913 - the options of a command
    name: Annotated[str, Parameter(name="TUBE", help="File name or hash.")] = "",
    /,
    *,
    threshold: Annotated[
        tuple[str, ...],
        Parameter(
            negative="",
            help="NAME=VALUE in channel units, as thresholds.csv prints them; may be repeated.",
        ),
    ] = (),
    gate: Annotated[
        tuple[str, ...],
        Parameter(
            negative="",
            help="NAME=x1,y1;x2,y2;… the vertices of a polygon in channel units; may be repeated.",
        ),
    ] = (),
    sheet: Annotated[
        Path | None, Parameter(name="--from", help="A sheet with one correction a line.")
    ] = None,
    by: By = "",
    reason: Reason = "",
    second: Annotated[str, Parameter(help="Another person who agrees.")] = "",
    dry_run: Annotated[
        bool, Parameter(negative="", help="Show what would change, and write nothing.")
    ] = False,
    study: Study = Path(),
    json: Json = False,
) -> Outcome:
    """Set thresholds or outlines of one tube, or those of many from a sheet."""
    if sheet is not None:
        _refuse_both(name, threshold, gate)
        return _from_sheet(study, sheet, by, second, reason, dry_run=dry_run)
    from flows.commands.tube_text import correction_document, correction_text
    from tasks.corrections.boundaries import gates_given, thresholds_given
    from tasks.corrections.correct import Request, correct_tube, preview_correction
    from tasks.study.folder import open_study

    if not threshold and not gate:
        raise UsageFault("Nothing to set: give --threshold NAME=VALUE or --gate NAME=x1,y1;x2,y2;…")
    request = Request(by, reason, thresholds_given(threshold), gates_given(gate), second)
    decide = preview_correction if dry_run else correct_tube
    done = decide(open_study(study), name, request)
    if not dry_run:
        note_log_head(study)
    faults = done.tables.faults if done.tables else ()
    return Outcome(correction_document(done), correction_text(done), failed=bool(faults))


def _refuse_both(name: str, threshold: tuple[str, ...], gate: tuple[str, ...]) -> None:
    from panels.text.errors import UsageFault

    if name or threshold or gate:
        raise UsageFault(
            "--from takes tubes, thresholds and gates from the sheet: leave out TUBE, --threshold "
            "and --gate."
        )


def _from_sheet(
    study: Path, sheet: Path, by: str, second: str, reason: str, *, dry_run: bool
) -> Outcome:
    from flows.commands.tube_text import sheet_document, sheet_text
    from tasks.corrections.correct_from_sheet import correct_from_sheet
    from tasks.study.folder import open_study

    done = correct_from_sheet(
        open_study(study), sheet, by=by, second=second, reason=reason, dry_run=dry_run
    )
    if not dry_run:
        note_log_head(study)
    failed = any(each.faults for each in done.tables or ())
    return Outcome(sheet_document(done), sheet_text(done), failed=failed)


@tube.command(
    help=(
        "Take corrections of one TUBE back: those of the NAMEs of thresholds and gates, or all. "
        "What the tube gave without them counts again."
    )
)
def withdraw(
    name: Annotated[str, Parameter(name="TUBE", help="File name or hash.")],
    /,
    *names: Annotated[str, Parameter(name="NAME", help="Thresholds and gates; all without.")],
    by: By = "",
    reason: Reason = "",
    study: Study = Path(),
    json: Json = False,
) -> Outcome:
    """Take corrections of one tube back."""
    from flows.commands.tube_text import tables_document, tables_lines
    from tasks.corrections.correct import withdraw_corrections
    from tasks.study.folder import open_study
    from tasks.study.tube_named import described

    found, taken_back, tables = withdraw_corrections(open_study(study), name, names, by, reason)
    note_log_head(study)
    withdrawn = [each.name for each in taken_back]
    first = f"withdrawn: {', '.join(withdrawn)}"
    return Outcome(
        document={
            "tube_sha256": found.identity.tube_sha256,
            "withdrawn": withdrawn,
            "tables": tables_document(tables),
        },
        text="\n".join([described(found), first, *tables_lines(tables)]),
        failed=bool(tables.faults),
    )


@tube.command
def exclude(
    name: Annotated[str, Parameter(name="TUBE", help="File name or hash.")],
    /,
    *,
    by: By = "",
    reason: Reason = "",
    study: Study = Path(),
    json: Json = False,
) -> Outcome:
    """Take one TUBE out of every series: its rows stay and are used for nothing."""
    return _decided(study, name, "exclude", by, reason)


@tube.command
def include(
    name: Annotated[str, Parameter(name="TUBE", help="File name or hash.")],
    /,
    *,
    by: By = "",
    reason: Reason = "",
    study: Study = Path(),
    json: Json = False,
) -> Outcome:
    """Let one TUBE that was excluded in again."""
    return _decided(study, name, "include", by, reason)


@tube.command
def history(
    name: Annotated[str, Parameter(name="TUBE", help="File name or hash.")],
    /,
    *,
    study: Study = Path(),
    json: Json = False,
) -> Outcome:
    """Show everything that ever happened to one TUBE: when, what, who and why."""
    from dataclasses import asdict

    from tasks.corrections.tube_history import history_lines, tube_history
    from tasks.study.folder import open_study
    from tasks.study.tube_named import described

    found, events = tube_history(open_study(study), name)
    return Outcome(
        document={
            "tube_sha256": found.identity.tube_sha256,
            "file": found.identity.file,
            "patient": found.identity.patient,
            "visit": found.identity.visit,
            "panel": found.identity.panel,
            "events": [asdict(each) for each in events],
        },
        text="\n".join([described(found), "", *history_lines(events)]),
    )


def _decided(study: Path, name: str, action: "Action", by: str, reason: str) -> Outcome:
    from flows.commands.tube_text import tables_document, tables_lines
    from tasks.corrections.exclusion import decide_on_tube
    from tasks.store.exclusions import DONE
    from tasks.study.folder import open_study
    from tasks.study.tube_named import described

    found, tables = decide_on_tube(open_study(study), name, action, by, reason)
    note_log_head(study)
    return Outcome(
        document={
            "tube_sha256": found.identity.tube_sha256,
            "done": DONE[action],
            "tables": tables_document(tables),
        },
        text="\n".join([described(found), DONE[action], *tables_lines(tables)]),
        failed=bool(tables.faults),
    )

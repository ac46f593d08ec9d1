"""The commands that draft a panel from a laboratory's files, and check files against a panel."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from flows.cli import Json, Outcome
from panels.acquisition_time import is_time_channel
from panels.text.errors import UsageFault
from panels.text.quoting import as_label

if TYPE_CHECKING:
    from panels.drafting.draft import PanelDraft
    from panels.panel import Panel
    from tasks.intake.panel_check import ChannelFit, FileFit

Files = Annotated[Path, Parameter(help="FCS files, folders, workspaces or Gating-ML documents.")]


def draft_panel(
    *files: Files,
    name: Annotated[str, Parameter(help="What the panel is called; its file is NAME.yaml.")],
    study: Annotated[
        Path | None,
        Parameter(name="--study", help="Write into this study's panels, and use their synonyms."),
    ] = None,
    json: Json = False,
) -> Outcome:
    """Draft a commented panel from FCS files, FlowJo workspaces or Gating-ML documents."""
    from gating.exchange.describe_files import describe_files
    from panels.catalogue import load_panel, panel_names
    from panels.drafting.draft import draft_panel as draft_from
    from panels.drafting.place_draft import known_panels, misfits, refuse_existing, write_draft

    laboratory = _laboratory_panels(study)
    folder = laboratory or Path()
    refuse_existing(folder, name)
    shipped = [load_panel(each) for each in panel_names()]
    described = describe_files(files)
    draft = draft_from(name, described, known_panels(laboratory), shipped)
    path, written = write_draft(draft, folder, laboratory)
    draft = replace(draft, notes=(*draft.notes, *misfits(written, described)))
    document = {
        "path": str(path),
        "panel": f"{written.panel}@{written.version}",
        "markers": [stain.marker for stain in written.markers],
        "instruments": [draft.instrument, *draft.instruments],
        "compensated": written.compensated,
        "counting": list(written.counting),
        "left_out": {each.heading: list(each.channels) for each in draft.sections},
        "notes": list(draft.notes),
    }
    return Outcome(document=document, text="\n".join(_draft_lines(path, written, draft, study)))


def check_panel(
    panel: Annotated[
        str, Parameter(help="A panel, such as bcell or bcell@1.0.0, or its YAML file.")
    ],
    /,
    *files: Annotated[Path, Parameter(help="FCS files, or folders of them.")],
    study: Annotated[
        Path | None,
        Parameter(name="--study", help="A study whose own panels are found first."),
    ] = None,
    json: Json = False,
) -> Outcome:
    """Say channel by channel what of PANEL each FCS file has, and whether it would be accepted."""
    from flows.commands.panel_versions import panel_or_file
    from gating.exchange.describe_files import fcs_and_documents
    from tasks.intake.panel_check import check_file

    laboratory = _laboratory_panels(study)
    value = panel_or_file(panel, study)
    pin = f"{value.panel}@{value.version}"
    fits = [check_file(path, value, laboratory) for path in fcs_and_documents(files)]
    refused = [each for each in fits if each.refused is not None]
    accepted = len(fits) - len(refused)
    summary = f"{pin}: {accepted} of {len(fits)} files would be accepted."
    lines = [line for alike in _alike(fits) for line in (*_fit_lines(alike), "")]
    return Outcome(
        document={
            "panel": pin,
            "accepted": accepted,
            "refused": len(refused),
            "files": [each.document() for each in fits],
        },
        text="\n".join([*lines, summary]),
        failed=bool(refused),
    )


def _laboratory_panels(study: Path | None) -> Path | None:
    """Give the folder of a study's own panels; raises UsageFault where there is no study."""
    if study is not None and not study.is_dir():
        raise UsageFault(f"{study}: there is no such study. Make one: reconflow init {study}")
    return study / "panels" if study else None


def _draft_lines(
    path: Path, written: "Panel", draft: "PanelDraft", study: Path | None
) -> Iterator[str]:
    """Say what was drafted, what to decide, and how to go on."""
    yield f"{path}: a draft of {written.panel}@{written.version}, to be read and corrected"
    yield ""
    rows = [("marker", "detector", "remark")]
    rows += [(as_label(s.marker), as_label(s.detector), s.remark) for s in draft.stains]
    yield from _columns(rows)
    yield ""
    yield f"  instrument   {', '.join([draft.instrument, *draft.instruments])}"
    yield f"  compensated  {str(written.compensated).lower()}: {draft.compensated.reason}"
    yield f"  counting     {', '.join(written.counting)}: {draft.counting.reason}"
    yield f"  scatter      {', '.join(written.scatter) or 'none'}"
    if draft.notes:
        yield ""
        yield "To decide or to know:"
        yield from (f"  {note}" for note in draft.notes)
    of_study = f" --study {study}" if study else ""
    yield ""
    yield "Then:"
    if study:
        yield f"  reconflow panel check {written.panel} FILE…{of_study}"
        yield f"  reconflow panel release {written.panel} {written.version}{of_study}"
    else:
        yield f"  reconflow panel check {path} FILE…"
        yield f"  copy {path} into the panels folder of a study (STUDY/panels)"


def _alike(fits: "Sequence[FileFit]") -> "list[list[FileFit]]":
    """Put files together of which the same is to be said."""
    groups: dict[object, list[FileFit]] = {}
    for each in fits:
        # The range of Time is the length of the acquisition, another one in each file.
        said = [replace(c, maximum=0) if is_time_channel(c.expected) else c for c in each.channels]
        key = (each.instrument, tuple(said), each.refused, each.remarks)
        groups.setdefault(key, []).append(each)
    return list(groups.values())


def _fit_lines(alike: "Sequence[FileFit]") -> Iterator[str]:
    """Say once what holds for each of these files."""
    fit = alike[0]
    verdict = "accepted" if fit.refused is None else "REFUSED"
    on = f", read with the detectors of {fit.instrument}" if fit.instrument else ""
    for each in alike:
        yield f"{each.path}: {verdict}{on}"
    yield from _table(fit.channels)
    if fit.refused is not None:
        yield f"  Refused: {fit.refused}"
    yield from (f"  To know: {remark}" for remark in fit.remarks)


def _table(channels: "Sequence[ChannelFit]") -> Iterator[str]:
    if not channels:
        return
    head = ("marker", "expected", "found on", "label", "by", "range", "spill")
    yield from _columns([head, *(_row(each) for each in channels)])


def _columns(rows: "Sequence[tuple[str, ...]]") -> Iterator[str]:
    """Set rows below each other, each column as wide as its widest cell."""
    widths = [max(len(row[column]) for row in rows) + 2 for column in range(len(rows[0]))]
    for row in rows:
        cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        yield f"  {''.join(cells)}".rstrip()


def _row(fit: "ChannelFit") -> tuple[str, ...]:
    missing = "MISSING" if fit.problem else "missing, may be"
    spill = {None: "", True: "covered", False: "NOT COVERED"}[fit.covered]
    return (
        as_label(fit.name),
        as_label(fit.expected),
        as_label(fit.detector or "-"),
        as_label(fit.label),
        missing if fit.found_by == "not found" else fit.found_by,
        "" if fit.maximum is None else f"{fit.maximum:,.10g}",
        spill,
    )

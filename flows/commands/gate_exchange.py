"""The commands that bring gates to other programs and take them from there."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from flows.cli import Json, Outcome
from flows.commands.strategy_versions import LaboratoryStudy, panels_of, strategies_of

if TYPE_CHECKING:
    from gating.exchange.adopt_workspace import Adoption
    from gating.exchange.export_workspace import ExportedWorkspace
    from gating.strategy.model import Release
    from panels.panel import Panel
    from tasks.strategies.draft import Draft

Output = Annotated[Path | None, Parameter(help="The file to write; printed when not given.")]


def export_gates(  # noqa: PLR0913 - keyword-only options of one command
    name: str,
    *,
    output: Output = None,
    format: Annotated[  # noqa: A002 - the option is called so
        Literal["gatingml", "wsp"],
        Parameter(help="gatingml: Gating-ML 2.0. wsp: a FlowJo 10 workspace."),
    ] = "gatingml",
    fcs: Annotated[
        Path | None,
        Parameter(
            help="With --format wsp: the FCS file or the folder of files to show the gates on."
        ),
    ] = None,
    panel: Annotated[
        str | None,
        Parameter(help="Take the detectors' names from this panel instead of the strategy's own."),
    ] = None,
    instrument: Annotated[
        str | None, Parameter(help="Take the detectors' names of this instrument of the panel.")
    ] = None,
    study: LaboratoryStudy = None,
    json: Json = False,
) -> Outcome:
    """Write NAME (bcell@1.0.0) as Gating-ML 2.0, or as a FlowJo 10 workspace."""
    from gating.strategy.catalogue import load_strategy
    from panels.catalogue import load_panel
    from panels.text.errors import UsageFault

    release = load_strategy(name, strategies_of(study))
    reads = load_panel(panel or release.strategy.panel, panels_of(study))
    exported: dict[str, object] = {
        "strategy": release.strategy.name,
        "sha256": release.sha256,
        "panel": reads.panel,
    }
    if format == "wsp":
        made = _workspace(release, reads, fcs, instrument, study)
        return _export_wsp(release.strategy.name, made, exported, output)
    if fcs is not None:
        raise UsageFault("--fcs says which files a workspace shows: add --format wsp.")
    from gating.exchange.export_gates import export_strategy

    document = export_strategy(release.strategy, reads, instrument)
    if output is None:
        return Outcome(document=exported | {"gatingml": document.decode()}, text=document.decode())
    output.write_bytes(document)
    return Outcome(
        document=exported | {"output": str(output)},
        text=f"{output}: {release.strategy.name} as Gating-ML 2.0",
    )


def _workspace(
    release: "Release",
    panel: "Panel",
    fcs: Path | None,
    instrument: str | None,
    study: Path | None,
) -> "ExportedWorkspace":
    """Write the gates on the tubes, each with the numbers of its own instrument."""
    from gating.exchange.export_workspace import export_workspace, tubes_to_show
    from gating.strategy.instrument_numbers import instrument_numbers
    from tasks.tubes.file_calibration import instrument_of

    numbers = instrument_numbers(release, study / "calibrations" if study else None)
    return export_workspace(
        release.strategy,
        panel,
        tubes_to_show(fcs),
        instrument,
        lambda header: numbers.for_tube(instrument_of(header)).strategy,
    )


def _export_wsp(
    name: str, made: "ExportedWorkspace", exported: dict[str, object], output: Path | None
) -> Outcome:
    notes = [{"gate": note.gate, "text": note.text} for note in made.notes]
    exported |= {"samples": list(made.samples), "left_out": list(made.left_out), "notes": notes}
    if output is None:
        text = made.content.decode()
        return Outcome(document=exported | {"workspace": text}, text=text)
    output.write_bytes(made.content)
    shown = _many(len(made.samples), "sample")
    lines = [
        f"{output}: {name} as a FlowJo 10 workspace with {shown}",
        *(f"  {note.gate}: {note.text}" if note.gate else f"  {note.text}" for note in made.notes),
        *(f"  Left out: {sentence}" for sentence in made.left_out),
    ]
    return Outcome(document=exported | {"output": str(output)}, text="\n".join(lines))


def import_gates(  # noqa: PLR0913 - keyword-only options of one command
    file: Path,
    *,
    panel: Annotated[str, Parameter(help="The panel whose markers the document's channels are.")],
    name: Annotated[str, Parameter(help="What the new strategy is called.")],
    output: Annotated[
        Path | None,
        Parameter(help="The strategies folder to write into; STUDY/strategies when not given."),
    ] = None,
    sample: Annotated[
        str | None, Parameter(help="The sample of a FlowJo workspace whose gates are wanted.")
    ] = None,
    all_samples: Annotated[
        bool,
        Parameter(
            name="--all-samples",
            negative="",
            help="Adopt a whole workspace: its common gates; every sample's counts compared.",
        ),
    ] = False,
    group: Annotated[
        str | None,
        Parameter(help="With --all-samples: the FlowJo group whose gates are adopted."),
    ] = None,
    fcs: Annotated[
        Path | None,
        Parameter(
            name=["--fcs", "--tube"],
            help="The FCS file the gates were drawn on, or a folder that holds it.",
        ),
    ] = None,
    report: Annotated[
        tuple[str, ...],
        Parameter(
            help="A gate to report as a population though it is not recognised: GATE or GATE=ID.",
            negative="",
        ),
    ] = (),
    accept: Annotated[
        bool,
        Parameter(
            negative="", help="Import although counts differ from those the workspace recorded."
        ),
    ] = False,
    study: LaboratoryStudy = None,
    json: Json = False,
) -> Outcome:
    """Turn the gates of another program into a draft strategy, with a report beside it.

    They come from a Gating-ML 2.0 document or a FlowJo 10 workspace.

    Where the tube of a FlowJo sample is at hand (--fcs, or beside the workspace under its name),
    the counts the workspace recorded are compared with ours: a difference beyond FlowJo's own
    binning refuses the import.
    """
    from gating.exchange.adopt_workspace import adopt_workspace
    from gating.exchange.checked_import import import_checked
    from panels.catalogue import load_panel
    from panels.text.errors import UsageFault
    from tasks.strategies.draft import DraftPlace, draft_adoption, draft_import

    reads = load_panel(panel, panels_of(study))
    folder = output or strategies_of(study) or Path("strategies")
    if all_samples and sample is not None:
        raise UsageFault("Give --sample or --all-samples, not both.")
    if group is not None and not all_samples:
        raise UsageFault("--group says which group of a whole workspace: add --all-samples.")
    place = DraftPlace(folder, panels_of(study))
    if all_samples:
        adoption = adopt_workspace(file, reads, name, tubes=fcs, group=group)
        draft = draft_adoption(file, adoption, reads, place, report=report, accept=accept)
        return _adopted(name, adoption, draft)
    checked = import_checked(file, reads, name, sample=sample, tube=fcs, accept=accept)
    draft = draft_import(checked, reads, place, report)
    document = _draft_document(name, checked.foreign.source, draft)
    document["counts"] = [each.document() for each in checked.compared]
    return Outcome(document, text=_draft_text(draft))


def _adopted(name: str, adoption: "Adoption", draft: "Draft") -> Outcome:
    from tasks.strategies.adoption_files import verdict_lines

    document = _draft_document(name, adoption.source, draft) | {
        "group": adoption.group,
        "samples": list(adoption.members),
        "left_out": dict(adoption.left_out),
        "counts": [each.document() for each in adoption.compared],
        "deviations": [each.document() for each in adoption.deviations],
    }
    verdicts = ", ".join(verdict_lines(adoption))
    head = [
        f"{_many(len(adoption.members), 'sample')}, recorded against counted: {verdicts}.",
        f"{_many(len(adoption.deviations), 'deviation')} of single samples (DEVIATIONS.csv).",
    ]
    return Outcome(document, text="\n".join([*head, "", _draft_text(draft)]))


def _many(number: int, of: str) -> str:
    """Write a number of things: ``1 sample``, ``2 samples``."""
    return f"{number} {of}" if number == 1 else f"{number} {of}s"


def _draft_text(draft: "Draft") -> str:
    from gating.exchange.import_files import report

    return "\n".join([report(draft.imported), *map(str, draft.written)])


def _draft_document(name: str, source: str, draft: "Draft") -> dict[str, Any]:
    imported = draft.imported
    notes = [
        {"outcome": note.outcome, "gate": note.gate, "text": note.text} for note in imported.notes
    ]
    return {
        "strategy": name,
        "source": source,
        "gates": {"/".join(path[1:]): gate for path, gate in imported.name_of.items()},
        "populations": list(draft.proposed.populations),
        "notes": notes,
        "written": [str(path) for path in draft.written],
    }

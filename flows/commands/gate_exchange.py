"""The commands that bring gates to other programs and take them from there."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from flows.cli import Json, Outcome
from flows.commands.strategy_versions import LaboratoryStudy, panels_of, strategies_of

if TYPE_CHECKING:
    from gating.exchange.checked_import import CheckedImport

Output = Annotated[Path | None, Parameter(help="The file to write; printed when not given.")]


def export_gates(
    name: str,
    *,
    output: Output = None,
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
    """Write NAME (bcell@1.0.0) as Gating-ML 2.0, the standard that other programs read."""
    from gating.exchange.export_gates import export_strategy
    from gating.strategy.catalogue import load_strategy
    from panels.catalogue import load_panel

    release = load_strategy(name, strategies_of(study))
    reads = load_panel(panel or release.strategy.panel, panels_of(study))
    document = export_strategy(release.strategy, reads, instrument)
    exported: dict[str, object] = {
        "strategy": release.strategy.name,
        "sha256": release.sha256,
        "panel": reads.panel,
    }
    if output is None:
        return Outcome(document=exported | {"gatingml": document.decode()}, text=document.decode())
    output.write_bytes(document)
    return Outcome(
        document=exported | {"output": str(output)},
        text=f"{output}: {release.strategy.name} as Gating-ML 2.0",
    )


def import_gates(  # noqa: PLR0913 - keyword-only options of one command
    file: Path,
    *,
    panel: Annotated[str, Parameter(help="The panel whose markers the document's channels are.")],
    name: Annotated[str, Parameter(help="What the new strategy is called.")],
    output: Annotated[
        Path, Parameter(help="The strategies folder to write into, such as STUDY/strategies.")
    ],
    sample: Annotated[
        str | None, Parameter(help="The sample of a FlowJo workspace whose gates are wanted.")
    ] = None,
    all_samples: Annotated[
        bool,
        Parameter(
            name="--all-samples",
            negative="",
            help="Take the gates most samples have; compare every sample's counts.",
        ),
    ] = False,
    fcs: Annotated[
        Path | None,
        Parameter(
            name=["--fcs", "--tube"],
            help="The FCS file the gates were drawn on, or a folder that holds it.",
        ),
    ] = None,
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
    from gating.exchange.checked_import import import_checked, import_workspace
    from gating.exchange.import_files import report
    from gating.exchange.recorded_counts import counts_csv
    from panels.catalogue import load_panel
    from panels.text.errors import UsageFault
    from tasks.strategies.write_import import write_import

    reads = load_panel(panel, panels_of(study))
    if all_samples and sample is not None:
        raise UsageFault("Give --sample or --all-samples, not both.")
    if all_samples:
        checked = import_workspace(file, reads, name, tubes=fcs, accept=accept)
    else:
        checked = import_checked(file, reads, name, sample=sample, tube=fcs, accept=accept)
    counts = counts_csv(checked.compared) if checked.compared else None
    written = [str(path) for path in write_import(checked.imported, output, counts)]
    return Outcome(
        document=_import_document(name, checked, written),
        text="\n".join([report(checked.imported), *written]),
    )


def _import_document(name: str, checked: "CheckedImport", written: Sequence[str]) -> dict[str, Any]:
    imported = checked.imported
    notes = [
        {"outcome": note.outcome, "gate": note.gate, "text": note.text} for note in imported.notes
    ]
    return {
        "strategy": name,
        "source": checked.foreign.source,
        "gates": {"/".join(path[1:]): gate for path, gate in imported.name_of.items()},
        "notes": notes,
        "counts": [each.document() for each in checked.compared],
        "written": list(written),
    }

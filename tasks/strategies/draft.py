"""Draft a strategy from another program's gates: propose its populations and write its files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gating.exchange.adopt_workspace import Adoption
from gating.exchange.checked_import import CheckedImport, accepted
from gating.exchange.import_gates import Imported
from gating.exchange.import_notes import Note
from gating.exchange.recorded_counts import counts_csv
from panels.panel import Panel
from panels.text.errors import StrategyFault
from tasks.strategies.adoption_files import adoption_evidence, changes_draft
from tasks.strategies.recognised_populations import ProposedPopulations, propose_populations
from tasks.strategies.write_import import write_import, write_refused

NO_POPULATIONS = (
    "No gate was recognised as a population, so none is reported: name the gates that are with "
    "--report GATE or --report GATE=ID."
)


@dataclass(frozen=True, slots=True)
class Draft:
    """A strategy as it was drafted: its gates with the report, its populations, its files."""

    imported: Imported
    proposed: ProposedPopulations
    written: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class DraftPlace:
    """Where a draft goes: the folder of strategies, and that of panels (of a study; else None)."""

    strategies: Path
    panels: Path | None


def draft_import(
    checked: CheckedImport, panel: Panel, place: DraftPlace, report: Sequence[str] = ()
) -> Draft:
    """Write the draft of one document or one sample; ``report`` are gates to report besides.

    Raises as ``write_import`` and ``propose_populations`` do.
    """
    imported, proposed = _with_populations(checked.imported, panel, report)
    evidence = {"IMPORT_COUNTS.csv": counts_csv(checked.compared)} if checked.compared else {}
    written = write_import(imported, place.strategies, evidence, place.panels)
    return Draft(imported, proposed, tuple(written))


def draft_adoption(
    document: Path,
    adoption: Adoption,
    panel: Panel,
    place: DraftPlace,
    *,
    report: Sequence[str] = (),
    accept: bool = False,
) -> Draft:
    """Write the draft of a whole workspace, with the evidence of its counts.

    Raises StrategyFault when counts differ beyond FlowJo's binning, unless ``accept``: the evidence
    is written all the same, beside the strategy's versions. Else as ``draft_import``.
    """
    imported, proposed = _with_populations(adoption.imported, panel, report)
    if adoption.fault is not None and not accept:
        evidence = adoption_evidence(replace(adoption, imported=imported))
        shown = write_refused(imported, place.strategies, evidence)
        raise StrategyFault(f"{adoption.fault} The comparison: {shown[1]}.")
    if adoption.fault is not None:
        imported = replace(imported, notes=(*imported.notes, *accepted(adoption.compared)))
    adoption = replace(adoption, imported=imported)
    evidence = adoption_evidence(adoption)
    evidence["CHANGES.md"] = changes_draft(adoption, proposed, document)
    written = write_import(imported, place.strategies, evidence, place.panels)
    return Draft(imported, proposed, tuple(written))


def _with_populations(
    imported: Imported, panel: Panel, report: Sequence[str]
) -> tuple[Imported, ProposedPopulations]:
    proposed = propose_populations(imported, panel, report)
    notes = [
        Note("changed", each.gate, f"Reported as {each.population}, {each.how}.")
        for each in proposed.recognised
    ]
    notes += [Note("to do", "", sentence) for sentence in proposed.unclear]
    if not proposed.populations:
        notes.append(Note("to do", "", NO_POPULATIONS))
    elif proposed.unreported:
        listed = ", ".join(proposed.unreported)
        notes.append(Note("to do", "", f"Gates that are not reported: {listed}."))
    document = {**imported.document, "populations": list(proposed.populations)}
    return replace(imported, document=document, notes=(*imported.notes, *notes)), proposed

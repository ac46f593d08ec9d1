"""Write what lies beside a strategy that was adopted from a FlowJo workspace.

The evidence of its counts, the deviations of single samples, and the draft of CHANGES.md.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from gating.exchange.adopt_workspace import Adoption
from gating.exchange.deviations import deviations_csv
from gating.exchange.import_notes import Note
from gating.exchange.recorded_counts import counts_csv
from panels.text.printable import printable
from tasks.publish.import_page import VERDICTS, import_page
from tasks.strategies.recognised_populations import ProposedPopulations

COUNTS = ("IMPORT_COUNTS.csv", "IMPORT_COUNTS.html")


def adoption_evidence(adoption: Adoption) -> dict[str, str]:
    """Give the files that show how an adopted workspace counts, by name."""
    texts = (counts_csv(adoption.compared), import_page(adoption))
    evidence = dict(zip(COUNTS, texts, strict=True))
    return evidence | {"DEVIATIONS.csv": deviations_csv(adoption.deviations)}


def verdict_lines(adoption: Adoption) -> list[str]:
    """Say how many counts have each verdict, the worst first."""
    many = Counter(row.verdict for row in adoption.compared)
    return [f"{many[verdict]:,} {verdict}" for verdict in VERDICTS if many[verdict]]


def changes_draft(adoption: Adoption, proposed: ProposedPopulations, document: Path) -> str:
    """Draft CHANGES.md: what was imported, what was left out and why, what is to be decided."""
    strategy = adoption.imported.document
    verdicts = ", ".join(verdict_lines(adoption))
    digest = hashlib.sha256(document.read_bytes()).hexdigest()
    lines = [
        f"# {strategy['strategy']} {strategy['version']}",
        "",
        f"Imported from {printable(adoption.source)}.",
        f"{printable(document.name)} has the SHA-256 {digest}.",
        "",
        "## What was imported",
        "",
        f"- {len(adoption.imported.name_of)} gates, shared by {len(adoption.members)} samples.",
        f"- Counts, recorded against counted: {verdicts} (IMPORT_COUNTS.html).",
        *_populations(proposed),
        "",
        "## What was left out, and why",
        "",
        *_listed(_left_out(adoption)),
        "",
        "## What single samples have otherwise",
        "",
        *_listed(_otherwise(adoption)),
        "",
        "## To be decided by a person",
        "",
        *_listed(_to_decide(adoption.imported.notes, proposed)),
        "",
        "## Approved",
        "",
        "Write here who approved this version, when, and what was decided above.",
    ]
    return "\n".join(lines) + "\n"


def _populations(proposed: ProposedPopulations) -> Iterator[str]:
    for each, found in zip(proposed.populations, proposed.recognised, strict=True):
        anchor = ", ".join(each["anchor"]) or "none"
        yield (
            f"- Reported: {each['id']}, the gate {each['gate']} ({found.how}); reference "
            f"{each['reference']}, anchor {anchor}."
        )


def _left_out(adoption: Adoption) -> Iterator[str]:
    for note in adoption.imported.lost:
        yield f"{note.gate}: {note.text}" if note.gate else note.text
    for sample, reason in adoption.left_out.items():
        yield f"The sample {sample}: {reason}."


def _otherwise(adoption: Adoption) -> Iterator[str]:
    for each in adoption.deviations:
        counted = ""
        if each.percent is not None:
            counted = (
                f": the strategy counts {each.counted_strategy:,}, the sample's own gates "
                f"{each.counted_own:,}"
            )
        yield f"{each.sample}, {each.gate or 'all gates'}: {each.kind}{counted}."


def _to_decide(notes: Sequence[Note], proposed: ProposedPopulations) -> Iterator[str]:
    yield from proposed.unclear
    for note in notes:
        if note.outcome == "to do" and note.text not in proposed.unclear:
            yield f"{note.gate}: {note.text}" if note.gate else note.text


def _listed(sentences: Iterator[str]) -> list[str]:
    return [f"- {printable(each)}" for each in sentences] or ["Nothing."]

"""Put what a decision on a tube changed into words for a terminal, and into a document."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from panels.text.plural import counted
from tasks.corrections.tube_named import described

if TYPE_CHECKING:
    from tasks.corrections.correct import Corrected
    from tasks.corrections.tables_follow import TablesChanged
    from tasks.store.corrections import Correction

MOST_LINES = 30
"""So many numbers are told in words; the document has them all."""


def correction_text(done: Corrected) -> str:
    """Say what was set, which counts it changes and which published numbers."""
    lines = [described(done.tube), *(_boundary(done, each) for each in done.made), ""]
    if done.changes:
        width = max(len(each.population) for each in done.changes) + 2
        lines.append(f"{'':<{width}}events before → after")
        lines += [
            f"{each.population:<{width}}{each.before:,} → {each.after:,}" for each in done.changes
        ]
    else:
        lines.append("No count changes.")
    if done.tables is None:
        return "\n".join([*lines, "", "Nothing was written (--dry-run)."])
    page = f"results/tubes/{done.tube.identity.tube_sha256[:12]}/gating.html"
    return "\n".join([*lines, *tables_lines(done.tables), f"page: {page}"])


def correction_document(done: Corrected) -> dict[str, Any]:
    """Give the same as JSON holds it; values are in channel units."""
    return {
        "tube_sha256": done.tube.identity.tube_sha256,
        "written": done.tables is not None,
        "corrections": [_correction_document(each) for each in done.made],
        "events": [asdict(each) for each in done.changes],
        "tables": None if done.tables is None else tables_document(done.tables),
    }


def tables_lines(tables: TablesChanged) -> Iterator[str]:
    """Say which published numbers of the patient read otherwise, and what the next pass writes."""
    yield ""
    if tables.changes:
        yield f"{tables.patient}, what reads otherwise:"
    else:
        yield f"{tables.patient}: no published number reads otherwise."
    for each in tables.changes[:MOST_LINES]:
        of = " ".join(filter(None, (each.visit, each.specimen, each.population, each.what)))
        yield f"  {of:<48}{each.before} → {each.after}"
    if len(tables.changes) > MOST_LINES:
        yield f"  … and {len(tables.changes) - MOST_LINES} more (--json lists all)"
    if tables.later:
        yield f"The tables of {counted(tables.later, 'other patient')} follow with the next pass."
    yield from tables.faults


def tables_document(tables: TablesChanged) -> dict[str, Any]:
    """Give what became of a patient's tables as JSON holds it."""
    return {
        "patient": tables.patient,
        "changes": [asdict(each) for each in tables.changes],
        "patients_with_the_next_pass": tables.later,
        "faults": list(tables.faults),
    }


def _boundary(done: Corrected, each: Correction) -> str:
    if isinstance(each.value, tuple):
        return f"{each.name}: the outline has {len(each.value)} vertices ({each.limits})"
    before = f"{each.value_before:,.6g}" if isinstance(each.value_before, float) else ""
    return (
        f"{each.name} on {done.units[each.name]}: {before} → {each.value:,.6g} channel units "
        f"(limits of one person: {each.limits})"
    )


def _correction_document(each: Correction) -> dict[str, Any]:
    names = ("kind", "name", "value", "value_before", "limits", "populations", "at", "second")
    return {name: getattr(each, name) for name in names}

"""Put what a decision on a tube changed into words for a terminal, and into a document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from panels.text.plural import counted
from tasks.study.tube_named import described
from tasks.tubes.corrections import who_and_why

if TYPE_CHECKING:
    from tasks.corrections.correct import Corrected
    from tasks.corrections.correct_from_sheet import SheetCorrected
    from tasks.corrections.tables_follow import NumberChange, TablesChanged
    from tasks.store.corrections import Correction

MOST_LINES = 30
"""So many numbers are told in words; the document has them all."""


def correction_text(done: Corrected) -> str:
    """Say what was set, which counts it changes and which published numbers."""
    lines = [described(done.tube), *_boundaries(done), "", *filter(None, [done.waits])]
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
        "waits": done.waits,
        "corrections": [_correction_document(each) for each in done.made],
        "superseded": [
            _correction_document(each)
            | {"by": each.made_by, "uncorrected": done.uncorrected.get(each.name)}
            for each in done.superseded
        ],
        "events": [asdict(each) for each in done.changes],
        "tables": None if done.tables is None else tables_document(done.tables),
    }


def sheet_text(done: SheetCorrected) -> str:
    """Say tube by tube what a sheet set, which of its lines were passed over, and what follows."""
    lines = []
    for each in done.done:
        counts = ", ".join(
            f"{change.population} {change.before:,} → {change.after:,}" for change in each.changes
        )
        lines += [described(each.tube), *_boundaries(each)]
        if each.waits:
            lines.append(f"  {each.waits}")
        lines += [f"  {counts or 'No count changes.'}", ""]
    if done.already:
        lines.append(f"There already: {_lines_named(done.already)}.")
    lines += [f"Left out, line {each.number}: {each.sentence}" for each in done.left_out]
    boundaries = counted(sum(len(each.made) for each in done.done), "correction")
    of = f"{boundaries} in {counted(len(done.done), 'tube')}"
    if done.tables is None:
        return "\n".join([*lines, f"{of}. Nothing was written (--dry-run)."])
    lines.append(f"{of}.")
    for tables in done.tables:
        lines += tables_lines(tables)
    return "\n".join(lines)


def sheet_document(done: SheetCorrected) -> dict[str, Any]:
    """Give the same as JSON holds it; values are in channel units."""
    written = done.tables is not None
    tubes = [correction_document(each) | {"written": written} for each in done.done]
    return {
        "written": written,
        "tubes": [{key: of[key] for key in of if key != "tables"} for of in tubes],
        "lines_there_already": list(done.already),
        "lines_left_out": [
            {"line": each.number, "reason": each.sentence} for each in done.left_out
        ],
        "tables": None if done.tables is None else [tables_document(each) for each in done.tables],
    }


def _lines_named(numbers: Sequence[int]) -> str:
    word = "line" if len(numbers) == 1 else "lines"
    return f"{word} {', '.join(map(str, numbers))}"


def tables_lines(tables: TablesChanged) -> Iterator[str]:
    """Say which published numbers of the patient read otherwise, and what the next pass writes."""
    yield ""
    if tables.changes:
        yield f"{tables.patient}, what reads otherwise:"
    else:
        yield f"{tables.patient}: no published number reads otherwise."
    for of, each in list(zip(_named(tables.changes), tables.changes, strict=True))[:MOST_LINES]:
        yield f"  {of:<48}{each.before} → {each.after}"
    if len(tables.changes) > MOST_LINES:
        yield f"  … and {len(tables.changes) - MOST_LINES} more (--json lists all)"
    if tables.later:
        yield f"The tables of {counted(tables.later, 'other patient')} follow with the next pass."
    yield from tables.faults


def _named(changes: Sequence[NumberChange]) -> list[str]:
    """Name every number, with its panel, and with its tube where two of one panel gave it."""
    names = [
        " ".join(filter(None, (each.visit, each.specimen, each.panel, each.population, each.what)))
        for each in changes
    ]
    twice = {name for name, times in Counter(names).items() if times > 1}
    return [
        f"{name} (tube {each.tube_sha256[:12]})" if name in twice else name
        for name, each in zip(names, changes, strict=True)
    ]


def tables_document(tables: TablesChanged) -> dict[str, Any]:
    """Give what became of a patient's tables as JSON holds it."""
    return {
        "patient": tables.patient,
        "changes": [asdict(each) for each in tables.changes],
        "patients_with_the_next_pass": tables.later,
        "faults": list(tables.faults),
    }


def _boundaries(done: Corrected) -> Iterator[str]:
    """Say what was set, and where somebody had set it before: to what, who and why."""
    superseded = {each.place: each for each in done.superseded}
    for each in done.made:
        yield _boundary(done, each)
        if each.place in superseded:
            yield f"  {_earlier(done, superseded[each.place])}"


def _earlier(done: Corrected, each: Correction) -> str:
    if isinstance(each.value, tuple):
        return f"It was an outline of {len(each.value)} vertices, {who_and_why(each)}"
    without = done.uncorrected[each.name]
    return (
        f"It was {each.value:,.6g}, {who_and_why(each)}; the tube without corrections: "
        f"{without:,.6g}"
    )


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

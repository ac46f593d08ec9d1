"""Write an imported strategy as YAML with one gate a line, and the report of the import."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from gating.exchange.import_gates import Imported
from gating.exchange.import_notes import Note
from gating.strategy.catalogue import MOST_VALUES
from gating.strategy.model import Strategy
from panels.files.yaml_document import parse_yaml
from panels.files.yaml_scalars import block, flow
from panels.text.errors import StrategyFault
from panels.text.plural import counted
from panels.text.printable import printable

HEADINGS = {
    "lost": "Could not be carried over",
    "approximated": "Carried over approximately",
    "changed": "Written otherwise than it was",
    "to do": "Left to do",
}


def strategy_yaml(imported: Imported) -> str:
    """Write a strategy with one gate a line."""
    document = imported.document
    head = {key: document[key] for key in ("strategy", "version", "title", "panel")}
    lines = [block(head).rstrip("\n")]
    if document["scales"]:
        lines += [
            "scales:",
            *(f"  {flow(axis)}: {flow(scale)}" for axis, scale in document["scales"].items()),
        ]
    lines += ["gates:", *(f"  - {flow(gate)}" for gate in document["gates"])]
    populations = document["populations"]
    if not populations:
        return "\n".join([*lines, "populations: []"]) + "\n"
    lines += ["populations:", *(f"  - {flow(population)}" for population in populations)]
    return "\n".join(lines) + "\n"


def strategy_of(imported: Imported) -> Strategy:
    """Read what an import will write as a strategy; raises StrategyFault when it is none."""
    text = strategy_yaml(imported)
    parsed = parse_yaml(text, Path("strategy.yaml"), StrategyFault, most_values=MOST_VALUES)
    try:
        return Strategy.model_validate(parsed.content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise StrategyFault(
            f"{imported.document['title']}: makes no strategy: {place}: {first['msg']}."
        ) from error


def report(imported: Imported) -> str:
    """Write what became of the gates, worst first."""
    title = printable(imported.document["title"])
    kept = counted(len(imported.name_of), "gate")
    lines = [f"# {title}", "", f"Carried over: {kept}. Not carried over: {len(imported.lost)}."]
    for outcome, heading in HEADINGS.items():
        notes = [note for note in imported.notes if note.outcome == outcome]
        if notes:
            lines += ["", f"## {heading}", "", *map(_line, notes)]
    return "\n".join(lines) + "\n"


def _line(note: Note) -> str:
    if not note.gate:
        return f"- {printable(note.text)}"
    return f"- {printable(f'{note.gate}: ')}{printable(note.text)}"

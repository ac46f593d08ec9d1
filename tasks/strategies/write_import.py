"""Write an imported strategy into a folder: strategy.yaml, its panel, and what became of every gate."""

from __future__ import annotations

from pathlib import Path

from gating.exchange.import_files import report, strategy_of, strategy_yaml
from gating.exchange.import_gates import Imported
from gating.strategy.catalogue import read_strategy
from panels.files.yaml_scalars import block
from panels.text.errors import StrategyFault


def write_import(imported: Imported, folder: Path, counts: str | None = None) -> list[Path]:
    """Write strategy.yaml, IMPORT.md and, when the document brings a matrix, panel.yaml under ``folder``; gives what was written.

    ``counts`` is the comparison with the recorded counts (IMPORT_COUNTS.csv), where there is one.

    Raises StrategyFault when there is such a strategy already, or nothing to write.
    """
    if not imported.document["gates"]:
        raise StrategyFault(
            f"{imported.document['title']}: no gate could be carried over. "
            f"{imported.lost[0].text if imported.lost else ''}"
        )
    strategy_of(imported)
    place = folder / imported.document["strategy"] / imported.document["version"]
    if place.exists():
        raise StrategyFault(f"{place} exists already. Choose another name, or take it away.")
    place.mkdir(parents=True)
    files = {"strategy.yaml": strategy_yaml(imported), "IMPORT.md": report(imported)}
    if imported.panel is not None:
        files["panel.yaml"] = block(imported.panel)
    if counts is not None:
        files["IMPORT_COUNTS.csv"] = counts
    for name, text in files.items():
        (place / name).write_text(text, encoding="utf-8")
    read_strategy(place / "strategy.yaml")
    return [place / name for name in files]

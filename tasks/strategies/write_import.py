"""Write an imported strategy into a folder, with its panel and a report on every gate."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gating.exchange.import_files import report, strategy_of, strategy_yaml
from gating.exchange.import_gates import Imported
from gating.strategy.catalogue import read_strategy
from panels.files.durable import write_durably
from panels.files.yaml_scalars import block
from panels.text.errors import StrategyFault

REFUSED = "refused"
"""The folder beside a strategy's versions for the evidence of an import that was refused."""


def write_import(
    imported: Imported,
    folder: Path,
    evidence: Mapping[str, str] | None = None,
    panels: Path | None = None,
) -> list[Path]:
    """Write strategy.yaml and IMPORT.md under ``folder``; gives what was written.

    ``evidence`` are files to write beside them, by name. When the document brings a matrix, its
    panel is written there too, and into the folder ``panels`` (of a study) unless it has one.

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
    files = {"strategy.yaml": strategy_yaml(imported), "IMPORT.md": report(imported)}
    written = {}
    if imported.panel is not None:
        files["panel.yaml"] = block(imported.panel)
        if panels is not None and not _panel_place(panels, imported).exists():
            written[_panel_place(panels, imported)] = files["panel.yaml"]
    files |= evidence or {}
    written |= {place / name: text for name, text in files.items()}
    for path, text in written.items():
        write_durably(path, text.encode())
    read_strategy(place / "strategy.yaml")
    return list(written)


def _panel_place(panels: Path, imported: Imported) -> Path:
    return panels / f"{imported.document['panel']}.yaml"


def write_refused(imported: Imported, folder: Path, evidence: Mapping[str, str]) -> list[Path]:
    """Write the evidence of an import that was refused, in place of that of an earlier one.

    It lies beside the versions of the strategy, so that a later import finds its place free.
    """
    place = folder / imported.document["strategy"] / REFUSED
    for name, text in evidence.items():
        write_durably(place / name, text.encode())
    return [place / name for name in evidence]

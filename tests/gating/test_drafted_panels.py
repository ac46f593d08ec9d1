"""Another program's gates count the same on real tubes under a panel that was only drafted."""

from pathlib import Path

import pytest

from gating.evaluation.compile import compile_strategy
from gating.evaluation.engine import Evaluation, evaluate
from gating.exchange.describe_files import describe_files
from gating.exchange.import_files import strategy_of
from gating.exchange.import_gates import import_gates
from gating.exchange.read_document import read_foreign
from gating.fcs.events import open_events
from gating.fcs.header import read_header
from panels.drafting.draft import draft_panel
from panels.drafting.place_draft import known_panels, write_draft
from panels.panel import Panel, match_panel
from tests.shared_data import SHARED, needs_shared

COUNTS = "cell-counts/CellCounts5L_AB_01-"
PAIRS = [
    ("b-cells-lyoplate/12828_1_Bcell_C01.fcs", "b-cells-lyoplate/12828_1_Bcell_C01.gatingml.xml"),
    *(
        (
            f"t-cells-activation/Activation_{n}.fcs",
            f"t-cells-activation/activation_0{n}.gatingml.xml",
        )
        for n in range(1, 5)
    ),
    *(
        (f"{COUNTS}{name}.fcs", f"{COUNTS}{name}.gatingml.xml")
        for name in ("INF041-04_02", "INF041-09_01", "INF041-09_02", "INF041-Cord", "ND006-01")
    ),
]


def evaluated(path: Path, panel: Panel, document: Path) -> tuple[dict[str, int], dict[str, int]]:
    """Count a document's gates on a tube as they are, and under a strategy on a panel."""
    header = read_header(path)
    foreign = read_foreign(document)
    imported = import_gates(
        foreign,
        panel,
        "mine",
        channels=header.channels,
        stores_spill=header.spill is not None,
    )
    assert imported.lost == ()
    strategy = strategy_of(imported)
    reads = panel if imported.panel is None else Panel.model_validate(imported.panel)
    compiled = compile_strategy(strategy, match_panel(reads, header.channels), header)
    under_strategy: Evaluation = evaluate(compiled.gating, open_events(header), header)
    as_they_are: Evaluation = evaluate(foreign.gating, open_events(header), header)
    ours = {path[-1]: under_strategy.count(path) for path in under_strategy.rows}
    theirs = {
        imported.name_of[path]: as_they_are.count(path)
        for path in as_they_are.rows
        if path in imported.name_of
    }
    return theirs, ours


@needs_shared
@pytest.mark.parametrize(("tube", "document"), PAIRS)
def test_every_gate_counts_the_same_under_a_drafted_panel(
    tube: str, document: str, tmp_path: Path
) -> None:
    files = [SHARED / tube, SHARED / document]
    shipped = known_panels(None)
    draft = draft_panel("mine", describe_files(files), shipped, shipped)
    _, panel = write_draft(draft, tmp_path, None)
    theirs, ours = evaluated(files[0], panel, files[1])
    assert len(theirs) >= 5
    # A strategy may need a gate more, for the rest of another.
    assert {name: ours[name] for name in theirs} == theirs

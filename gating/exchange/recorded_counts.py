"""Compare the counts a FlowJo workspace keeps with ours, on the tube they are of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gating.evaluation.compile import compile_strategy
from gating.evaluation.engine import evaluate
from gating.exchange.binning import recorded_ranges
from gating.exchange.foreign_document import Foreign, Path
from gating.exchange.import_files import strategy_of
from gating.exchange.import_gates import Imported
from gating.exchange.import_notes import Note
from gating.fcs.events import open_events
from panels.files.csv_cells import csv_text
from panels.panel import Panel, match_panel
from panels.text.errors import TubeFault

if TYPE_CHECKING:
    from gating.fcs.header import TubeHeader

Verdict = Literal[
    "same", "within the binning", "differs", "not counted by FlowJo", "not carried over"
]
COLUMNS = ("sample", "gate", "recorded", "counted", "difference", "percent", "verdict")
TOLERANCE = (
    "FlowJo decides who is in a polygon or ellipse by 256 parts of each axis (or as many as "
    "the gate's resolution says): its count may "
    "lie anywhere between ours without and ours with all events in the parts through which "
    "the gate's edge, or one above it, runs."
)
MOST_NAMED = 8
NOTABLE_PERCENT = 1.0


@dataclass(frozen=True, slots=True)
class Compared:
    """One gate's count as the workspace keeps it and as the imported strategy counts it; ``gate`` is empty for all events."""

    sample: str
    gate: str
    recorded: int
    counted: int | None
    verdict: Verdict

    @property
    def difference(self) -> int | None:
        """Give how many events more (or fewer) we count."""
        return None if self.counted is None else self.counted - self.recorded

    @property
    def percent(self) -> float | None:
        """Give the difference in percent of what is recorded."""
        return (
            None
            if self.difference is None or not self.recorded
            else 100 * self.difference / self.recorded
        )

    def document(self) -> dict[str, object]:
        """Give the row by its columns."""
        percent = None if self.percent is None else round(self.percent, 4)
        return dict(
            zip(
                COLUMNS,
                (
                    self.sample,
                    self.gate,
                    self.recorded,
                    self.counted,
                    self.difference,
                    percent,
                    self.verdict,
                ),
                strict=True,
            )
        )


def compare_counts(
    foreign: Foreign, imported: Imported, panel: Panel, header: TubeHeader
) -> tuple[list[Compared], list[Note]]:
    """Count the tube of a sample under the imported strategy and hold it against what the workspace recorded.

    Raises TubeFault when the tube lacks what the gates read.
    """
    events = open_events(header)
    counted, notes = _counts(foreign, imported, panel, header)
    ranges = recorded_ranges(foreign, events, header)
    empty = not any(foreign.recorded.values())
    found = []
    if foreign.events not in {None, header.event_count}:
        found.append(
            Compared(foreign.sample, "", foreign.events or 0, header.event_count, "differs")
        )
    for path, recorded in foreign.recorded.items():
        ours = counted.get(path)
        verdict: Verdict = "differs"
        if ours is None:
            verdict = "not carried over"
        elif ours == recorded:
            verdict = "same"
        elif empty:
            verdict = "not counted by FlowJo"
        elif ranges[path].least <= recorded <= ranges[path].most:
            verdict = "within the binning"
        found.append(Compared(foreign.sample, "/".join(path[1:]), recorded, ours, verdict))
    if any(each.verdict == "not counted by FlowJo" for each in found):
        text = (
            "The workspace records no event in any gate of this sample: FlowJo had not counted it "
            "when it was saved."
        )
        notes.append(
            Note(
                "to do",
                "",
                (
                    f"{text} Its counts were not compared; open it in FlowJo, save it and import "
                    f"it again."
                ),
            )
        )
    return found, [*notes, *_notable(found)]


def _notable(found: Sequence[Compared]) -> Iterator[Note]:
    """Name the gates whose count is within what the binning can do, and yet not near."""
    for each in found:
        if each.verdict == "within the binning" and abs(each.percent or 100.0) > NOTABLE_PERCENT:
            text = (
                f"FlowJo recorded {each.recorded:,} and we count {each.counted:,}: its binning "
                f"can do that,"
            )
            yield Note(
                "to do",
                each.gate,
                f"{text} but many events lie on the edge. Look where the gate should end.",
            )


def _counts(
    foreign: Foreign, imported: Imported, panel: Panel, header: TubeHeader
) -> tuple[Mapping[Path, int], list[Note]]:
    """Count under the strategy as a study would; a tube that does not fit the panel is counted under the workspace's own gates."""
    events = open_events(header)
    strategy = strategy_of(imported)
    reads = panel if imported.panel is None else Panel.model_validate(imported.panel)
    if imported.panel is None and header.spill is None and header.spill_fault is None:
        # No gate of such a strategy reads a compensated channel, or it would have brought a matrix.
        reads = reads.model_copy(update={"compensated": False})
    try:
        compiled = compile_strategy(strategy, match_panel(reads, header.channels), header)
        kept = evaluate(compiled.gating, events, header)
        return {
            path: kept.count(compiled.path_of[name]) for path, name in imported.name_of.items()
        }, []
    except TubeFault as fault:
        kept = evaluate(foreign.gating, events, header)
        text = (
            f"Counted under the workspace's gates, because the tube does not fit the panel "
            f"{reads.panel}: {fault}"
        )
        return {path: kept.count(path) for path in imported.name_of if path in kept.rows}, [
            Note("to do", "", text)
        ]


def refusal(compared: Sequence[Compared], document: str) -> str | None:
    """Say which counts differ beyond FlowJo's binning; None when none does."""
    differing = [each for each in compared if each.verdict == "differs"]
    if not differing:
        return None
    told = "; ".join(_told(each) for each in differing[:MOST_NAMED])
    more = f" and {len(differing) - MOST_NAMED} more" if len(differing) > MOST_NAMED else ""
    return (
        f"{document}: the imported gates do not count as the workspace recorded: "
        f"{told}{more}. {TOLERANCE} "
        "Is it the tube the gates were drawn on? To import all the same, say --accept."
    )


def _told(each: Compared) -> str:
    if not each.gate:
        return f"{each.sample} has {each.recorded:,} events, the tube {each.counted:,}"
    return f"{each.sample}, {each.gate}: recorded {each.recorded:,}, counted {each.counted:,}"


def counts_csv(compared: Sequence[Compared]) -> str:
    """Write the comparison as CSV, one row a gate in the workspace's order."""
    return csv_text(COLUMNS, [tuple(each.document().values()) for each in compared])

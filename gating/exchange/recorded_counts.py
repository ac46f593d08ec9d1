"""Compare the counts that a FlowJo workspace keeps of a tube with ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gating.evaluation.compile import compile_strategy
from gating.evaluation.engine import evaluate
from gating.exchange.binning import Range, recorded_ranges
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
    "same",
    "within the binning",
    "differs",
    "own gate in this sample",
    "not in this sample",
    "not counted by FlowJo",
    "not carried over",
    "not counted",
    "no FCS file",
    "another FCS file",
    "unreadable FCS file",
    "sample left out",
]
COLUMNS = ("sample", "gate", "recorded", "counted", "difference", "percent", "verdict")
TOLERANCE = (
    "FlowJo decides who is in a polygon or ellipse by 256 parts of each axis (or as many as "
    "the gate's resolution says): its count may "
    "lie anywhere between ours without and ours with all events in the parts through which "
    "the gate's edge, or one above it, runs."
)
NOT_COUNTED = (
    "The workspace records no event in any gate of this sample: FlowJo had not counted it "
    "when it was saved. Its counts were not compared; open it in FlowJo, save it and import "
    "it again."
)
MOST_NAMED = 8
NOTABLE_PERCENT = 1.0


@dataclass(frozen=True, slots=True)
class Compared:
    """One gate's count as the workspace keeps it and as the imported strategy counts it.

    ``gate`` is empty for all events.
    """

    sample: str
    gate: str
    recorded: int | None
    counted: int | None
    verdict: Verdict

    @property
    def difference(self) -> int | None:
        """Give how many events more (or fewer) we count."""
        if self.counted is None or self.recorded is None:
            return None
        return self.counted - self.recorded

    @property
    def percent(self) -> float | None:
        """Give the difference in percent of what is recorded."""
        if self.difference is None or not self.recorded:
            return None
        return 100 * self.difference / self.recorded

    def document(self) -> dict[str, object]:
        """Give the row by its columns."""
        percent = None if self.percent is None else round(self.percent, 4)
        return {
            "sample": self.sample,
            "gate": self.gate,
            "recorded": self.recorded,
            "counted": self.counted,
            "difference": self.difference,
            "percent": percent,
            "verdict": self.verdict,
        }


def compare_counts(
    foreign: Foreign, imported: Imported, panel: Panel, header: TubeHeader
) -> tuple[list[Compared], list[Note]]:
    """Count the tube of a sample under the imported strategy and compare it with the workspace.

    Raises TubeFault when the tube lacks what the gates read.
    """
    events = open_events(header)
    counted, notes = counts_under(foreign, imported, panel, header)
    ranges = recorded_ranges(foreign, events, header)
    compared = []
    if foreign.events not in {None, header.event_count}:
        compared.append(
            Compared(foreign.sample, "", foreign.events or 0, header.event_count, "differs")
        )
    was_counted = any(foreign.recorded.values())
    for path, recorded in foreign.recorded.items():
        ours = counted.get(path)
        verdict = verdict_on(recorded, ours, ranges.get(path), was_counted=was_counted)
        compared.append(Compared(foreign.sample, "/".join(path[1:]), recorded, ours, verdict))
    if any(each.verdict == "not counted by FlowJo" for each in compared):
        notes.append(Note("to do", "", NOT_COUNTED))
    return compared, [*notes, *notable(compared)]


def verdict_on(
    recorded: int | None, ours: int | None, possible: Range | None, *, was_counted: bool
) -> Verdict:
    """Compare two counts; ``possible`` are those that FlowJo's binning can give."""
    if ours is None or recorded is None:
        return "not carried over"
    if ours == recorded:
        return "same"
    if not was_counted:
        return "not counted by FlowJo"
    if possible is not None and possible.least <= recorded <= possible.most:
        return "within the binning"
    return "differs"


def notable(compared: Sequence[Compared]) -> Iterator[Note]:
    """Name the gates whose counts the binning can explain although they lie far apart."""
    for each in compared:
        if each.verdict == "within the binning" and abs(each.percent or 100.0) > NOTABLE_PERCENT:
            text = (
                f"FlowJo recorded {each.recorded:,} and we count {each.counted:,}: its binning "
                f"can do that, but many events lie on the edge. Look where the gate should end."
            )
            yield Note("to do", each.gate, text)


def counts_under(
    foreign: Foreign, imported: Imported, panel: Panel, header: TubeHeader
) -> tuple[Mapping[Path, int], list[Note]]:
    """Count under the strategy as a study would.

    A tube that does not fit the panel is counted under the gates of the workspace.
    """
    events = open_events(header)
    strategy = strategy_of(imported)
    if imported.panel is not None:
        panel = Panel.model_validate(imported.panel)
    elif header.spill is None and header.spill_fault is None:
        # No gate of such a strategy reads a compensated channel, or it would have brought a matrix.
        panel = panel.model_copy(update={"compensated": False})
    try:
        compiled = compile_strategy(strategy, match_panel(panel, header.channels), header)
        kept = evaluate(compiled.gating, events, header)
    except TubeFault as fault:
        kept = evaluate(foreign.gating, events, header)
        text = (
            f"Counted under the workspace's gates, because the tube does not fit the panel "
            f"{panel.panel}: {fault}"
        )
        counts = {path: kept.count(path) for path in imported.name_of if path in kept.rows}
        return counts, [Note("to do", "", text)]
    path_of = compiled.path_of
    return {path: kept.count(path_of[name]) for path, name in imported.name_of.items()}, []


def refusal(compared: Sequence[Compared], document: str) -> str | None:
    """Say which counts differ beyond FlowJo's binning; None when none does."""
    differing = [each for each in compared if each.verdict == "differs"]
    if not differing:
        return None
    named = "; ".join(_described(each) for each in differing[:MOST_NAMED])
    more = f" and {len(differing) - MOST_NAMED} more" if len(differing) > MOST_NAMED else ""
    return (
        f"{document}: the imported gates do not count as the workspace recorded: "
        f"{named}{more}. {TOLERANCE} "
        "Is it the tube the gates were drawn on? To import all the same, say --accept."
    )


def _described(each: Compared) -> str:
    recorded, counted = shown_count(each.recorded), shown_count(each.counted)
    if not each.gate:
        return f"{each.sample} has {recorded} events, the tube {counted}"
    return f"{each.sample}, {each.gate}: recorded {recorded}, counted {counted}"


def shown_count(count: int | None) -> str:
    """Write a count for a sentence; 'nothing' where there is none."""
    return "nothing" if count is None else f"{count:,}"


def counts_csv(compared: Sequence[Compared]) -> str:
    """Write the comparison as CSV, one row a gate in the workspace's order."""
    return csv_text(COLUMNS, [tuple(each.document().values()) for each in compared])

"""Adopt a whole FlowJo workspace: its common gates as a strategy, the rest as listed deviations.

Every gate of every sample is counted under the strategy and compared with what FlowJo recorded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import TYPE_CHECKING

from gating.evaluation.engine import evaluate
from gating.exchange.adoption_notes import notes_on_deviations, notes_on_samples
from gating.exchange.binning import recorded_ranges
from gating.exchange.common_gates import CommonGates, common_gates
from gating.exchange.deviations import Deviation, SampleCounts, deviates, deviations_of
from gating.exchange.flowjo_workspace import flowjo_version, read_element
from gating.exchange.foreign_document import Foreign, Path
from gating.exchange.import_gates import NO_THRESHOLDS, Imported, import_gates
from gating.exchange.import_notes import Note
from gating.exchange.recorded_counts import (
    Compared,
    Verdict,
    counts_under,
    notable,
    refusal,
    verdict_on,
)
from gating.exchange.safe_xml import read_xml
from gating.exchange.sample_tube import tubes_in
from gating.exchange.workspace_samples import WorkspaceSample, samples_of
from gating.fcs.events import open_events
from panels.panel import Panel
from panels.text.errors import StrategyFault, TubeFault, UsageFault

if TYPE_CHECKING:
    from lxml import etree


@dataclass(frozen=True, slots=True)
class Adoption:
    """A workspace as a strategy: what was adopted, how it counts, and what samples have otherwise.

    ``fault`` says which counts differ beyond FlowJo's binning (None: none does).
    """

    source: str
    group: str
    imported: Imported
    compared: tuple[Compared, ...]
    deviations: tuple[Deviation, ...]
    members: tuple[str, ...]
    left_out: Mapping[str, str]
    fault: str | None


@dataclass(frozen=True, slots=True)
class _SampleResult:
    compared: list[Compared]
    deviations: list[Deviation]
    notes: list[Note]


def adopt_workspace(
    document: FilePath,
    panel: Panel,
    name: str,
    *,
    tubes: FilePath | None = None,
    group: str | None = None,
) -> Adoption:
    """Make a strategy called ``name`` of the gates that the samples of a workspace share.

    ``tubes`` is the folder with the samples' FCS files (with those in it); when not named they are
    searched for beside the workspace. ``group`` is the FlowJo group to adopt. Raises UsageFault and
    StrategyFault as ``common_gates`` does, and when the document is no FlowJo 10 workspace.
    """
    root = _workspace(document, tubes)
    files = tubes_in(tubes or document.parent, deep=tubes is not None)
    samples = samples_of(document, root, files)
    common = common_gates(document, root, samples, panel, group)
    adopted = _adopted(document, root, common, panel, name)
    if not adopted.document["gates"]:
        raise StrategyFault(_nothing_carried(document, adopted))
    results = [
        _sample(document, root, sample, common, adopted, panel, name) for sample in common.members
    ]
    compared = [row for each in results for row in each.compared]
    compared += [row for sample in samples for row in _left_out(sample, common.left_out)]
    deviations = [each for result in results for each in result.deviations]
    notes = [
        *common.notes,
        *notes_on_samples(common.members),
        *(note for result in results for note in result.notes),
        *notes_on_deviations(deviations),
    ]
    return Adoption(
        source=adopted.document["title"].removeprefix("Imported from "),
        group=common.group,
        imported=replace(adopted, notes=(*adopted.notes, *notes)),
        compared=tuple(compared),
        deviations=tuple(deviations),
        members=tuple(each.label for each in common.members),
        left_out=common.left_out,
        fault=refusal(compared, document.name),
    )


def _workspace(document: FilePath, tubes: FilePath | None) -> etree._Element:
    from lxml import etree

    root = read_xml(document)
    if etree.QName(root).localname != "Workspace":
        raise UsageFault(
            f"{document}: is not a FlowJo workspace, so it has no samples. Leave --all-samples out."
        )
    if tubes is not None and not tubes.is_dir():
        raise UsageFault(
            f"{tubes}: is no folder. With --all-samples, --fcs is the folder with the "
            f"samples' files."
        )
    flowjo_version(document, root)
    return root


def _adopted(
    document: FilePath, root: etree._Element, common: CommonGates, panel: Panel, name: str
) -> Imported:
    """Carry the common gates over, on the axes of the template sample."""
    foreign = read_element(document, root, common.element(), common.template.header)
    of = f"group {common.group}" if common.group else "the gates most samples have"
    version = flowjo_version(document, root)
    foreign = replace(foreign, source=f"{document.name}, {of} (FlowJo {version})")
    return _imported(foreign, panel, name, common.template)


def _nothing_carried(document: FilePath, adopted: Imported) -> str:
    """Say why no gate was carried over, and what would cure it."""
    first = next((note for note in adopted.lost if note.gate), None)
    why = "" if first is None else f" {first.gate}: {first.text}"
    to_do = [note.text for note in adopted.notes if note.outcome == "to do"]
    cures = " ".join(text for text in to_do if text != NO_THRESHOLDS)
    return f"{document}: no gate could be carried over.{why} {cures}".strip()


def _imported(foreign: Foreign, panel: Panel, name: str, sample: WorkspaceSample) -> Imported:
    header = sample.header
    if header is None:
        return import_gates(foreign, panel, name)
    stores_spill = header.spill is not None
    return import_gates(foreign, panel, name, channels=header.channels, stores_spill=stores_spill)


def _sample(  # noqa: PLR0913, PLR0917 - one sample, and all it is held against
    document: FilePath,
    root: etree._Element,
    sample: WorkspaceSample,
    common: CommonGates,
    adopted: Imported,
    panel: Panel,
    name: str,
) -> _SampleResult:
    """Count one sample and list what it has otherwise."""
    foreign = read_element(document, root, sample.element, sample.header)
    own = _imported(foreign, panel, name, sample) if deviates(sample, common) else adopted
    paths = list(dict.fromkeys([*foreign.recorded, *sample.gates, *common.gates]))
    counts = SampleCounts(foreign.recorded, {}, {})
    verdicts: dict[Path, Verdict] = dict.fromkeys(paths, _UNCOUNTED[sample.state])
    notes: list[Note] = []
    if sample.state == "at hand":
        try:
            counts, verdicts, notes = _counted(
                foreign, sample, adopted, panel, paths, alike=own is adopted
            )
        except TubeFault as fault:
            text = f"{sample.label}: its counts were not compared: {fault}"
            verdicts = dict.fromkeys(paths, "not counted")
            notes = [Note("to do", "", text)]
    compared = [
        Compared(
            sample.label,
            "/".join(path[1:]),
            counts.recorded.get(path),
            counts.strategy.get(path),
            verdicts[path],
        )
        for path in paths
    ]
    every = _all_events(sample)
    found = []
    if own is not adopted:
        found = deviations_of(sample, own, common, adopted, counts)
    return _SampleResult([*every, *compared], found, [*notes, *notable(compared)])


_UNCOUNTED: Mapping[str, Verdict] = {
    "at hand": "same",
    "no FCS file": "no FCS file",
    "another FCS file": "another FCS file",
    "unreadable FCS file": "unreadable FCS file",
}


def _all_events(sample: WorkspaceSample) -> Iterator[Compared]:
    """Compare the number of events of a file that is not the one the workspace was made of."""
    if sample.state == "another FCS file" and sample.header is not None:
        count = sample.header.event_count
        yield Compared(sample.label, "", sample.events, count, "differs")


def _counted(
    foreign: Foreign,
    sample: WorkspaceSample,
    adopted: Imported,
    panel: Panel,
    paths: Sequence[Path],
    *,
    alike: bool,
) -> tuple[SampleCounts, dict[Path, Verdict], list[Note]]:
    """Count a sample under the strategy and, where its gates are not ``alike``, under its own."""
    header = sample.header
    if header is None:
        raise ValueError(sample.label)
    events = open_events(header)
    strategy, notes = counts_under(foreign, adopted, panel, header)
    ranges = recorded_ranges(foreign, events, header)
    own: Mapping[Path, int] = strategy
    if not alike:
        kept = evaluate(foreign.gating, events, header)
        own = {path: kept.count(path) for path in foreign.recorded if path in kept.rows}
    counts = SampleCounts(foreign.recorded, own, strategy)
    was_counted = any(foreign.recorded.values())
    verdicts = {}
    for path in paths:
        verdict = verdict_on(
            counts.recorded.get(path), own.get(path), ranges.get(path), was_counted=was_counted
        )
        verdicts[path] = _against_strategy(path, counts, verdict, adopted)
        if path in sample.gates and path not in counts.recorded:
            verdicts[path] = "not counted by FlowJo"
    return counts, verdicts, notes


def _against_strategy(
    path: Path, counts: SampleCounts, own_verdict: Verdict, adopted: Imported
) -> Verdict:
    """Judge the strategy's count of a gate; ``own_verdict`` is on the sample's own gates."""
    if path not in counts.recorded:
        return "not in this sample"
    if path not in adopted.name_of:
        return "not carried over"
    if counts.strategy.get(path) == counts.recorded[path]:
        return "same"
    if counts.own.get(path) == counts.strategy.get(path) or own_verdict == "differs":
        return own_verdict
    return "own gate in this sample"


def _left_out(sample: WorkspaceSample, left_out: Mapping[str, str]) -> Iterator[Compared]:
    if sample.label in left_out:
        yield Compared(sample.label, "", sample.events, None, "sample left out")

"""Draft a panel from what a laboratory's files say of their channels."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from panels.drafting.compensated import Compensated, settle_compensation
from panels.drafting.counting import DraftCounting, settle_counting
from panels.drafting.described import Described, DescribedGates
from panels.drafting.instrument_markers import (
    InstrumentMarkers,
    by_instrument,
    joined_synonyms,
)
from panels.drafting.left_out import Section, left_out
from panels.drafting.marker_names import KnownMarkers, Reading
from panels.drafting.tube_readings import TubeReadings, read_tube
from panels.panel import Panel, plain
from panels.text.errors import PanelFault, UsageFault
from panels.text.printable import shown
from panels.text.quoting import as_label

PLAIN_NAME = re.compile(r"[\w-]+")


@dataclass(frozen=True, slots=True)
class DraftStain:
    """A marker of the draft, and in words how it was read."""

    marker: str
    detector: str
    synonyms: tuple[str, ...]
    required: bool
    remark: str


@dataclass(frozen=True, slots=True)
class PanelDraft:
    """A drafted panel: what it says, why, and what a person has to decide.

    ``instruments`` maps each further instrument to the detectors that differ. ``notes`` are
    sentences for whoever drafts; ``sections`` what the files have and the panel does not.
    """

    name: str
    instrument: str
    counting: DraftCounting
    compensated: Compensated
    scatter: dict[str, str]
    stains: tuple[DraftStain, ...]
    instruments: dict[str, dict[str, str]]
    sections: tuple[Section, ...]
    tubes: int
    notes: tuple[str, ...] = ()


def draft_panel(
    name: str, described: Described, known: Sequence[Panel], shipped: Sequence[Panel]
) -> PanelDraft:
    """Draft the panel ``name``.

    ``known`` panels lend their markers and synonyms, ``shipped`` ones their way of counting.

    Raises UsageFault for a name that no file could have, PanelFault when the files contradict each
    other, hold raw spectral signals, or have no channel that could read a marker.
    """
    if not PLAIN_NAME.fullmatch(name):
        raise UsageFault(f"'{shown(name)}' cannot name a panel: use letters, digits, '-' and '_'.")
    markers = KnownMarkers(stain for panel in known for stain in panel.markers)
    tubes = [read_tube(tube, markers) for tube in described.tubes]
    _refuse_raw(tubes, described.gates)
    named = _with_unnamed(tubes, described.gates)
    instruments = by_instrument(named)
    stains = _stains(instruments)
    if not stains:
        raise PanelFault(
            f"{shown(tubes[0].tube.source)} has no fluorescence channel for a marker, so there "
            f"is no panel to draft."
        )
    scatter = _common_scatter(named)
    compensated = settle_compensation(described.tubes, described.gates)
    counting = settle_counting(named, [stain.marker for stain in stains], shipped)
    draft = PanelDraft(
        name=name,
        instrument=instruments[0].name,
        counting=counting,
        compensated=compensated,
        scatter=scatter,
        stains=stains,
        instruments=_aliases(instruments),
        sections=left_out(named, scatter, [each.detector for each in stains], described.gates),
        tubes=len(tubes),
    )
    return _with_notes(draft, described, instruments)


def _refuse_raw(tubes: Sequence[TubeReadings], gates: Sequence[DescribedGates]) -> None:
    """Refuse raw spectral signals, unless gates tell which detectors are read as they are."""
    raw = next((each for each in tubes if each.tube.raw), None)
    if raw is not None and not gates:
        raise PanelFault(
            f"{shown(raw.tube.source)} holds the raw signals of a spectral cytometer: no detector "
            f"reads one dye alone, so there are no markers. Unmix it and draft from the unmixed "
            f"file. If your gates are drawn on raw detectors, name their Gating-ML document or "
            f"FlowJo workspace too: those detectors become markers."
        )


def _with_unnamed(
    tubes: Sequence[TubeReadings], gates: Sequence[DescribedGates]
) -> list[TubeReadings]:
    """Take unnamed channels for markers where gates read them, or where nothing has a name."""
    used = {plain(name) for each in gates for name in (*each.channels, *each.mixed)}
    if not any(each.markers or each.tube.raw for each in tubes):
        return [each.with_unnamed() for each in tubes]
    return [each.with_unnamed(used) for each in tubes]


def _stains(instruments: Sequence[InstrumentMarkers]) -> tuple[DraftStain, ...]:
    """List the markers of all instruments, those of the first before others."""
    keys = dict.fromkeys(key for each in instruments for key in each.markers)
    stains = []
    for key in keys:
        readings = [each.markers[key] for each in instruments if key in each.markers]
        everywhere = all(each.is_in_every_tube(key) for each in instruments)
        stains.append(_stain(readings, required=everywhere))
    return tuple(stains)


def _stain(readings: Sequence[Reading], *, required: bool) -> DraftStain:
    first = readings[0]
    remark = first.remark
    if not required:
        missing = "not in every file: may it be missing?"
        remark = f"{remark}; {missing}" if remark else missing
    return DraftStain(first.marker, first.detector, joined_synonyms(*readings), required, remark)


def _common_scatter(tubes: Sequence[TubeReadings]) -> dict[str, str]:
    """Keep the scatter channels that every tube has under one name."""
    first, *others = tubes
    return {
        name: detector
        for name, detector in sorted(first.scatter.items())
        if all(plain(other.scatter.get(name, "")) == plain(detector) for other in others)
    }


def _aliases(instruments: Sequence[InstrumentMarkers]) -> dict[str, dict[str, str]]:
    """Give for each instrument but the first the detectors that differ from the panel's own."""
    own = {key: reading for each in reversed(instruments) for key, reading in each.markers.items()}
    own |= instruments[0].markers
    return {
        each.name: {
            own[key].marker: reading.detector
            for key, reading in each.markers.items()
            if plain(reading.detector) != plain(own[key].detector)
        }
        for each in instruments[1:]
    }


def _with_notes(
    draft: PanelDraft, described: Described, instruments: Sequence[InstrumentMarkers]
) -> PanelDraft:
    """Add the sentences for whoever drafts: what to decide, and how the files differ."""
    decide = (draft.compensated.to_decide, draft.counting.to_decide)
    notes = [sentence for sentence in decide if sentence]
    uncertain = [
        as_label(reading.marker)
        for reading in instruments[0].markers.values()
        if not reading.certain
    ]
    if uncertain:
        notes.append(
            f"markers: no label says what these stain, so they are called by their dyes or "
            f"detectors: {', '.join(uncertain)}. Write the markers' names."
        )
    optional = [as_label(each.marker) for each in draft.stains if not each.required]
    if optional:
        notes.append(
            f"markers: `required: false` lets a tube without them pass, because not every file has "
            f"them: {', '.join(optional)}."
        )
    notes += [_difference(draft.instrument, *each) for each in draft.instruments.items()]
    absent = [name for name in ("FSC-A", "SSC-A") if name not in draft.scatter]
    if absent:
        notes.append(
            f"scatter: not every file has {' and '.join(absent)} under one name. A strategy that "
            f"gates on it cannot count these tubes."
        )
    return replace(draft, notes=(*notes, *described.notes))


def _difference(first: str, name: str, aliases: dict[str, str]) -> str:
    if not aliases:
        return f"instruments: {name} has the detectors of {first}."
    listed = ", ".join(f"{as_label(m)} {as_label(d)}" for m, d in aliases.items())
    return f"instruments: {name} differs from {first}: {listed}."

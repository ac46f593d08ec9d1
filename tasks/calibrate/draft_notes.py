"""Say what a person has to know before relying on a draft."""

from __future__ import annotations

from collections.abc import Iterator

from gating.strategy.catalogue import known, load_strategy
from gating.strategy.model import Strategy
from panels.text.plural import counted
from tasks.calibrate.instrument_calibration import Measured
from tasks.calibrate.landmark_estimates import CELLS
from tasks.calibrate.observation import Observation
from tasks.calibrate.tube_choice import ChosenTubes

FEW_TUBES, ENOUGH_TUBES = 5, 20


def draft_notes(measured: Measured, chosen: ChosenTubes) -> tuple[str, ...]:
    """List what is wrong or missing in a draft as sentences without their full stop."""
    return (
        *_on_tubes(measured, chosen),
        *_on_landmarks(measured),
        *_on_thresholds(measured),
        *_on_names(chosen),
        *_on_beads(measured),
    )


def silent_tubes(measured: Measured) -> tuple[str, ...]:
    """Name the tubes that tell nothing by themselves: no gate that is measured has 100 cells."""
    return tuple(
        tube.name
        for tube, seen in zip(measured.tubes, measured.final, strict=True)
        if not _tells(seen)
    )


def telling_tubes(measured: Measured) -> int:
    """Count the tubes that tell anything."""
    return len(measured.tubes) - len(silent_tubes(measured))


def _tells(seen: Observation) -> bool:
    landmarks = any(len(cells) >= CELLS for cells in seen.landmarks.values())
    return landmarks or any(counts.sum() >= CELLS for counts in seen.histograms.values())


def _on_tubes(measured: Measured, chosen: ChosenTubes) -> Iterator[str]:
    telling = telling_tubes(measured)
    if telling < FEW_TUBES:
        yield (
            f"it rests on {counted(telling, 'tube')}: at least {FEW_TUBES} are needed, better "
            f"{ENOUGH_TUBES}"
        )
    for name in silent_tubes(measured):
        yield f"{name} tells nothing: no gate that is measured has {CELLS} cells in it"
    yield from chosen.left_out
    unknown = sum(tube.role == "other" for tube in measured.tubes)
    borders = _borders_without_positive_cells(measured.drawn)
    if unknown and borders:
        are = "is" if unknown == 1 else "are"
        yield (
            f"{unknown} of {counted(len(measured.tubes), 'tube')} {are} not known to be from "
            f"before the infusion: {', '.join(borders)} were not held to their negative cells"
        )


def _borders_without_positive_cells(strategy: Strategy) -> list[str]:
    """Name the thresholds whose negative and positive cells are of one gate (CAR)."""
    return [
        name
        for name, each in strategy.thresholds.items()
        if each.negative is not None and each.negative.gate == each.seen_in
    ]


def _on_landmarks(measured: Measured) -> Iterator[str]:
    drawn, alignment = measured.drawn, measured.alignment
    if not drawn.landmarks:
        yield (
            f"{drawn.name} has no landmarks, so scatter gates stay where they are drawn: "
            f"{_with_landmarks(drawn)}"
        )
    if not alignment.settled:
        yield (
            f"the landmarks still moved after {counted(alignment.rounds, 'round')}: look at every "
            f"picture"
        )
    axes: dict[tuple[str, str], list[str]] = {}
    for (name, axis), found in alignment.landmarks.items():
        if found.value is None:
            axes.setdefault((name, found.fault), []).append(axis)
    for (name, fault), those in axes.items():
        yield f"the landmark {name} was not found on {', '.join(those)} ({fault})"


def _with_landmarks(strategy: Strategy) -> str:
    """Say which shipped strategy of the same panel has landmarks."""
    shipped = [load_strategy(pin).strategy for pin in known()]
    having = [each.name for each in shipped if each.panel == strategy.panel and each.landmarks]
    if not having:
        return "add 'landmarks' to a new version of it"
    return f"use a strategy that has ({having[-1]})"


def _on_thresholds(measured: Measured) -> Iterator[str]:
    for name, reason in measured.calibration.unmeasured.items():
        yield f"{name} was not measured ({reason})"
    for each in measured.proposals:
        if each.doubt:
            yield f"{each.threshold}: {each.doubt}"


def _on_names(chosen: ChosenTubes) -> Iterator[str]:
    for name in chosen.known_as:
        yield f"the sample sheet calls this instrument {name}: its tubes are meant (known_as)"
    if not chosen.cytometers:
        yield (
            "the files do not say which cytometer acquired them ($CYT): before the release write "
            "its name under 'cytometers' in calibration.yaml"
        )


def _on_beads(measured: Measured) -> Iterator[str]:
    drawn = measured.drawn
    if drawn.bead_cluster is not None and not measured.calibration.beads:
        yield f"no tube shows the cluster of the gate {drawn.beads}: beads were not measured"

"""Find the tubes that show a compartment, and read their events, or what was kept of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from panels.files.lock import canonical_sha256
from panels.text.errors import ReconflowError
from tasks.explore.arrays_file import NotArrays, read_arrays, write_arrays
from tasks.explore.compartments import SPECIMEN, Compartment
from tasks.explore.map_files import maps_folder
from tasks.explore.reference import RULE
from tasks.explore.tube_events import PER_TUBE, Anchor, TubeEvents, compartment_events, sampled
from tasks.store.counts import gatings_in_use
from tasks.store.exclusions import excluded_tubes
from tasks.store.gatings import TubeGating
from tasks.store.tubes import Tube, taken_in
from tasks.tubes.gate_tube import gate_tube
from tasks.tubes.reference_tubes import ReferenceIndex, reference_index, reference_sets

if TYPE_CHECKING:
    from tasks.study.snapshot import StudySnapshot


@dataclass(frozen=True, slots=True)
class CountedTube:
    """A tube that shows a compartment; ``counted_as`` stands for everything that counted it."""

    tube: Tube
    gating: TubeGating
    counted_as: str


@dataclass(slots=True)
class ReadTubes:
    """The sampled events of tubes; ``unread``: patient and sentence of those not to be read.

    ``opened`` counts the files that were read because nothing of them was kept by an earlier run.
    """

    tubes: list[tuple[CountedTube, TubeEvents]] = field(default_factory=list)
    unread: list[tuple[str, str]] = field(default_factory=list)
    opened: int = 0


def tubes_of(
    snapshot: StudySnapshot, compartment: Compartment
) -> tuple[list[CountedTube], list[str]]:
    """List the tubes that show a compartment, and say which tubes of its panel do not.

    They are ordered by patient and time of collection.
    """
    with snapshot.study.store() as store:
        known = [t for t in taken_in(store) if t.identity.panel == compartment.panel]
        excluded = excluded_tubes(store)
        in_use = gatings_in_use(
            store,
            {compartment.panel: compartment.used.name},
            known=known,
            panels=snapshot.panel_contents(),
            calibrations=snapshot.calibrations(known),
            reference_sets=reference_sets(snapshot, store),
        )
    gating_of = {identity.tube_sha256: gating for identity, gating in in_use}
    shown = [
        tube
        for tube in known
        if tube.identity.tube_sha256 not in excluded
        and tube.identity.specimen == SPECIMEN
        and not tube.identity.control
    ]
    listed = [
        CountedTube(tube, gating, gating.counted_as)
        for tube in shown
        for gating in [gating_of.get(tube.identity.tube_sha256)]
        if gating is not None
    ]
    numbers = {
        "excluded by a person": sum(t.identity.tube_sha256 in excluded for t in known),
        "controls": sum(bool(t.identity.control) for t in known),
        "not of blood": sum(t.identity.specimen != SPECIMEN for t in known),
        "not counted": len(shown) - len(listed),
    }
    said = ", ".join(f"{number} {why}" for why, number in numbers.items() if number)
    return listed, [
        f"Tubes of {compartment.panel} of all patients left out: {said}."
    ] if said else []


def read_tubes(
    snapshot: StudySnapshot, compartment: Compartment, tubes: Sequence[CountedTube]
) -> ReadTubes:
    """Give the sampled events of tubes: those kept by an earlier run, else from their files.

    A tube that cannot be read is left out with a sentence.
    """
    done = ReadTubes()
    references: ReferenceIndex | None = None
    for each in tubes:
        path = _kept_at(snapshot, compartment, each)
        kept = _kept(path, _key(compartment, each))
        if kept is None:
            if references is None:
                with snapshot.study.store() as store:
                    references = reference_index(snapshot, store)
            try:
                kept = _read(snapshot, compartment, each, references)
            except (ReconflowError, OSError) as fault:
                done.unread.append((each.tube.identity.patient, _sentence(each, fault)))
                continue
            _keep(path, _key(compartment, each), kept)
            done.opened += 1
        done.tubes.append((each, kept))
    return done


def _read(
    snapshot: StudySnapshot, compartment: Compartment, each: CountedTube, references: ReferenceIndex
) -> TubeEvents:
    gated = gate_tube(snapshot.study, each.tube, compartment.used, references)
    return sampled(compartment_events(gated, compartment))


def _sentence(each: CountedTube, fault: Exception) -> str:
    identity = each.tube.identity
    said = str(fault)
    if isinstance(fault, OSError):
        said = f"its file cannot be read ({fault.strerror or fault})."
    named = f"{identity.patient} {identity.visit}, {identity.tube_sha256[:12]}"
    return f"{named} is left out: {said}"


def _kept_at(snapshot: StudySnapshot, compartment: Compartment, each: CountedTube) -> Path:
    folder = maps_folder(snapshot.study, compartment.id) / "tubes"
    return folder / f"{each.tube.identity.tube_sha256[:12]}.npz"


def _key(compartment: Compartment, each: CountedTube) -> str:
    """Hash what the sampled events of a tube follow from."""
    said = [each.counted_as, compartment.gate, list(compartment.shown), PER_TUBE, RULE]
    return canonical_sha256(said)


def _keep(path: Path, key: str, events: TubeEvents) -> None:
    head = {
        "key": key,
        "tube_sha256": events.tube_sha256,
        "markers": events.markers,
        "events": events.events,
        "sets": events.sets,
        "anchors": [[a.gate, a.marker, a.events, a.median, a.sd] for a in events.anchors],
    }
    arrays = {name: getattr(events, name) for name in ("rows", "values", "codes", "weights")}
    write_arrays(path, head, arrays)


def _kept(path: Path, key: str) -> TubeEvents | None:
    """Read what was kept of a tube; None where that is nothing, or of a tube counted otherwise."""
    try:
        _, head, arrays = read_arrays(path)
    except (FileNotFoundError, NotArrays):
        return None
    if head.get("key") != key:
        return None
    return TubeEvents(
        tube_sha256=head["tube_sha256"],
        markers=tuple(head["markers"]),
        events=head["events"],
        sets=tuple(map(tuple, head["sets"])),
        anchors=tuple(Anchor(*each) for each in head["anchors"]),
        **arrays,
    )

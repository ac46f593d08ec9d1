"""Find the tubes that show a compartment, and read their events, or what was kept of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from panels.files.lock import canonical_sha256
from panels.text.errors import ReconflowError
from tasks.explore.arrays_file import Arrays, kept_arrays, write_arrays
from tasks.explore.compartments import SPECIMEN, Compartment
from tasks.explore.map_files import maps_folder
from tasks.explore.reference import RULE
from tasks.explore.tube_events import (
    MOST_COUNTED,
    PER_TUBE,
    Anchor,
    TubeEvents,
    compartment_events,
    counted_values,
    sampled,
)
from tasks.store.counts import gatings_in_use
from tasks.store.exclusions import excluded_tubes
from tasks.store.gatings import TubeGating
from tasks.store.tubes import Tube, taken_in
from tasks.tubes.gate_tube import gate_tube
from tasks.tubes.reference_tubes import ReferenceIndex, reference_index, reference_sets

if TYPE_CHECKING:
    from tasks.study.snapshot import StudySnapshot

SAMPLE, COUNTED = ".npz", "-counted.npz"


@dataclass(frozen=True, slots=True)
class CountedTube:
    """A tube that shows a compartment; ``counted_as`` stands for everything that counted it."""

    tube: Tube
    gating: TubeGating
    counted_as: str


@dataclass(frozen=True, slots=True)
class Unread:
    """A tube that is not on a map because its file cannot be read: a ``sentence`` says which."""

    patient: str
    tube_sha256: str
    sentence: str


class UnreadTube(ReconflowError):
    """The file of a tube cannot be read."""

    def __init__(self, patient: str, tube_sha256: str, sentence: str) -> None:
        super().__init__(patient, tube_sha256, sentence)
        self.tube = Unread(patient, tube_sha256, sentence)

    def __str__(self) -> str:
        """Give the sentence."""
        return self.tube.sentence


@dataclass(slots=True)
class ReadTubes:
    """The sampled events of tubes; ``unread`` are those that cannot be read."""

    tubes: list[tuple[CountedTube, TubeEvents]] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)


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


def read_tubes(reader: TubeReader, tubes: Sequence[CountedTube]) -> ReadTubes:
    """Give the sampled events of tubes.

    A tube that cannot be read is left out with a sentence.
    """
    done = ReadTubes()
    for each in tubes:
        try:
            done.tubes.append((each, reader.sample(each)))
        except UnreadTube as fault:
            done.unread.append(fault.tube)
    return done


class TubeReader:
    """Reads events of a compartment: those kept by an earlier run, else from the tubes' files.

    ``opened`` counts the files that were read because nothing of them was kept. Methods raise
    UnreadTube when a file cannot be read.
    """

    def __init__(self, snapshot: StudySnapshot, compartment: Compartment) -> None:
        self._snapshot, self._compartment = snapshot, compartment
        self._folder = maps_folder(snapshot.study, compartment.id) / "tubes"
        self.opened = 0

    def sample(self, each: CountedTube) -> TubeEvents:
        """Give the sampled events of a tube."""
        kept = kept_arrays(self._path(each, SAMPLE), self._key(each))
        return _events(*kept) if kept else self._read(each)[0]

    def counted(self, each: CountedTube) -> NDArray[np.float32]:
        """Give the values (n, shown) of the events in which clusters are counted."""
        kept = kept_arrays(self._path(each, COUNTED), self._key(each))
        return kept[1]["values"] if kept else self._read(each)[1]

    def _read(self, each: CountedTube) -> tuple[TubeEvents, NDArray[np.float32]]:
        """Read a tube's file, and keep both."""
        study, compartment, references = self._snapshot.study, self._compartment, self._references
        try:
            gated = gate_tube(study, each.tube, compartment.used, references)
            events = compartment_events(gated, compartment)
        except (ReconflowError, OSError) as fault:
            raise _unread(each, fault) from fault
        sample, counted = sampled(events), counted_values(events)
        key = self._key(each)
        write_arrays(self._path(each, COUNTED), {"key": key}, {"values": counted})
        arrays = {name: getattr(sample, name) for name in ("rows", "values", "codes", "weights")}
        write_arrays(self._path(each, SAMPLE), _head(key, sample), arrays)
        self.opened += 1
        return sample, counted

    @cached_property
    def _references(self) -> ReferenceIndex:
        with self._snapshot.study.store() as store:
            return reference_index(self._snapshot, store)

    def _path(self, each: CountedTube, suffix: str) -> Path:
        return self._folder / f"{each.tube.identity.tube_sha256[:12]}{suffix}"

    def _key(self, each: CountedTube) -> str:
        """Hash what the events that are kept of a tube follow from."""
        what = self._compartment
        said = [each.counted_as, what.gate, list(what.shown), PER_TUBE, MOST_COUNTED, RULE]
        return canonical_sha256(said)


def _unread(each: CountedTube, fault: ReconflowError | OSError) -> UnreadTube:
    identity = each.tube.identity
    said = str(fault)
    if isinstance(fault, OSError):
        said = f"its file cannot be read ({fault.strerror or fault})."
    named = f"{identity.patient} {identity.visit}, {identity.tube_sha256[:12]}"
    sentence = f"{named} is left out: {said}"
    return UnreadTube(identity.patient, identity.tube_sha256, sentence)


def _head(key: str, events: TubeEvents) -> dict[str, object]:
    return {
        "key": key,
        "tube_sha256": events.tube_sha256,
        "markers": events.markers,
        "events": events.events,
        "sets": events.sets,
        "anchors": [[a.gate, a.marker, a.events, a.median, a.sd] for a in events.anchors],
    }


def _events(head: dict[str, Any], arrays: Arrays) -> TubeEvents:
    return TubeEvents(
        tube_sha256=head["tube_sha256"],
        markers=tuple(head["markers"]),
        events=head["events"],
        sets=tuple(map(tuple, head["sets"])),
        anchors=tuple(Anchor(*each) for each in head["anchors"]),
        **arrays,
    )

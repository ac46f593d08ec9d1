"""Make a map: choose its reference, lay it out, and write down everything it is made of."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version

from panels.text.errors import MapFault, ReconflowError
from panels.text.plural import counted
from tasks.explore.compartments import SPECIMEN, Compartment
from tasks.explore.embedding import (
    Layout,
    Placing,
    coordinates_sha256,
    fit,
    library_versions,
    probes,
)
from tasks.explore.map_files import FittedMap, next_version, reference_bytes, write_map
from tasks.explore.map_record import (
    FORMAT,
    LayoutRecord,
    LeftOut,
    MapMarker,
    MapRecord,
    ReferenceTube,
    Sampling,
)
from tasks.explore.reference import FEWEST, MOST, RULE, Reference, constant_markers, reference_of
from tasks.explore.study_tubes import CountedTube
from tasks.explore.tube_events import PER_TUBE, TubeEvents
from tasks.study.folder import Study

MANY_CELLS = 10_000
LAYOUT = Layout()
LAYOUT_OF_FEW = Layout(epochs=500)
"""A map of few cells takes more epochs, as umap does by itself."""


def make_map(
    study: Study,
    compartment: Compartment,
    tubes: Sequence[tuple[CountedTube, TubeEvents]],
    reason: str,
) -> FittedMap:
    """Fit a map on tubes, and keep it in the study as the next version.

    Raises ReconflowError when there are too few cells so far, MapFault where no two markers tell
    them apart.
    """
    reference = reference_of([(each.tube.identity.patient, events) for each, events in tubes])
    if len(reference.rows) < FEWEST:
        raise ReconflowError(
            f"There is no map of {compartment.id} yet: {_cells_so_far(compartment, tubes)}, and a "
            f"map takes {FEWEST}. It is made once there are more."
        )
    constant = constant_markers(reference, compartment.markers)
    markers = [marker for marker in compartment.markers if marker not in constant]
    if len(markers) < 2:
        raise MapFault(
            f"There is no map of {compartment.id}: {', '.join(constant)} are the same in all "
            f"cells, and a map takes two markers. Look at the tubes' gating pages."
        )
    layout = LAYOUT if len(reference.rows) > MANY_CELLS else LAYOUT_OF_FEW
    values = reference.of(markers)
    coordinates = fit(values, layout)
    probe = coordinates_sha256(Placing(values, coordinates, layout).place(probes(values)))
    record = MapRecord(
        format=FORMAT,
        map=f"{compartment.id}@{next_version(study, compartment.id)}",
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        reason=reason,
        program=version("reconflow"),
        population=compartment.population,
        gate=compartment.gate,
        specimen=SPECIMEN,
        panel=f"{compartment.panel}@{compartment.used.panel.version}",
        panel_sha256=compartment.used.panel_sha256,
        strategy=compartment.used.name,
        strategy_sha256=compartment.used.release.sha256,
        calibrations=tuple(sorted({each.gating.calibration for each, _ in tubes} - {""})),
        markers=tuple(_marker(compartment, marker) for marker in markers),
        left_out=tuple(_left_out(compartment, constant)),
        sampling=Sampling(per_tube=PER_TUBE, most=MOST, rule=RULE),
        umap=LayoutRecord(**layout.document),
        libraries=library_versions(),
        reference_sha256=hashlib.sha256(reference_bytes(reference, coordinates)).hexdigest(),
        coordinates_sha256=coordinates_sha256(coordinates),
        probe_sha256=probe,
        tubes=tuple(_reference_tubes(reference, tubes)),
    )
    fitted = FittedMap(record, "", reference, coordinates)
    return replace(fitted, sha256=write_map(study, fitted))


def _cells_so_far(compartment: Compartment, tubes: Sequence[tuple[CountedTube, TubeEvents]]) -> str:
    if not tubes:
        return f"no tube of blood of the panel {compartment.panel} is counted"
    cells = sum(len(events.rows) for _, events in tubes)
    of_panel = f"{counted(len(tubes), 'tube')} of the panel {compartment.panel}"
    if not cells:
        return f"{of_panel} hold no such cell"
    return f"{of_panel} hold {counted(cells, 'such cell')} together"


def _marker(compartment: Compartment, marker: str) -> MapMarker:
    scale = compartment.used.release.strategy.scale_of(marker)
    return MapMarker(marker=marker, scale=scale)


def _left_out(compartment: Compartment, constant: Sequence[str]) -> list[LeftOut]:
    reasons = dict(compartment.left_out)
    reasons |= dict.fromkeys(constant, "it is the same in all cells of the reference")
    return [LeftOut(marker=marker, why=why) for marker, why in reasons.items()]


def _reference_tubes(
    reference: Reference, tubes: Sequence[tuple[CountedTube, TubeEvents]]
) -> list[ReferenceTube]:
    by_sha = {events.tube_sha256: each for each, events in tubes}
    return [
        ReferenceTube(
            sha256=sha256,
            patient=by_sha[sha256].tube.identity.patient,
            visit=by_sha[sha256].tube.identity.visit,
            events=reference.events[place],
            sampled=int((reference.tube == place).sum()),
            counted_as=by_sha[sha256].counted_as,
        )
        for place, sha256 in enumerate(reference.tubes)
    ]

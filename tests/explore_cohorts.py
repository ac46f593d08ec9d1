"""Small simulated cohorts whose compartments are explored, from both simulators, with the truth.

Tubes are gated by the shipped strategies as any tube is, in memory. Each has about as many cells of
the compartment as is asked for and few others, so that a cohort takes seconds.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from gating.display.axis_parts import on_display_scale
from gating.evaluation.compensated_values import Channels
from gating.fcs.events import open_events
from gating.fcs.header import read_header
from gating.fcs.spillover import Spill
from gating.strategy.catalogue import load_strategy
from gating.strategy.display_scale import FULL_SCALE, transform_of
from gating.thresholds.apply import Applied, apply_strategy
from panels.catalogue import load_panel
from panels.panel import match_panel
from panels.simulation.conditions import Conditions
from panels.simulation.tube import simulate_tube
from tasks.explore.cells import Booleans, Cells, Floats, leaf_populations
from tasks.explore.map_clusters import naming_populations
from tasks.simulate.patient import Patient, b_lineage, blood, draw_patient
from tests.gating.tubes import ArrayTube
from tests.second_simulator import blood as second_blood
from tests.second_simulator import tubes as second_tubes
from tests.second_simulator.particles import LABELS
from tests.second_simulator.scenario import Kind, Scenario
from tests.shared_data import SHARED

B_MARKERS = ("IgD", "CD138", "CD20", "IgM", "CD38", "CD27", "CD24", "CD21")
CAR_MARKERS = ("CD45RA", "CD8", "CCR7", "CD4", "PD1", "HLA-DR")
COMPARTMENTS = {"bcell": ("b_cells", B_MARKERS), "cart": ("car_any_t", CAR_MARKERS)}
OTHER_CELLS = {
    "granulocyte": 600.0,
    "monocyte": 150.0,
    "t_cd4_cm": 700.0,
    "t_cd4_em": 300.0,
    "t_cd8_em": 500.0,
    "nk": 300.0,
}
B_DAYS = (-7, 112, 168, 364)
CAR_DAYS = (10, 14, 28, 56)
PHASES = ("baseline", "recovering", "recovered", "recovered")


@dataclass(frozen=True)
class Cohort:
    """The cells of a compartment from several tubes, and of which simulated kind each is."""

    cells: Cells
    kind: np.ndarray


@dataclass(frozen=True)
class Part:
    """The compartment of one tube: values, membership of the reported populations, kinds."""

    values: Floats
    inside: Booleans
    kind: np.ndarray


def b_cohort(
    seed: int, share: float, *, cells: int = 1500, patients: int = 2, dn2: bool = True
) -> Cohort:
    """Simulate B-cell tubes; ``share`` of the B cells at D168 and D364 are activated naive ones.

    ``dn2``: whether there are DN2 cells, the CD21low half of the double-negative gate.
    """

    def compositions() -> Iterator[Mapping[str, float]]:
        for number in range(patients):
            patient = draw_patient(f"P{number}", np.random.default_rng([seed, number]))
            for day in B_DAYS:
                course = replace(
                    patient.b_cells,
                    crossing=95.0,
                    activated_naive=share if day >= B_DAYS[2] else 0.0,
                )
                lineage = b_lineage(course, day)
                if not dn2:
                    lineage["dn2_b"] = 0.0
                yield _scaled(lineage, cells) | OTHER_CELLS

    return _joined("bcell", _parts("bcell", "b_cells", B_MARKERS, compositions(), seed))


def car_cohort(
    seed: int,
    share: float,
    *,
    cells: int = 1500,
    patients: int = 2,
    lineage: Literal["", "cd4", "cd8"] = "",
) -> Cohort:
    """Simulate CAR-T tubes; ``share`` of the CAR-T cells are at rest from D28 on.

    They are of both lineages, or of one.
    """

    def compositions() -> Iterator[Mapping[str, float]]:
        for number in range(patients):
            drawn = draw_patient(f"P{number}", np.random.default_rng([seed, number]))
            patient: Patient = replace(drawn, resting_car_share=share, resting_car_lineage=lineage)
            for day in CAR_DAYS:
                there = blood(patient, day)
                cars = {name: each for name, each in there.items() if "_car" in name}
                yield _scaled(cars, cells) | OTHER_CELLS

    return _joined("cart", _parts("cart", "car_any_t", CAR_MARKERS, compositions(), seed))


def second_b_cohort(
    seed: int, share: float, *, cells: int = 1500, patients: int = 2, stickiness: float = 0.7
) -> Cohort:
    """Simulate B-cell tubes with the second simulator.

    ``share`` of the B cells at the last two visits are DN2 cells; there are none at the others.
    """
    parts = []
    for number in range(patients):
        for visit, phase in enumerate(PHASES):
            rng = np.random.default_rng([seed, number, visit])
            there = second_blood.draw_blood(rng, phase)  # type: ignore[arg-type]
            scenario = Scenario(
                events=int(cells * 2.5), instrument_seed=seed * 10 + number, stickiness=stickiness
            )
            content = _second_content(there, share if visit >= 2 else 0.0, cells)
            tube = second_tubes.simulate_tube(rng, "bcell", content, scenario)
            parts.append(_second_part("bcell", "b_cells", B_MARKERS, tube))
    return _joined("bcell", parts)


def _second_content(there: Mapping[str, float], dn2: float, cells: int) -> dict[str, float]:
    b_kinds = (*second_blood.B_NOT_SECRETING, *second_blood.SECRETING)
    lineage = {name: there[name] for name in b_kinds if name != "b_dn2" and there.get(name)}
    others = {name: each for name, each in there.items() if name not in b_kinds}
    content = _scaled(lineage, cells * (1 - dn2)) | _scaled(others, cells * 1.5)
    return content | {"b_dn2": dn2 * cells}


def _second_part(
    panel: Kind, compartment: str, markers: Sequence[str], tube: second_tubes.Tube
) -> Part:
    channels = second_tubes.channels_of(panel)
    detectors = tuple(second_tubes.PANELS[panel].values())
    read = ArrayTube(
        tube.values,
        tuple(detector for detector, _ in channels),
        tuple(marker for _, marker in channels),
        Spill(detectors, tube.spill),
    )
    return _part(panel, compartment, markers, read, np.array(LABELS, dtype=object)[tube.codes])


def _scaled(kinds: Mapping[str, float], cells: float) -> dict[str, float]:
    whole = sum(kinds.values())
    return {name: each * cells / whole for name, each in kinds.items()}


def _parts(
    panel: str,
    compartment: str,
    markers: Sequence[str],
    compositions: Iterator[Mapping[str, float]],
    seed: int,
) -> list[Part]:
    parts = []
    for number, composition in enumerate(compositions):
        rng = np.random.default_rng([seed, 77, number])
        gain = {
            stain.detector: float(rng.lognormal(0, 0.013)) for stain in load_panel(panel).markers
        }
        made = simulate_tube(load_panel(panel), composition, Conditions(gain=gain), rng)
        read = ArrayTube(
            made.events.astype(np.float64),
            made.detectors,
            made.labels,
            Spill(made.spill_detectors, made.stored_spill),
        )
        kind = np.array(made.truth.kinds, dtype=object)[made.truth.kind]
        kind[~made.truth.intact] = "not intact"
        parts.append(_part(panel, compartment, markers, read, kind))
    return parts


def _part(
    panel: str, compartment: str, markers: Sequence[str], tube: ArrayTube, kind: np.ndarray
) -> Part:
    """Gate a tube and read its compartment on the strategy's display scale."""
    strategy = load_strategy(panel).strategy
    match = match_panel(load_panel(panel), tube.channels)
    applied: Applied = apply_strategy(strategy, match, tube, tube)
    compiled = applied.compiled
    paths = {each.id: compiled.path_of[each.gate] for each in strategy.populations}
    rows = applied.evaluation.rows[paths[compartment]]
    channels = Channels(compiled.gating, tube, tube)
    wanted = [(match.channel[marker], compiled.applied_compensation) for marker in markers]
    columns = channels.linear(wanted, rows)
    values = [
        on_display_scale(transform_of(strategy.scale_of(marker), FULL_SCALE), column)
        for marker, column in zip(markers, columns, strict=True)
    ]
    inside = [applied.evaluation.mask(path)[rows] for path in paths.values()]
    return Part(np.column_stack(values), np.column_stack(inside), kind[rows])


def _joined(panel: str, parts: Sequence[Part]) -> Cohort:
    compartment, markers = COMPARTMENTS[panel]
    strategy = load_strategy(panel).strategy
    inside = np.vstack([each.inside for each in parts])
    sizes = [len(each.kind) for each in parts]
    gate_of = {each.id: each.gate for each in strategy.populations}
    cells = Cells(
        markers=markers,
        values=np.vstack([each.values for each in parts]),
        tube=np.repeat(np.arange(len(parts)), sizes),
        weight=np.ones(sum(sizes)),
        populations=tuple(gate_of),
        inside=inside,
        leaves=naming_populations(strategy, gate_of, inside, compartment, markers),
    )
    return Cohort(cells, np.concatenate([each.kind for each in parts]))


def car_phenotype(kind: str) -> str:
    """Name the line and the memory stage of a simulated CAR-T cell, of whichever product."""
    parts = kind.split("_")
    return f"{parts[1]} {parts[2]}" if parts[0] == "t" and len(parts) == 4 else kind


def lyoplate_cohort(compartment: str, most: int = 20_000) -> Cohort:
    """Read the real B-cell tube: a compartment's cells, their gates, and the gates as their kind.

    Its values are compensated and on a display scale of 4096 already.
    """
    stem = SHARED / "b-cells-lyoplate" / "12828_1_Bcell_C01"
    truth = np.load(stem.with_suffix(".membership.npz"))
    held = np.unpackbits(truth["members"], axis=1)[:, : int(truth["n"])].astype(bool)
    paths = {str(path).rsplit("/", 1)[1]: str(path) for path in truth["paths"]}
    header = read_header(stem.with_suffix(".fcs"))
    events = open_events(header)
    column = {channel.detector: channel.index for channel in header.channels}
    rows = np.flatnonzero(held[list(paths).index(compartment)])
    if len(rows) > most:
        rows = np.sort(np.random.default_rng(0).choice(rows, most, replace=False))
    below = {
        name: tuple(path.split("/"))
        for name, path in paths.items()
        if path.startswith(f"{paths[compartment]}/") and not name.endswith("gate")
    }
    markers = ("CD3", "CD19", "CD20", "IgD", "CD27", "CD38", "CD24")
    chosen = markers if compartment == "Live" else markers[2:]
    inside = held[[list(paths).index(name) for name in below]][:, rows].T
    cells = Cells(
        markers=chosen,
        values=np.column_stack([events.column(column[name], rows) / 4096 for name in chosen]),
        tube=np.zeros(len(rows), dtype=np.int64),
        weight=np.ones(len(rows)),
        populations=tuple(below),
        inside=inside,
        leaves=leaf_populations(below, inside, compartment),
    )
    kind = np.array(["+".join(np.array(cells.leaves)[row]) for row in cells.in_leaves])
    return Cohort(cells, kind)

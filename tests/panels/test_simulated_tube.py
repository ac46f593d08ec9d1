"""The simulated tube behaves as a real one: published spreads, believable negatives, and truth that
adds up."""

from dataclasses import replace

import numpy as np
import pytest

from panels.catalogue import load_panel
from panels.panel import Panel, Stain
from panels.simulation.conditions import Conditions
from panels.simulation.crowd import Crowd
from panels.simulation.expression import cell_table, optics
from panels.simulation.optics import detect
from panels.simulation.tube import SimulatedTube, simulate_tube, true_counts
from panels.text.errors import PanelFault

CLEAN = Conditions(dead_fraction=0, debris_fraction=0, doublet_fraction=0, compensation_error=0)
BLOOD = {
    "granulocyte": 9000,
    "monocyte": 900,
    "nk": 900,
    "t_cd4_em": 2500,
    "t_cd8_em": 2500,
    "naive_mature_b": 1500,
    "plasmablast": 100,
}


def tube(
    panel: str, composition: dict[str, float], conditions: Conditions = CLEAN, seed: int = 1
) -> SimulatedTube:
    return simulate_tube(load_panel(panel), composition, conditions, np.random.default_rng(seed))


def compensated(made: SimulatedTube, *, true: bool = True) -> dict[str, np.ndarray]:
    """Give compensated intensities by marker."""
    columns = [made.detectors.index(name) for name in made.spill_detectors]
    values = made.events[:, columns] @ np.linalg.inv(made.true_spill if true else made.stored_spill)
    return {made.labels[column]: values[:, i] for i, column in enumerate(columns)}


def of_kind(made: SimulatedTube, kind: str) -> np.ndarray:
    return made.truth.kind == made.truth.kinds.index(kind)


def robust_sd(values: np.ndarray) -> float:
    low, high = np.percentile(values, [15.87, 84.13])
    return (high - low) / 2


@pytest.mark.parametrize(
    ("panel", "kind", "marker"),
    [
        ("bcell", "t_cd8_em", "CD19"),
        ("bcell", "t_cd8_em", "IgM"),
        ("bcell", "t_cd8_em", "CD20"),
        ("bcell", "t_cd8_em", "IgD"),
        ("bcell", "naive_mature_b", "CD3"),
        ("tbnk", "nk", "CD4"),
        ("tbnk", "t_cd4_em", "CD19"),
        ("tbnk", "naive_mature_b", "CD3"),
    ],
)
def test_negatives_lie_at_the_autofluorescence_after_compensation(
    panel: str, kind: str, marker: str
) -> None:
    made = tube(panel, {kind: 6000})
    detector = next(stain.detector for stain in load_panel(panel).markers if stain.marker == marker)
    offset = np.median(compensated(made)[marker]) - 175 * optics().detectors[detector].glow
    assert abs(offset) < 40


@pytest.mark.parametrize(
    "detector", ["FITC-A", "PE-A", "PerCP-Cy5.5-A", "PE-Cy7-A", "APC-A", "APC-H7-A"]
)
def test_an_unstained_lymphocyte_has_the_spread_of_a_real_negative(detector: str) -> None:
    made = tube(
        "tbnk",
        {"erythroblast": 1, "nk": 6000},
        replace(CLEAN, abundance=dict.fromkeys(["CD16+CD56", "CD45", "CD8", "CD19"], 0.0)),
    )
    assert 60 <= robust_sd(made.events[:, made.detectors.index(detector)]) <= 160


def test_the_fitc_negative_has_the_percentiles_of_a_real_instrument() -> None:
    made = tube(
        "tbnk",
        {"nk": 20000},
        replace(CLEAN, abundance=dict.fromkeys(["CD16+CD56", "CD45", "CD8", "CD19"], 0.0)),
    )
    found = np.percentile(made.events[:, made.detectors.index("FITC-A")], [5, 25, 50])
    assert found == pytest.approx([14, 108, 181], abs=25)


def test_a_bright_dye_spreads_into_its_neighbour_as_predicted() -> None:
    """PE at 1e5 leaking 19.6 % into PerCP-Cy5.5: photon noise of both gives a spread of sqrt(s
    a/q_j + s² a/q_k + dark)."""
    count = 20000
    leak = 0.196
    light = np.tile(np.array([1e5, leak * 1e5], np.float32), (count, 1))
    crowd = Crowd(
        kind=np.zeros(count, np.int16),
        dead=np.zeros(count, bool),
        carried_over=np.zeros(count, bool),
        seconds=np.zeros(count),
        anomaly=np.zeros(count, bool),
        dimming=np.ones(count, np.float32),
    )
    signal = detect(light, crowd, ("PE-A", "PerCP-Cy5.5-A"), CLEAN, np.random.default_rng(1))
    q_pe, q_percp = (optics().detectors[name].photoelectrons for name in ("PE-A", "PerCP-Cy5.5-A"))
    shot = leak * 1e5 / q_percp + leak**2 * 1e5 / q_pe
    dark = (100 / q_percp + 50**2) + leak**2 * (100 / q_pe + 50**2)
    jitter = 2 * (0.01 * leak * 1e5) ** 2
    residual = signal[:, 1] - leak * signal[:, 0]
    assert robust_sd(residual) == pytest.approx(np.sqrt(shot + dark + jitter), rel=0.03)
    assert abs(np.median(residual)) < 15


def test_between_96_and_99_percent_of_cells_are_singlets() -> None:
    made = tube("bcell", BLOOD, replace(Conditions(), debris_fraction=0.0))
    assert 0.96 <= (made.truth.partner < 0).mean() <= 0.995
    ratio = made.events[:, 0] / made.events[:, 1]
    cut = 1.08 * 1.18
    assert 0.94 <= (ratio < cut).mean() <= 0.995
    assert (ratio[made.truth.partner >= 0] > cut).mean() > 0.85


@pytest.mark.parametrize(("marker", "product"), [("CAR19", "car19"), ("CARBCMA", "carbcma")])
def test_a_dim_tail_of_down_modulated_car_cells_lies_below_the_blank_threshold(
    marker: str, product: str
) -> None:
    resting = {
        f"t_{line}_{stage}": 3000
        for line in ("cd4", "cd8")
        for stage in ("naive", "cm", "em", "temra")
    }
    made = tube("cart", {**resting, f"t_cd8_em_{product}": 3000}, replace(CLEAN, car_density=0.6))
    values = compensated(made)[marker]
    is_car = of_kind(made, f"t_cd8_em_{product}")
    assert 0.05 <= (values[is_car] < np.percentile(values[~is_car], 99.95)).mean() <= 0.20


def test_truth_adds_up_to_the_events() -> None:
    made = tube("tbnk", BLOOD, replace(Conditions(), beads=2000, trigger=("PerCP-Cy5.5-A", 500.0)))
    counts = true_counts(made.truth)
    assert made.truth.kind.size == len(made.events)
    kinds = [count for name, count in counts.items() if name.startswith("kind:")]
    assert sum(count.cells for count in kinds) == len(made.events) + (made.truth.partner >= 0).sum()
    assert sum(count.intact for count in kinds) == made.truth.intact.sum()
    assert counts["lymphocytes"].cells == sum(
        counts[name].cells for name in ("t_cells", "b_cells", "nk_cells")
    )
    assert counts["t_cells"].cells == counts["cd4_t"].cells + counts["cd8_t"].cells


def test_numbers_of_cells_are_poisson_around_what_was_asked() -> None:
    counts = [
        true_counts(tube("tbnk", {"nk": 50}, seed=seed).truth)["nk_cells"].cells
        for seed in range(60)
    ]
    assert np.mean(counts) == pytest.approx(50, abs=4)
    assert np.var(counts) == pytest.approx(50, rel=0.6)


def test_every_population_of_the_contract_is_known_to_the_truth() -> None:
    known = set(cell_table().populations())
    assert known >= {
        "leukocytes", "lymphocytes", "monocytes", "nk_cells",
        "t_cells", "cd4_t", "cd8_t", "car19_t", "carbcma_t", "car_double_positive", "car_any_t",
        "b_cells", "b_cells_cd20", "naive_b", "naive_igm_igd_b", "transitional_b",
        "unswitched_memory_b", "switched_memory_b", "double_negative_b",
        "plasmablasts", "plasma_cells", "long_lived_plasma_cells",
    }  # fmt: skip


def test_beads_saturate_every_detector_and_scatter_like_beads() -> None:
    made = tube("tbnk", {}, replace(CLEAN, beads=1000, trigger=("PerCP-Cy5.5-A", 500.0)))
    colours = [made.detectors.index(name) for name in made.spill_detectors]
    assert (made.events[:, colours] == 262143).all()
    fsc, ssc = np.median(made.events[:, [0, 3]], axis=0)
    assert fsc == pytest.approx(45000, rel=0.02)
    assert ssc == pytest.approx(190000, rel=0.02)
    assert robust_sd(made.events[:, 3]) / ssc < 0.05


def test_signals_are_clipped_and_time_never_runs_backwards() -> None:
    made = tube("bcell", BLOOD, replace(Conditions(), clogs=2))
    colours = made.events[:, 5:-1]
    assert colours.min() >= -111
    assert made.events[:, :-1].max() <= 262143
    assert (np.diff(made.events[:, -1]) >= 0).all()
    assert made.truth.time_anomaly.any()


def test_masked_b_cells_keep_cd20() -> None:
    made = tube("bcell", {"naive_mature_b": 2000}, replace(CLEAN, cd19_masked_fraction=1.0))
    values = compensated(made)
    assert np.median(values["CD19"]) < 100
    assert np.median(values["CD20"]) > 15000


def test_trogocytosis_puts_cd19_on_the_chosen_share_of_car_cells() -> None:
    made = tube(
        "bcell",
        {"t_cd8_em_car19": 4000, "t_cd8_em": 4000},
        replace(CLEAN, trogocytosis_fraction=0.1),
    )
    above = compensated(made)["CD19"] > 400
    resting = above[of_kind(made, "t_cd8_em")].mean()
    assert above[of_kind(made, "t_cd8_em_car19")].mean() - resting == pytest.approx(
        0.1 * 5 / 6, abs=0.02
    )


def test_carry_over_comes_first_and_is_not_counted() -> None:
    made = tube("bcell", {"granulocyte": 30000}, replace(CLEAN, carry_over={"naive_mature_b": 50}))
    b_cells = of_kind(made, "naive_mature_b")
    assert b_cells.sum() > 20
    assert made.truth.carried_over[b_cells].all()
    assert np.median(np.flatnonzero(b_cells)) < len(made.events) / 2
    assert true_counts(made.truth)["b_cells"].cells == 0


def test_dead_cells_are_bright_in_the_viability_channel_and_sticky() -> None:
    made = tube("bcell", {"t_cd4_em": 4000}, replace(CLEAN, dead_fraction=0.5))
    values = compensated(made)
    assert np.median(values["CD14+viability"][made.truth.dead]) > 20 * np.median(
        values["CD14+viability"][made.truth.intact]
    )
    assert np.median(values["CD19"][made.truth.dead]) > 200


def test_a_wrong_stored_matrix_shifts_negatives_and_the_true_one_does_not() -> None:
    made = tube("bcell", {"t_cd4_em": 4000}, replace(CLEAN, compensation_bias=0.15))
    wrong, right = (
        np.median(compensated(made, true=False)["CD24"]),
        np.median(compensated(made)["CD24"]),
    )
    assert right > 0 > wrong


def test_the_same_generator_gives_the_same_tube_whatever_the_order_of_the_composition() -> None:
    one, other = (
        tube("cart", BLOOD, Conditions()),
        tube("cart", dict(reversed(BLOOD.items())), Conditions()),
    )
    assert np.array_equal(one.events, other.events)


def test_a_tube_of_no_cells_has_no_events() -> None:
    made = tube("bcell", {})
    assert made.events.shape == (0, 18)
    assert true_counts(made.truth)["leukocytes"].cells == 0


def test_unknown_cells_are_refused_by_name() -> None:
    with pytest.raises(PanelFault, match="no cells called 'unicorn'"):
        tube("bcell", {"unicorn": 10})


def test_a_panel_with_an_undescribed_marker_is_refused() -> None:
    bcell = load_panel("bcell")
    other = Panel.model_validate(
        bcell.model_dump()
        | {"markers": (Stain(marker="CXCR5", detector="BB515-A"),), "instruments": {}}
    )
    with pytest.raises(PanelFault, match="CXCR5"):
        simulate_tube(other, {"nk": 5}, CLEAN, np.random.default_rng(1))

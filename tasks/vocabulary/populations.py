"""Name every population that the shipped strategies report: its id, its codes and what it is for.

To add a population, add its line to ``NAMED`` at the place it has in the tables. What the counting,
the kinetics, the report and the export know of single populations is derived from that list. A
laboratory's own populations need no line: they follow the named ones in the tables, and get
percentages and concentrations, but no parameters.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Family = Literal["leukocytes", "b_cells", "secreting", "car_t"]
"""The groups of the report: leukocytes with T and NK cells, B cells, plasmablasts with plasma
cells, CAR T cells."""
Role = Literal["anchor", "total_b", "quadrant", "baseline_ratio", "plasma_cells", "car_kinetics"]
"""``anchor``: tubes of different panels share it, so that it can tie one tube's counts to the
concentration of another. ``total_b``: the B cells as a whole, which depletion and recovery are
judged by. ``quadrant``: one of the four of IgD × CD27. ``baseline_ratio``: of the parameters it has
the ratio to baseline alone. ``plasma_cells``: it has a nadir, in blood and in marrow.
``car_kinetics``: it has the parameters of cellular kinetics."""


@dataclass(frozen=True, slots=True)
class NamedPopulation:
    """One population of the shipped strategies.

    ``sdtm_code`` is its test code in the SDTM-shaped export (at most eight capitals and digits).
    ``product`` is the CAR-T product that it measures, as ``infused_<product>`` of patients.csv
    names it. ``figure_label`` is what the figures of the cohort call it, as the shipped strategies
    do; ``None``: they leave it out.
    """

    id: str
    family: Family
    sdtm_code: str
    roles: tuple[Role, ...] = ()
    product: str | None = None
    figure_label: str | None = None


NAMED = (
    NamedPopulation("leukocytes", "leukocytes", "LEUKO", ("anchor",)),
    NamedPopulation("lymphocytes", "leukocytes", "LYMPHO", ("anchor",)),
    NamedPopulation("t_cells", "leukocytes", "TCELL", ("anchor",)),
    NamedPopulation("cd4_t", "leukocytes", "CD4T"),
    NamedPopulation("cd8_t", "leukocytes", "CD8T"),
    NamedPopulation("nk_cells", "leukocytes", "NKCELL"),
    NamedPopulation("monocytes", "leukocytes", "MONO"),
    NamedPopulation("b_cells", "b_cells", "BCELL", ("anchor", "total_b"), figure_label="B cells"),
    NamedPopulation("b_cells_cd20", "b_cells", "BCELLC20", ("total_b",)),
    NamedPopulation("naive_b", "b_cells", "BNAIVE", ("quadrant", "baseline_ratio")),
    NamedPopulation("naive_igm_igd_b", "b_cells", "BNAIVEMD", ("baseline_ratio",)),
    NamedPopulation("transitional_b", "b_cells", "BTRANS", ("baseline_ratio",)),
    NamedPopulation("unswitched_memory_b", "b_cells", "BUNSWMEM", ("quadrant", "baseline_ratio")),
    NamedPopulation("switched_memory_b", "b_cells", "BSWMEM", ("quadrant", "baseline_ratio")),
    NamedPopulation("double_negative_b", "b_cells", "BDBLNEG", ("quadrant", "baseline_ratio")),
    NamedPopulation("plasmablasts", "secreting", "PLBLAST", ("baseline_ratio",)),
    NamedPopulation("plasma_cells", "secreting", "PLASMA", ("plasma_cells",)),
    NamedPopulation("long_lived_plasma_cells", "secreting", "PLASMALL", ("plasma_cells",)),
    NamedPopulation(
        "car19_t",
        "car_t",
        "CAR19T",
        ("car_kinetics",),
        product="car19",
        figure_label="Anti-CD19 CAR-T cells",
    ),
    NamedPopulation(
        "carbcma_t",
        "car_t",
        "CARBCMAT",
        ("car_kinetics",),
        product="carbcma",
        figure_label="Anti-BCMA CAR-T cells",
    ),
    # The products are separate: cells with both receptors are the internal control of the stain.
    NamedPopulation("car_double_positive", "car_t", "CARDBLP"),
    NamedPopulation("car_any_t", "car_t", "CARANYT", ("car_kinetics",)),
)
"""The populations in the order in which tables show them."""

LEUKOCYTES, LYMPHOCYTES = "leukocytes", "lymphocytes"
B_CELLS, PLASMABLASTS, PLASMA_CELLS = "b_cells", "plasmablasts", "plasma_cells"
NAIVE_B = "naive_b"
NAIVE_PARTS = ("naive_igm_igd_b", "transitional_b")
"""Disjoint parts of the naive quadrant that are reported themselves."""
MEMORY_PARTS = ("unswitched_memory_b", "switched_memory_b")


def in_family(family: Family) -> tuple[str, ...]:
    """List the ids of a family, in the order of the tables."""
    return tuple(each.id for each in NAMED if each.family == family)


def with_role(role: Role) -> tuple[str, ...]:
    """List the ids of the populations that have a role, in the order of the tables."""
    return tuple(each.id for each in NAMED if role in each.roles)


IDS = tuple(each.id for each in NAMED)
ANCHORS = with_role("anchor")
TOTAL_B = with_role("total_b")
B_SUBSETS = tuple(name for name in in_family("b_cells") if name not in TOTAL_B)
QUADRANTS = with_role("quadrant")
CAR_PRODUCTS = tuple(each.id for each in NAMED if each.product)
POPULATION_OF_PRODUCT: Mapping[str, str] = MappingProxyType(
    {each.product: each.id for each in NAMED if each.product}
)
"""CAR-T product → the population that measures it."""
SDTM_CODES: Mapping[str, str] = MappingProxyType({each.id: each.sdtm_code for each in NAMED})
IN_COHORT_FIGURES = tuple(
    (each.id, each.figure_label) for each in NAMED if each.figure_label is not None
)
"""Id and label of the populations that the cohort's figures show."""


def short_label(labels: Mapping[str, str], population: str) -> str:
    """Name a population in few words: its label without the markers, else its id in words.

    ``labels`` are those of the strategies in use. It is what pages, legends and sentences call it.
    """
    return labels.get(population, population.replace("_", " ")).split(" (")[0]


def population_rank(population: str) -> tuple[int, str]:
    """Give the place of a population in the order of the tables; those not named follow by name."""
    place = IDS.index(population) if population in IDS else len(IDS)
    return place, population

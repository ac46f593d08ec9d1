"""Say how laboratories name the populations, and by which markers each is told.

A gate of another program is recognised by these words; a person confirms it. To recognise one more
name, add it to the line of its population.
"""

import re
from dataclasses import dataclass
from typing import Literal

Lineage = Literal["b_cells", "t_cells"]


@dataclass(frozen=True, slots=True)
class PopulationSigns:
    """How one population is recognised.

    ``names`` are compared as ``plain_population_name`` writes them; ``words`` (short forms such as
    ``DN``, which have other meanings elsewhere) hold only below a gate of its ``lineage``.
    ``signs`` are the markers that tell it, ``may`` those that may be drawn beside them without
    changing what it is; they are counted from the gate of the lineage down, or from the top.
    """

    id: str
    names: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    lineage: Lineage | None = None
    signs: tuple[str, ...] = ()
    may: tuple[str, ...] = ()


RECOGNISED = (
    PopulationSigns(
        "leukocytes",
        ("leukocytes", "leucocytes", "wbc", "white blood"),
        signs=("CD45+",),
        may=("CD14-",),
    ),
    PopulationSigns(
        "lymphocytes",
        ("lymphocytes", "lymphocyte", "lymphs", "lymph", "lympho", "ly"),
    ),
    PopulationSigns(
        "t_cells",
        ("t", "t lymphocytes", "cd3 t", "cd3+ t", "total t"),
        signs=("CD3+",),
        may=("CD19-", "CD14-", "CD45+", "CD20-"),
    ),
    PopulationSigns(
        "cd4_t",
        ("cd4 t", "cd4+ t", "t helper", "helper t", "th", "cd4pos t"),
        ("cd4", "cd4+", "cd4+ cd8-"),
        "t_cells",
        ("CD4+",),
        ("CD8-", "CD3+"),
    ),
    PopulationSigns(
        "cd8_t",
        ("cd8 t", "cd8+ t", "cytotoxic t", "t cytotoxic", "ctl", "cd8pos t"),
        ("cd8", "cd8+", "cd4- cd8+"),
        "t_cells",
        ("CD8+",),
        ("CD4-", "CD3+"),
    ),
    PopulationSigns(
        "nk_cells",
        ("nk", "natural killer"),
        signs=("CD16CD56+", "CD3-"),
        may=("CD19-", "CD14-", "CD45+"),
    ),
    PopulationSigns(
        "monocytes",
        ("monocytes", "monos", "mono"),
        signs=("CD14+",),
        may=("CD45+", "CD3-", "CD19-"),
    ),
    PopulationSigns(
        "b_cells",
        ("b", "b lymphocytes", "total b", "cd19 b", "cd19+ b"),
        signs=("CD19+",),
        may=("CD3-", "CD14-", "CD20+", "CD45+", "CD56-", "CD16CD56-"),
    ),
    PopulationSigns(
        "b_cells_cd20",
        ("cd20 b", "cd20+ b"),
        signs=("CD20+",),
        may=("CD3-", "CD14-", "CD45+"),
    ),
    PopulationSigns(
        "naive_b",
        ("naive b", "b naive", "mature naive b", "cd27- igd+ b", "igd+ cd27- b"),
        ("naive", "mature naive"),
        "b_cells",
        ("CD27-", "IgD+"),
    ),
    PopulationSigns(
        "naive_igm_igd_b",
        ("naive igm+ igd+ b", "igm+ igd+ naive b"),
        (),
        "b_cells",
        ("CD27-", "IgD+", "IgM+"),
    ),
    PopulationSigns(
        "transitional_b",
        ("transitional b", "b transitional", "trans b", "trb"),
        ("transitional", "trans"),
        "b_cells",
        ("CD24+", "CD38+"),
        ("CD27-", "IgM+"),
    ),
    PopulationSigns(
        "unswitched_memory_b",
        (
            "unswitched memory b",
            "non switched memory b",
            "non-switched memory b",
            "nonswitched memory b",
            "unswitched b",
            "usm b",
        ),
        ("unswitched memory", "non-switched memory", "unswitched", "non-switched", "usm", "nsm"),
        "b_cells",
        ("CD27+", "IgD+"),
    ),
    PopulationSigns(
        "switched_memory_b",
        (
            "switched memory b",
            "class switched memory b",
            "class-switched memory b",
            "switched b",
            "csm b",
            "sm b",
        ),
        ("switched memory", "class-switched memory", "switched", "csm", "sm", "swm"),
        "b_cells",
        ("CD27+", "IgD-"),
    ),
    PopulationSigns(
        "double_negative_b",
        ("double negative b", "double-negative b", "dn b", "atypical memory b"),
        ("double negative", "double-negative", "dn"),
        "b_cells",
        ("CD27-", "IgD-"),
    ),
    PopulationSigns(
        "plasmablasts",
        ("plasmablasts", "plasmablast", "plasma blasts", "pbs", "circulating plasmablasts"),
        ("pb",),
        "b_cells",
        ("CD27+", "CD38+"),
        ("CD20-", "CD138-", "CD24-", "IgD-", "CD19+", "CD3-"),
    ),
    PopulationSigns(
        "plasma_cells",
        ("plasma", "plasmacells", "plasmacytes"),
        ("pc", "pcs"),
        "b_cells",
        ("CD138+", "CD38+"),
        ("CD27+", "CD20-", "CD19+", "CD3-"),
    ),
    PopulationSigns(
        "long_lived_plasma_cells",
        ("long lived plasma", "long-lived plasma", "llpc"),
        signs=("CD138+", "CD38+", "CD19-"),
        may=("CD20-", "CD27+", "CD3-"),
    ),
    PopulationSigns(
        "car19_t",
        ("car19+ t", "car19 t", "cd19 car t", "anti-cd19 car-t", "car19+", "car19"),
        (),
        "t_cells",
        ("CAR19+",),
        ("CD3+",),
    ),
    PopulationSigns(
        "carbcma_t",
        ("carbcma+ t", "carbcma t", "bcma car t", "anti-bcma car-t", "carbcma+", "carbcma"),
        (),
        "t_cells",
        ("CARBCMA+",),
        ("CD3+",),
    ),
    PopulationSigns(
        "car_double_positive",
        ("car double positive", "car19+ carbcma+"),
        (),
        "t_cells",
        ("CAR19+", "CARBCMA+"),
        ("CD3+",),
    ),
    PopulationSigns("car_any_t", ("car any", "any car t", "car+ t", "car t", "car-t", "car+")),
)
"""How each population is recognised, the lineages before what hangs below them."""

_FILLING = re.compile(r"\b(cells?|gate|events|subset|population)\b")
_BETWEEN = re.compile(r"[^a-z0-9+\-]+")


def plain_population_name(name: str) -> str:
    """Write a gate's name for comparison: lower case, one space, without words such as 'cells'.

    ``Naive B-cells`` → ``naive b``; ``CD27- IgD+`` → ``cd27- igd+``.
    """
    lower = name.lower().replace("−", "-").replace("ï", "i").replace("_", " ")
    lower = re.sub(r"(?<=[a-z])-(?=cells?\b)", " ", lower)
    return " ".join(_BETWEEN.sub(" ", _FILLING.sub(" ", lower)).split())

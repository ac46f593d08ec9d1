"""Judge what the clusters of a compartment find, and what they invent, on simulated cohorts.

    PYTHONPATH=. python benchmarks/explore_evidence.py [--seeds 10] [--without 20] [--share 0.0125]
        [--cells 1000] [--skip 0] [--skip-without 0]
        [--only b_cells,car_t,car_cd4,car_both,second,lyoplate]

For each compartment: cohorts in which ``--share`` of the cells of two of four visits are a
population that no gate describes, and cohorts without any. A cohort is two patients of four visits
with about ``--cells`` cells of the compartment in each tube. Found: a cluster in a list of which at
least 70 % are such cells, and which holds at least half of them (or of those of one kind, where
several kinds are added). Invented: a cluster in a list that is no simulated kind of cell which the
gates leave unnamed. ``car_t`` are CAR-T cells of which CD8 cells come to rest, ``car_cd4`` CD4
cells, ``car_both`` both together. ``second`` are tubes of the second simulator, on which nothing
was calibrated. ``lyoplate`` is the real tube in ../shared/data with the gates of openCyto.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tasks.explore.findings import Findings, findings, judge
from tasks.explore.stability import adjusted_rand
from tasks.explore.unnamed import Part, Unnamed
from tests.explore_cohorts import (
    Cohort,
    b_cohort,
    car_cohort,
    car_phenotype,
    lyoplate_cohort,
    second_b_cohort,
)

FIRST_SEED, FIRST_WITHOUT = 3000, 3500
MOSTLY = 0.7


@dataclass(frozen=True)
class Trial:
    """A simulator of cohorts: the kinds added, and those the gates leave unnamed all the same."""

    cohort: Callable[[int, float, int], Cohort]
    added: frozenset[str]
    unnamed: frozenset[str] = frozenset()
    phenotype: Callable[[str], str] = str


def _car_trial(lineage: Literal["", "cd4", "cd8"]) -> Trial:
    """Add CAR-T cells at rest, of one lineage or (no name) of both."""
    lines = (lineage,) if lineage else ("cd4", "cd8")
    stages = ("naive", "cm", "em", "temra")
    return Trial(
        lambda seed, share, cells: car_cohort(seed, share, cells=cells, lineage=lineage),
        frozenset(f"{line} resting" for line in lines),
        frozenset(f"{line} {stage}" for line in ("cd4", "cd8") for stage in stages),
        car_phenotype,
    )


TRIALS: Mapping[str, Trial] = {
    "b_cells": Trial(
        lambda seed, share, cells: b_cohort(seed, share, cells=cells, dn2=False),
        frozenset({"activated_naive_b"}),
    ),
    "car_t": _car_trial("cd8"),
    "car_cd4": _car_trial("cd4"),
    "car_both": _car_trial(""),
    "second": Trial(
        lambda seed, share, cells: second_b_cohort(seed, share, cells=cells),
        frozenset({"b_dn2"}),
        frozenset({"b_igm_only", "b_naive_igm_low"}),
    ),
}


def main() -> None:
    """Run the trials and print what was found."""
    options = command_line()
    for name in options.only.split(","):
        if name == "lyoplate":
            show_lyoplate()
        else:
            run(name, TRIALS[name], options)


def command_line() -> argparse.Namespace:
    """Read the options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--without", type=int, default=20)
    parser.add_argument("--share", type=float, default=0.0125)
    parser.add_argument("--cells", type=int, default=1000)
    parser.add_argument("--skip", type=int, default=0, help="first cohorts with, judged before")
    parser.add_argument("--skip-without", type=int, default=0, help="the same of those without")
    parser.add_argument("--only", default="b_cells,car_t,second,lyoplate")
    return parser.parse_args()


def run(name: str, trial: Trial, options: argparse.Namespace) -> None:
    """Run one trial with the added population and without it."""
    begun = time.monotonic()
    seeds = range(FIRST_SEED + options.skip, FIRST_SEED + options.seeds)
    others = range(FIRST_WITHOUT + options.skip_without, FIRST_WITHOUT + options.without)
    found = sum(_trial(name, trial, seed, options.share, options.cells)[0] for seed in seeds)
    clean = sum(not _trial(name, trial, seed, 0.0, options.cells)[1] for seed in others)
    print(
        f"{name}: found in {found} of {len(seeds)} cohorts with {options.share:.2%}; nothing "
        f"invented in {clean} of {len(others)} without; {time.monotonic() - begun:.0f} s\n",
        flush=True,
    )


def _trial(name: str, trial: Trial, seed: int, share: float, cells: int) -> tuple[bool, list[str]]:
    """Cluster one cohort; gives whether the added cells were found, and what was invented."""
    cohort = trial.cohort(seed, share, cells)
    kinds = np.array([trial.phenotype(str(kind)) for kind in cohort.kind])
    found_in = findings(cohort.cells, judge(cohort.cells.values, seed=seed))
    added = np.isin(kinds, list(trial.added))
    found, invented, told = False, [], []
    lists = found_in.lists
    for gates, entry in entries(found_in):
        [(kind, number)] = Counter(kinds[entry.events]).most_common(1)
        of_kind = int((kinds == kind).sum())
        text = f"{kind} {number}/{len(entry.events)} (of {of_kind} there are) in {gates}"
        told.append(text)
        of_added = int(added[entry.events].sum())
        if of_added >= MOSTLY * len(entry.events):
            found = found or 2 * of_added >= added.sum() or 2 * number >= of_kind
        elif kind not in trial.unnamed or number < MOSTLY * len(entry.events):
            invented.append(text)
    true = adjusted_rand(np.unique(kinds, return_inverse=True)[1], found_in.judged.labels)
    print(
        f"{name} seed {seed} share {share:.2%}: {len(kinds)} cells, {added.sum()} added, "
        f"{found_in.judged.clusters.count} clusters, ARI with truth {true:.2f}, between parts "
        f"{min(found_in.judged.stability.rand):.2f}, with mixture {found_in.judged.agreement:.2f}; "
        f"unnamed {len(lists.unnamed)}, spanning {len(lists.spanning)}: "
        f"{'; '.join(told) or 'none'}{'; INVENTED ' + str(invented) if invented else ''}",
        flush=True,
    )
    return found, invented


def entries(found: Findings) -> Iterator[tuple[str, Unnamed | Part]]:
    """Yield the clusters of both lists, each with the gates that hold it."""
    for each in found.lists.unnamed:
        yield " and ".join(each.gates) or "no gate", each
    for spanning in found.lists.spanning:
        for part in spanning.parts:
            yield f"{' and '.join(spanning.gates)} (spanning)", part


def show_lyoplate() -> None:
    """Hold clusters of the real tube against its gates."""
    for compartment in ("Live", "CD19andCD20"):
        cohort = lyoplate_cohort(compartment)
        begun = time.monotonic()
        found_in = findings(cohort.cells, judge(cohort.cells.values))
        seconds = time.monotonic() - begun
        rand = adjusted_rand(np.unique(cohort.kind, return_inverse=True)[1], found_in.judged.labels)
        print(
            f"lyoplate {compartment}: {len(cohort.kind)} cells, {found_in.judged.clusters.count} "
            f"clusters, ARI with the gates {rand:.2f}, with mixture "
            f"{found_in.judged.agreement:.2f}, {seconds:.0f} s"
        )
        for name in cohort.cells.populations:
            inside = cohort.cells.inside[:, cohort.cells.populations.index(name)]
            print(f"  {name:14} {inside.sum():6} cells, best Jaccard {best(found_in, inside):.2f}")
        for each, stable in zip(
            found_in.descriptions, found_in.judged.stability.jaccard, strict=True
        ):
            print(f"  cluster {each.cluster + 1}: stability {stable:.2f}; {each.phenotype}")


def best(found: Findings, inside: np.ndarray) -> float:
    """Give the best Jaccard index of a gate among the clusters."""
    shared = [
        float(
            (inside & (found.judged.labels == each)).sum()
            / (inside | (found.judged.labels == each)).sum()
        )
        for each in range(found.judged.clusters.count)
    ]
    return max(shared, default=0.0)


if __name__ == "__main__":
    main()

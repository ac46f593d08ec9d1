"""Put together what clusters say of a compartment: how stable, what they are, what no gate names.

Everything here is found in the reference of a map, once; later tubes are assigned to it.
"""

from dataclasses import dataclass

from tasks.explore.annotation import Description, describe
from tasks.explore.cells import NOISE, Cells, Floats, Integers
from tasks.explore.clusters import Clusters, find_clusters
from tasks.explore.stability import STABLE, Stability, adjusted_rand, stability
from tasks.explore.unnamed import Lists, lists


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """The clusters of a reference and all that is said of them.

    ``labels`` (events,) are the clusters of the reference's cells, NOISE for those in none;
    ``descriptions`` are in the clusters' order. ``agreement`` is the adjusted Rand index between
    them and a Gaussian mixture of the same cells, which assumes other shapes: 1 is the same
    division, 0 chance.
    """

    clusters: Clusters
    labels: Integers
    stability: Stability
    descriptions: tuple[Description, ...]
    lists: Lists
    agreement: float

    @property
    def sentences(self) -> tuple[str, ...]:
        """Say what a reader must know before believing a cluster."""
        return tuple(
            sentence for sentence in (_found(self), _unstable(self), _shifted(self)) if sentence
        )


def find(cells: Cells, *, seed: int = 0) -> Findings:
    """Find and judge the clusters of a compartment.

    The same cells and seed give the same findings. Raises ReconflowError where there are too few
    cells, or no marker in which they differ.
    """
    clusters = find_clusters(cells.values)
    labels = clusters.assign(cells.values)
    judged = stability(cells.values, labels, _by_density, seed=seed)
    mixture = find_clusters(cells.values, "mixture", seed=seed).assign(cells.values)
    return Findings(
        clusters=clusters,
        labels=labels,
        stability=judged,
        descriptions=describe(cells, labels, clusters.count),
        lists=lists(cells, labels, judged.stable),
        agreement=adjusted_rand(labels, mixture),
    )


def _by_density(values: Floats, _seed: int) -> Clusters:
    return find_clusters(values)


def _found(found: Findings) -> str:
    if not found.clusters.count:
        return "No cluster was found: the cells are one cloud, or too thinly spread."
    apart = 100 * float((found.labels == NOISE).mean())
    noun = "cluster" if found.clusters.count == 1 else "clusters"
    return f"{found.clusters.count} {noun}; {apart:.1f} % of the cells belong to none."


def _unstable(found: Findings) -> str:
    unstable = [
        str(number + 1) for number, each in enumerate(found.stability.jaccard) if each < STABLE
    ]
    if not unstable:
        return ""
    return (
        f"Unstable: {', '.join(unstable)}. Without a quarter of the cells they are not found again "
        f"(Jaccard index below {STABLE:g}); they are in no list."
    )


def _shifted(found: Findings) -> str:
    numbers = ", ".join(str(each + 1) for each in found.lists.shifted)
    if not numbers:
        return ""
    return (
        f"In no list: {numbers}. Where they are largest the cells that are usual in the same gates "
        f"are missing, so the stain of that tube may be shifted."
    )

"""Put together what clusters say of a compartment: how stable, what they are, what no gate names.

Everything here is found in the reference of a map, once; later tubes are assigned to it.
"""

from dataclasses import dataclass

from panels.text.plural import counted
from tasks.explore.annotation import Description, describe
from tasks.explore.cells import NOISE, Cells, Floats, Integers
from tasks.explore.clusters import Clusters, DensityClusters, find_clusters, find_density
from tasks.explore.stability import STABLE, Stability, adjusted_rand, stability
from tasks.explore.unnamed import Lists, lists


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """The clusters of a reference: what takes long to find, and is kept.

    ``labels`` (events,) are the clusters of the reference's cells, NOISE for those in none.
    ``agreement`` is the adjusted Rand index between them and a Gaussian mixture of the same cells,
    which assumes other shapes: 1 is the same division, 0 chance.
    """

    clusters: DensityClusters
    labels: Integers
    stability: Stability
    agreement: float


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """The clusters of a reference and all that is said of them, in the clusters' order."""

    judged: Judged
    descriptions: tuple[Description, ...]
    lists: Lists

    @property
    def sentences(self) -> tuple[str, ...]:
        """Say what a reader must know before believing a cluster."""
        return tuple(
            sentence for sentence in (_found(self), _unstable(self), _shifted(self)) if sentence
        )


def judge(values: Floats, *, seed: int = 0) -> Judged:
    """Find the clusters of a reference (events × markers), and how far they are to be believed.

    The same values and seed give the same clusters. Raises ReconflowError where there are too few
    cells, or no marker in which they differ.
    """
    clusters = find_density(values)
    labels = clusters.assign(values)
    mixture = find_clusters(values, "mixture", seed=seed).assign(values)
    return Judged(
        clusters=clusters,
        labels=labels,
        stability=stability(values, labels, _by_density, seed=seed),
        agreement=adjusted_rand(labels, mixture),
    )


def findings(cells: Cells, judged: Judged) -> Findings:
    """Say what the clusters of a compartment's cells are, and which of them no gate names."""
    described = describe(cells, judged.labels, judged.clusters.count)
    return Findings(judged, described, lists(cells, judged.labels, judged.stability.stable))


def _by_density(values: Floats, _seed: int) -> Clusters:
    return find_density(values)


def _found(found: Findings) -> str:
    if not found.judged.clusters.count:
        return "No cluster was found: the cells are one cloud, or too thinly spread."
    apart = 100 * float((found.judged.labels == NOISE).mean())
    clusters = counted(found.judged.clusters.count, "cluster")
    return f"{clusters}; {apart:.1f} % of the map's own cells belong to none."


def _unstable(found: Findings) -> str:
    unstable = [
        str(number + 1)
        for number, each in enumerate(found.judged.stability.jaccard)
        if each < STABLE
    ]
    if not unstable:
        return ""
    one = len(unstable) == 1
    named = f"Cluster {unstable[0]} is" if one else f"Clusters {', '.join(unstable)} are"
    so = "it is not found again" if one else "they are not found again"
    return (
        f"{named} unstable: without a quarter of the cells {so} (Jaccard index below {STABLE:g}); "
        f"{'it is' if one else 'they are'} in no list."
    )


def _shifted(found: Findings) -> str:
    numbers = ", ".join(str(each + 1) for each in found.lists.shifted)
    if not numbers:
        return ""
    return (
        f"In no list: {numbers}. Where they are largest the cells that are usual in the same gates "
        f"are missing, so the stain of that tube may be shifted."
    )

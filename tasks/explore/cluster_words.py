"""Say in sentences what clusters show that gates do not: for the pages, and for the command."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from panels.text.plural import counted
from tasks.explore.annotation import Enrichment
from tasks.explore.compartments import gated_markers
from tasks.explore.unnamed import LEAST_EVENTS, Spanning, Unnamed
from tasks.vocabulary.populations import short_label

if TYPE_CHECKING:
    from tasks.explore.explore import Exploration
    from tasks.explore.findings import Findings


class ClusterWords:
    """Says what was found; of a patient's page (None: of all patients) by that patient's tubes.

    ``labels`` are the populations' names.
    """

    def __init__(
        self,
        done: Exploration,
        found: Findings,
        labels: Mapping[str, str],
        patient: str | None = None,
    ) -> None:
        self._done, self._found, self._labels, self._patient = done, found, labels, patient
        self._strategy = done.compartment.used.release.strategy

    def unnamed(self, each: Unnamed) -> str:
        """Say where the cells of a cluster lie that no gate names, and how many there are."""
        most = f"{self._most(each)}; {counted(len(each.events), 'cell')} of the reference."
        if each.why == "outside":
            told = self._found.descriptions[each.cluster].phenotype
            named = f"Cluster {each.cluster + 1}{f' ({told})' if told else ''}"
            return f"{named} lies in no reported population. {most}"
        return (
            f"Cluster {each.cluster + 1} is held by {self._gates(each.gates)}, but differs from "
            f"the cells that are usual there: {_told(each.apart)}. "
            f"{self._ungated(each.apart)}{most}"
        )

    def spanning(self, each: Spanning) -> str:
        """Say which clusters some gates hold together."""
        parts = [
            f"{each.typical + 1} ({each.share:.0%} of the cells)",
            *(f"{part.cluster + 1} ({part.share:.0%}: {_told(part.apart)})" for part in each.parts),
        ]
        apart = dict.fromkeys(marker for part in each.parts for marker in part.apart)
        held = f"{', '.join(parts[:-1])} and {parts[-1]}"
        return f"{self._gates(each.gates)} hold clusters {held}. {self._ungated(apart)}".strip()

    def shifted(self, cluster: int) -> str:
        """Say why a cluster is more likely a shift of the stain."""
        return (
            f"Cluster {cluster + 1}: where it is largest, the cells that are usual in the same "
            f"gates are missing."
        )

    def whole(self) -> str:
        """Say how many clusters there are, and how far they are to be believed."""
        agreement = (
            f"A Gaussian mixture divides the same cells with an adjusted Rand index of "
            f"{self._found.judged.agreement:.2f} to these clusters (1: the same, 0: chance)."
        )
        return " ".join([*self._found.sentences, agreement])

    def lists(self) -> dict[str, list[dict[str, Any]]]:
        """Give the sentences of the three lists, each with its cluster (from 0)."""
        found = self._found.lists
        return {
            "unnamed": [
                {"cluster": each.cluster, "sentence": self.unnamed(each)} for each in found.unnamed
            ],
            "spanning": [
                {
                    "cluster": each.parts[0].cluster,
                    "clusters": [part.cluster for part in each.parts],
                    "sentence": self.spanning(each),
                }
                for each in found.spanning
            ],
            "shifted": [
                {"cluster": each, "sentence": self.shifted(each)} for each in found.shifted
            ],
        }

    def _most(self, each: Unnamed) -> str:
        """Say how large a cluster is where it is largest; of a patient nobody else's visit."""
        tubes = [
            tube
            for tube in self._done.tubes
            if self._patient in (None, tube.identity.patient)
            and tube.clusters.counts[each.cluster] >= LEAST_EVENTS
        ]
        whose = "" if self._patient is None else " of this patient"
        if not tubes:
            return f"Fewer than {LEAST_EVENTS} such cells in each tube{whose}"
        most = max(tubes, key=lambda tube: tube.clusters.share(each.cluster))
        share, identity = most.clusters.share(each.cluster), most.identity
        if self._patient is not None:
            return f"Up to {share:.1%} of the compartment in this patient ({identity.visit})"
        return f"Up to {share:.1%} of the compartment ({identity.patient}, {identity.visit})"

    def _gates(self, gates: Sequence[str]) -> str:
        *others, last = [short_label(self._labels, gate) for gate in gates]
        return f"{', '.join(others)} and {last}" if others else last

    def _ungated(self, apart: Iterable[Enrichment]) -> str:
        """Say where no gate could tell cells apart: none is drawn on these markers."""
        gated = gated_markers(self._strategy)
        names = dict.fromkeys(each.marker for each in apart if each.marker not in gated)
        if not names:
            return ""
        return f"{self._done.compartment.used.name} has no gate on {', '.join(names)}. "


def _told(apart: Sequence[Enrichment]) -> str:
    return ", ".join(each.word for each in apart)

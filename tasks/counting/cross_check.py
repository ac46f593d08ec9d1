"""Judge the concentrations of one draw by what independent measurements say of each other.

Measurements are independent when they do not share what ties events to a volume: the counting beads
of a tube, the volume it took in, the haematology analyser, the rate at which the beads of its batch
come. Which is believed is this rule:

- Within ``concentration_difference`` (25 %), or within what their own errors explain, they agree.
- Beyond it every number that depends on either is marked ``concentration_contradicted``, and the
  method that the panel names first still gives the value: so small a difference does not show which
  is wrong.
- Beyond ``concentration_refused`` (twofold) there is no value until a person decides, unless more
  of the other independent measurements agree with it than contradict it by so much.
- The bead rate of a batch knows nothing of the lot's number or of the blood, and an operator may
  set another flow: it marks, and neither refuses nor vouches.

An analyser is poor at counting few leukocytes; its own error widens what is allowed there
(``CountErrors.leukocyte_cv``; ICSH reference method for leukopenia).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tasks.counting.draw import Draw
from tasks.counting.draw_comparisons import compare_sources, compare_ties
from tasks.counting.measurements import Comparison
from tasks.vocabulary.populations import LEUKOCYTES

Row = tuple[str, str]
"""A tube's SHA-256 and a population."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What contradicts one row of a draw, and whether its value is refused."""

    contradicting: tuple[Comparison, ...] = ()
    refused: bool = False


@dataclass(frozen=True, slots=True)
class DrawCheck:
    """All comparisons of a draw by tube, and the verdict on each source and on each row."""

    of_tube: Mapping[str, tuple[Comparison, ...]]
    of_source: Mapping[str, Verdict]
    of_row: Mapping[Row, Verdict]

    def verdict(self, sources: Iterable[str], rows: Iterable[Row]) -> Verdict:
        """Join the verdicts on the sources of a number and on its row and those of its anchors."""
        verdicts = [self.of_source[source] for source in sources if source in self.of_source]
        verdicts += [self.of_row[row] for row in rows if row in self.of_row]
        contradicting = dict.fromkeys(c for each in verdicts for c in each.contradicting)
        return Verdict(tuple(contradicting), any(each.refused for each in verdicts))


def check_draw(draw: Draw) -> DrawCheck:
    """Compare every two independent measurements of the tubes of a visit drawn together."""
    of_volumes, of_populations = _by_what_they_judge([*compare_sources(draw)])
    of_ties = [*compare_ties(draw)]
    of_tube: dict[str, list[Comparison]] = {tube.identity.tube_sha256: [] for tube in draw.tubes}
    for each in (*of_volumes, *of_populations, *of_ties):
        for sha in dict.fromkeys((each.one.tube, each.other.tube)):
            of_tube[sha].append(each)
    return DrawCheck(
        of_tube={sha: tuple(comparisons) for sha, comparisons in of_tube.items()},
        of_source=_verdicts_on_sources(of_volumes) | _verdicts_on_anchors(of_ties),
        of_row=_verdicts_on_rows([*of_populations, *of_ties]),
    )


def _by_what_they_judge(
    comparisons: Sequence[Comparison],
) -> tuple[list[Comparison], list[Comparison]]:
    """Part comparisons that judge a volume from those that judge one population.

    Two sources that agree on the leukocytes agree on the volume: where they differ on the
    lymphocytes all the same, it is the lymphocytes' gates that differ.
    """
    agreed = {
        _sources_of(each)
        for each in comparisons
        if each.one.population == LEUKOCYTES and not each.contradicted
    }
    of_volumes: list[Comparison] = []
    of_populations: list[Comparison] = []
    for each in comparisons:
        judges_volume = each.one.population == LEUKOCYTES or _sources_of(each) not in agreed
        (of_volumes if judges_volume else of_populations).append(each)
    return of_volumes, of_populations


def _sources_of(comparison: Comparison) -> tuple[str, str]:
    return comparison.one.source, comparison.other.source


def _verdicts_on_sources(comparisons: Sequence[Comparison]) -> dict[str, Verdict]:
    """Judge each source by the worst that every other source says of it."""
    worst: dict[str, dict[str, Comparison]] = {}
    for each in comparisons:
        one, other = _sources_of(each)
        for source, opposite in ((one, other), (other, one)):
            known = worst.setdefault(source, {}).get(opposite)
            if known is None or _rank(each) > _rank(known):
                worst[source][opposite] = each
    return {source: _verdict([*against.values()]) for source, against in worst.items()}


def _verdict(comparisons: Sequence[Comparison]) -> Verdict:
    contradicting = tuple(each for each in comparisons if each.contradicted)
    refusing = sum(each.refused for each in comparisons)
    agreeing = sum(not each.contradicted for each in comparisons if not each.is_by_rate)
    return Verdict(contradicting, 0 < refusing >= agreeing)


def _verdicts_on_anchors(of_ties: Sequence[Comparison]) -> dict[str, Verdict]:
    """Judge the anchor of each tied tube.

    It is at fault where more of the shared populations contradict it than agree. A single
    population that contradicts it marks both; which of the two is at fault nobody can tell, so it
    refuses itself alone.
    """
    by_anchor: dict[str, list[Comparison]] = {}
    for each in of_ties:
        by_anchor.setdefault(each.one.source, []).append(each)
    verdicts: dict[str, Verdict] = {}
    for anchor, comparisons in by_anchor.items():
        contradicting = tuple(each for each in comparisons if each.contradicted)
        if 2 * len(contradicting) > len(comparisons):
            refusing = sum(each.refused for each in contradicting)
            refused = refusing > 1 and 2 * refusing > len(comparisons)
            verdicts[anchor] = Verdict(contradicting, refused)
    return verdicts


def _verdicts_on_rows(comparisons: Sequence[Comparison]) -> dict[Row, Verdict]:
    """Join all that contradicts a population of a tube.

    What one comparison refuses no milder one gives back.
    """
    verdicts: dict[Row, Verdict] = {}
    for each in comparisons:
        if not each.contradicted:
            continue
        for measured in (each.one, each.other):
            row = measured.tube, measured.population
            known = verdicts.get(row, Verdict())
            verdicts[row] = Verdict((*known.contradicting, each), known.refused or each.refused)
    return verdicts


def _rank(comparison: Comparison) -> tuple[bool, bool, float]:
    return comparison.refused, comparison.contradicted, abs(math.log(comparison.ratio))

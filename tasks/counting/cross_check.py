"""Hold the concentrations of one draw against each other: what two independent measurements say of one number.

Measurements are independent when they do not share what ties events to a volume: the counting beads
of a tube, the volume it took in, the haematology analyser, the rate at which the beads of its batch
come. Which is believed is this rule:

- Within ``concentration_difference`` (25 %), or within what their own errors explain, they agree.
- Beyond it every number that hangs on either is marked ``concentration_contradicted``, and the
  method
  that the panel names first still gives the value: so small a difference does not tell which is wrong.
- Beyond ``concentration_refused`` (twofold) there is no value until a person decides, unless more
  of
  the other independent measurements agree with it than contradict it by so much.
- The bead rate of a batch knows nothing of the lot's number or of the blood, and an operator may
  set
  another flow: it marks, and neither refuses nor vouches.

An analyser is poor at counting few leukocytes; its own error widens what is allowed there
(``CountErrors.leukocyte_cv``; ICSH reference method for leukopenia).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from tasks.counting.bead_rates import STEADY
from tasks.counting.counts import TubeCounts
from tasks.counting.limits import Analyser, LimitSettings
from tasks.counting.volume import (
    ANALYSER,
    Draw,
    Volume,
    analyser_counts,
    anchor_events,
    anchor_source,
    drawn_with,
    own_volumes,
    partner_of,
    same_draw,
)
from tasks.vocabulary.populations import ANCHORS, LEUKOCYTES

_Z = 2.576
"""Two-sided 99 %: several pairs of every draw are compared."""
ANALYSED: tuple[Analyser, ...] = ("leukocytes", "lymphocytes")
BATCH_RATE = "the bead rate of batch"
OTHER_COUNT = "another count of the analyser"
Row = tuple[str, str]
"""A tube's SHA-256 and a population."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One concentration of one population in cells/µL; ``source`` ties it to a volume, ``variance`` is that of its logarithm."""

    source: str
    tube: str
    population: str
    per_ul: float
    variance: float

    @property
    def told(self) -> str:
        """Say who measured what."""
        return f"{float(f'{self.per_ul:.4g}'):.10g}/µL by {self.source}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two measurements of one population of one draw; ``ratio`` is the first over the second."""

    one: Measurement
    other: Measurement
    contradicted: bool
    refused: bool

    @property
    def by_rate(self) -> bool:
        """Tell whether a bead rate is one of the two."""
        return any(each.source.startswith(BATCH_RATE) for each in (self.one, self.other))

    @property
    def ratio(self) -> float:
        """Give the first value over the second."""
        return self.one.per_ul / self.other.per_ul

    @property
    def sentence(self) -> str:
        """Say what the two say."""
        return (
            f"{self.one.population}: {self.one.told} against {self.other.told}, ratio "
            f"{self.ratio:.3g}"
        )

    def numbers(self) -> dict[str, object]:
        """Give the comparison as values JSON can hold."""
        return {
            "population": self.one.population,
            "sources": [self.one.source, self.other.source],
            "per_ul": [float(f"{each.per_ul:.6g}") for each in (self.one, self.other)],
            "ratio": float(f"{self.ratio:.6g}"),
            "contradicted": self.contradicted,
            "beyond_refusal": self.refused,
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the draw says of one row: the comparisons that contradict it, and whether it may still be given."""

    contradicting: tuple[Comparison, ...] = ()
    refused: bool = False


@dataclass(frozen=True, slots=True)
class DrawCheck:
    """All comparisons of a draw by tube, and the verdict on each source and on each (tube, population)."""

    of_tube: Mapping[str, tuple[Comparison, ...]]
    of_source: Mapping[str, Verdict]
    of_row: Mapping[Row, Verdict]

    def verdict(self, sources: Iterable[str], rows: Iterable[Row]) -> Verdict:
        """Join what is held against the sources that a number hangs on, and against its own and its anchors' rows."""
        found = [self.of_source[source] for source in sources if source in self.of_source]
        found += [self.of_row[row] for row in rows if row in self.of_row]
        told = dict.fromkeys(c for each in found for c in each.contradicting)
        return Verdict(tuple(told), any(each.refused for each in found))


def check_draw(draw: Draw) -> DrawCheck:
    """Compare every two independent measurements of the tubes of a visit that were drawn together."""
    volumes = {tube.identity.tube_sha256: own_volumes(draw, tube) for tube in draw.tubes}
    compared, rows = _by_what_they_judge([*_sources_compared(draw, volumes)])
    tied = [*_ties_compared(draw)]
    of_tube: dict[str, list[Comparison]] = {}
    for each in (*compared, *rows, *tied):
        for sha in dict.fromkeys((each.one.tube, each.other.tube)):
            of_tube.setdefault(sha, []).append(each)
    return DrawCheck(
        of_tube={
            tube.identity.tube_sha256: tuple(of_tube.get(tube.identity.tube_sha256, ()))
            for tube in draw.tubes
        },
        of_source=_verdicts(compared) | _verdicts_on_anchors(tied),
        of_row=_verdicts_on_rows([*rows, *tied]),
    )


def _by_what_they_judge(found: Sequence[Comparison]) -> tuple[list[Comparison], list[Comparison]]:
    """Part comparisons that judge a volume from those that judge one population.

    Two sources that agree on the leukocytes agree on the volume: where they differ on the
    lymphocytes all the same, it is the lymphocytes' gates that differ.
    """
    agreed = {
        (e.one.source, e.other.source)
        for e in found
        if e.one.population == LEUKOCYTES and not e.contradicted
    }
    judge_row = [
        (e.one.source, e.other.source) in agreed and e.one.population != LEUKOCYTES for e in found
    ]
    volumes = [each for each, row in zip(found, judge_row, strict=True) if not row]
    return volumes, [each for each, row in zip(found, judge_row, strict=True) if row]


def _sources_compared(draw: Draw, volumes: Mapping[str, Sequence[Volume]]) -> Iterator[Comparison]:
    """Compare what the tubes' own volumes and the analyser say of the populations they share."""
    for tube in draw.tubes:
        sha = tube.identity.tube_sha256
        for pair in combinations(volumes[sha], 2):
            yield from _within_tube(draw, tube, *pair)
        yield from _analyser_counts_compared(draw, tube)
        for volume in volumes[sha]:
            yield from _against_analyser(draw, tube, volume)
            yield from _against_batch(draw, tube, volume)
    for tube, other in combinations(draw.tubes, 2):
        if other not in same_draw(draw, tube):
            continue
        for volume in volumes[tube.identity.tube_sha256][:1]:
            for second in volumes[other.identity.tube_sha256][:1]:
                yield from _between_tubes(draw, tube, volume, (other, second))


def _within_tube(draw: Draw, tube: TubeCounts, one: Volume, other: Volume) -> Iterator[Comparison]:
    """Compare two volumes of one tube by its largest shared population; the count itself cancels out."""
    population = _largest(draw, tube)
    if population is None:
        return
    events, sha = tube.counts[population].events, tube.identity.tube_sha256
    first, second = (
        Measurement(v.sources[0], sha, population, events / v.microlitres, v.relative_variance)
        for v in (one, other)
    )
    yield _compare(first, second, draw.limits)


def _largest(draw: Draw, tube: TubeCounts) -> str | None:
    """Name the first shared population with enough events, else the tube's most frequent one (a strategy may name its own)."""
    shared = next((name for name in ANCHORS if anchor_events(draw, tube, name)), None)
    most = max(tube.counts, key=lambda name: (tube.counts[name].events, name), default=None)
    return shared or (most if most is not None and tube.counts[most].events else None)


def _analyser_counts_compared(draw: Draw, tube: TubeCounts) -> Iterator[Comparison]:
    """Compare the different counts that the sheet gives of one draw."""
    for analysed in ANALYSED:
        counts = sorted(analyser_counts(drawn_with(draw, tube), analysed))
        if len(counts) > 1:
            sha = tube.identity.tube_sha256
            first, last = (
                Measurement(
                    source,
                    sha,
                    analysed,
                    per_ul,
                    draw.limits.errors.analyser_cv(analysed, per_ul) ** 2,
                )
                for source, per_ul in ((ANALYSER, counts[0]), (OTHER_COUNT, counts[-1]))
            )
            yield _compare(first, last, draw.limits)


def _against_analyser(draw: Draw, tube: TubeCounts, volume: Volume) -> Iterator[Comparison]:
    """Compare a volume with the analyser's counts: leukocytes, and the lymphocytes among them. Few events are no excuse."""
    errors, sha = draw.limits.errors, tube.identity.tube_sha256
    for analysed in ANALYSED:
        if analysed not in tube.counts:
            continue
        for per_ul in sorted(analyser_counts(drawn_with(draw, tube), analysed)):
            variance = errors.analyser_cv(analysed, per_ul) ** 2
            yield _compare(
                _measured(tube, analysed, volume),
                Measurement(ANALYSER, sha, analysed, per_ul, variance),
                draw.limits,
            )


def _against_batch(draw: Draw, tube: TubeCounts, volume: Volume) -> Iterator[Comparison]:
    """Compare the beads with their rate in the batch: beads that came half as fast as they should make all counts twice too high."""
    population = _largest(draw, tube)
    if (
        volume.method != "bead"
        or population is None
        or not tube.bead_rate
        or not tube.expected_bead_rate
    ):
        return
    counted = _measured(tube, population, volume)
    implied = counted.per_ul * tube.bead_rate / tube.expected_bead_rate
    source = f"{BATCH_RATE} {tube.identity.batch}"
    yield _compare(
        counted, Measurement(source, counted.tube, population, implied, STEADY**2), draw.limits
    )


def _between_tubes(
    draw: Draw, tube: TubeCounts, volume: Volume, second: tuple[TubeCounts, Volume]
) -> Iterator[Comparison]:
    """Compare the populations that two directly counted tubes share, where one of them has enough events."""
    other, others = second
    for population in ANCHORS:
        counted = population in tube.counts and population in other.counts
        if counted and (
            anchor_events(draw, tube, population) or anchor_events(draw, other, population)
        ):
            yield _compare(
                _measured(tube, population, volume),
                _measured(other, population, others),
                draw.limits,
            )


def _ties_compared(draw: Draw) -> Iterator[Comparison]:
    """Compare the populations of a tube without a volume of its own, tied to another by leukocytes, with the other's."""
    for tube in draw.tubes:
        known = None if own_volumes(draw, tube) else _tied_to(draw, tube)
        if known is None:
            continue
        other, volume = known
        shared = [
            name
            for name in ANCHORS
            if anchor_events(draw, tube, name) and anchor_events(draw, other, name)
        ]
        if not shared:
            continue
        anchor, *rest = shared
        scale = tube.counts[anchor].events / other.counts[anchor].events
        tied = Volume(scale * volume.microlitres, "chain", 0.0)
        common = 1 / tube.counts[anchor].events + 1 / other.counts[anchor].events
        for population in rest:
            one = _measured(
                tube, population, tied, source=anchor_source(tube.identity.tube_sha256, anchor)
            )
            two = _measured(other, population, replace(volume, relative_variance=common))
            yield _compare(one, two, draw.limits)


def _tied_to(draw: Draw, tube: TubeCounts) -> tuple[TubeCounts, Volume] | None:
    """Give the tube that another is compared with: its partner of the chain, else that with most leukocytes, tied to the analyser.

    A tube whose beads are not proven is no such tube: its beads may count as leukocytes.
    """
    partner = partner_of(draw, tube)
    if partner is not None:
        return partner
    counts = analyser_counts(drawn_with(draw, tube), "leukocytes")
    able = [
        (events, each.identity.tube_sha256, each)
        for each in same_draw(draw, tube)
        if (events := anchor_events(draw, each, LEUKOCYTES))
        and (each.beads is None or each.bead_proof == "proven")
    ]
    if len(counts) != 1 or not able:
        return None
    events, sha, other = max(able, key=lambda each: each[:2])
    tied = Volume(
        events / next(iter(counts)), "dual", 0.0, sources=(anchor_source(sha, LEUKOCYTES),)
    )
    return None if other is tube else (other, tied)


def _measured(tube: TubeCounts, population: str, volume: Volume, source: str = "") -> Measurement:
    sha, events = tube.identity.tube_sha256, tube.counts[population].events
    named = source or volume.sources[0]
    seen = max(events, 1)
    return Measurement(
        named, sha, population, seen / volume.microlitres, 1 / seen + volume.relative_variance
    )


def _compare(one: Measurement, other: Measurement, limits: LimitSettings) -> Comparison:
    apart = abs(math.log(one.per_ul / other.per_ul))
    chance = _Z * math.sqrt(one.variance + other.variance)
    contradicted = apart > max(math.log1p(limits.concentration_difference), chance)
    refused = contradicted and apart > math.log(limits.concentration_refused)
    found = Comparison(one, other, contradicted, refused)
    return replace(found, refused=False) if found.by_rate else found


def _verdicts(compared: Sequence[Comparison]) -> dict[str, Verdict]:
    """Judge each source by the worst that every other source says of it."""
    worst: dict[str, dict[str, Comparison]] = {}
    for each in compared:
        for source, other in (
            (each.one.source, each.other.source),
            (each.other.source, each.one.source),
        ):
            known = worst.setdefault(source, {}).get(other)
            if known is None or _rank(each) > _rank(known):
                worst[source][other] = each
    return {source: _verdict(tuple(found.values())) for source, found in worst.items()}


def _verdict(found: Sequence[Comparison]) -> Verdict:
    against = tuple(each for each in found if each.contradicted)
    refusing = sum(each.refused for each in found)
    agreeing = sum(not each.contradicted for each in found if not each.by_rate)
    return Verdict(against, 0 < refusing >= agreeing)


def _verdicts_on_anchors(tied: Sequence[Comparison]) -> dict[str, Verdict]:
    """Judge the anchor of each tied tube: it is at fault where more of the shared populations contradict it than agree.

    A single population that contradicts it marks both; which of the two is at fault nobody can
    tell, so it refuses itself alone.
    """
    by_anchor: dict[str, list[Comparison]] = {}
    for each in tied:
        by_anchor.setdefault(each.one.source, []).append(each)
    found: dict[str, Verdict] = {}
    for source, own in by_anchor.items():
        against = tuple(each for each in own if each.contradicted)
        if 2 * len(against) > len(own):
            refusing = sum(each.refused for each in against)
            found[source] = Verdict(against, refusing > 1 and 2 * refusing > len(own))
    return found


def _verdicts_on_rows(tied: Sequence[Comparison]) -> dict[Row, Verdict]:
    """Join all that contradicts a population of a tube; what one comparison refuses no milder one gives back."""
    found: dict[Row, Verdict] = {}
    for each in tied:
        if each.contradicted:
            for measured in (each.one, each.other):
                row = measured.tube, measured.population
                known = found.get(row, Verdict())
                found[row] = Verdict((*known.contradicting, each), known.refused or each.refused)
    return found


def _rank(each: Comparison) -> tuple[bool, bool, float]:
    return each.refused, each.contradicted, abs(math.log(each.ratio))

"""Compare every two independent measurements of one draw."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from tasks.counting.anchored_volume import ANALYSED, ANALYSER, partner_of
from tasks.counting.bead_rates import STEADY
from tasks.counting.counts import TubeCounts
from tasks.counting.direct_volume import volumes_of_tube
from tasks.counting.draw import Draw, analyser_counts, anchor_events, drawn_with, same_draw
from tasks.counting.measurements import BATCH_RATE, Comparison, Measurement, compare
from tasks.counting.volume import Volume, anchor_source
from tasks.vocabulary.populations import ANCHORS, LEUKOCYTES

OTHER_COUNT = "another count of the analyser"


def compare_sources(draw: Draw) -> Iterator[Comparison]:
    """Compare what the tubes' own volumes and the analyser say of the populations they share."""
    volumes = {tube.identity.tube_sha256: volumes_of_tube(draw, tube) for tube in draw.tubes}
    for tube in draw.tubes:
        in_tube = volumes[tube.identity.tube_sha256]
        for one, other in combinations(in_tube, 2):
            yield from _within_tube(draw, tube, one, other)
        yield from _between_analyser_counts(draw, tube)
        for volume in in_tube:
            yield from _against_analyser(draw, tube, volume)
            yield from _against_batch(draw, tube, volume)
    yield from _between_all_tubes(draw, volumes)


def _between_all_tubes(draw: Draw, volumes: Mapping[str, Sequence[Volume]]) -> Iterator[Comparison]:
    """Compare every two tubes that were drawn together, each by its first volume."""
    for tube, other in combinations(draw.tubes, 2):
        if other not in same_draw(draw, tube):
            continue
        for volume in volumes[tube.identity.tube_sha256][:1]:
            for volume_of_other in volumes[other.identity.tube_sha256][:1]:
                yield from _between_tubes(draw, (tube, volume), (other, volume_of_other))


def _within_tube(draw: Draw, tube: TubeCounts, one: Volume, other: Volume) -> Iterator[Comparison]:
    """Compare two volumes of one tube by its largest shared population.

    The count itself cancels out.
    """
    population = _largest(draw, tube)
    if population is None:
        return
    events, sha = tube.counts[population].events, tube.identity.tube_sha256
    first, second = (
        Measurement(
            source=volume.sources[0],
            tube=sha,
            population=population,
            per_ul=events / volume.microlitres,
            variance=volume.relative_variance,
        )
        for volume in (one, other)
    )
    yield compare(first, second, draw.limits)


def _largest(draw: Draw, tube: TubeCounts) -> str | None:
    """Name the first shared population with enough events, else the tube's most frequent one.

    A strategy may name its populations as it likes, so that none is shared.
    """
    for name in ANCHORS:
        if anchor_events(draw, tube, name):
            return name
    most = max(tube.counts, key=lambda name: (tube.counts[name].events, name), default=None)
    if most is not None and tube.counts[most].events:
        return most
    return None


def _between_analyser_counts(draw: Draw, tube: TubeCounts) -> Iterator[Comparison]:
    """Compare the lowest and the highest count of the analyser that the sheet gives of one draw."""
    for analysed in ANALYSED:
        counts = sorted(analyser_counts(drawn_with(draw, tube), analysed))
        if len(counts) > 1:
            lowest, highest = (
                Measurement(
                    source=source,
                    tube=tube.identity.tube_sha256,
                    population=analysed,
                    per_ul=per_ul,
                    variance=draw.limits.errors.analyser_cv(analysed, per_ul) ** 2,
                )
                for source, per_ul in ((ANALYSER, counts[0]), (OTHER_COUNT, counts[-1]))
            )
            yield compare(lowest, highest, draw.limits)


def _against_analyser(draw: Draw, tube: TubeCounts, volume: Volume) -> Iterator[Comparison]:
    """Compare a volume with the analyser's counts: leukocytes, and the lymphocytes among them.

    Few events are no excuse.
    """
    errors, sha = draw.limits.errors, tube.identity.tube_sha256
    for analysed in ANALYSED:
        if analysed not in tube.counts:
            continue
        for per_ul in sorted(analyser_counts(drawn_with(draw, tube), analysed)):
            variance = errors.analyser_cv(analysed, per_ul) ** 2
            by_analyser = Measurement(ANALYSER, sha, analysed, per_ul, variance)
            yield compare(_measured(tube, analysed, volume), by_analyser, draw.limits)


def _against_batch(draw: Draw, tube: TubeCounts, volume: Volume) -> Iterator[Comparison]:
    """Compare the beads with the rate at which the beads of their batch come.

    Beads that came half as fast as they should make all counts twice too high.
    """
    population = _largest(draw, tube)
    if volume.method != "bead" or population is None:
        return
    if not tube.bead_rate or not tube.expected_bead_rate:
        return
    counted = _measured(tube, population, volume)
    expected = Measurement(
        source=f"{BATCH_RATE} {tube.identity.batch}",
        tube=counted.tube,
        population=population,
        per_ul=counted.per_ul * tube.bead_rate / tube.expected_bead_rate,
        variance=STEADY**2,
    )
    yield compare(counted, expected, draw.limits)


def _between_tubes(
    draw: Draw, one: tuple[TubeCounts, Volume], other: tuple[TubeCounts, Volume]
) -> Iterator[Comparison]:
    """Compare the populations that two directly counted tubes share.

    At least one of the two needs enough events of the population.
    """
    (tube, volume), (second, volume_of_second) = one, other
    for population in ANCHORS:
        if population not in tube.counts or population not in second.counts:
            continue
        if anchor_events(draw, tube, population) or anchor_events(draw, second, population):
            yield compare(
                _measured(tube, population, volume),
                _measured(second, population, volume_of_second),
                draw.limits,
            )


def compare_ties(draw: Draw) -> Iterator[Comparison]:
    """Compare each tube without a volume with the tube that it is tied to.

    The first shared population ties the two; each further one is compared.
    """
    for tube in draw.tubes:
        tie = None if volumes_of_tube(draw, tube) else _tied_to(draw, tube)
        if tie is not None:
            yield from _along_tie(draw, tube, *tie)


def _along_tie(
    draw: Draw, tube: TubeCounts, other: TubeCounts, volume: Volume
) -> Iterator[Comparison]:
    shared = [
        name
        for name in ANCHORS
        if anchor_events(draw, tube, name) and anchor_events(draw, other, name)
    ]
    if not shared:
        return
    anchor, *rest = shared
    source = anchor_source(tube.identity.tube_sha256, anchor)
    here, there = tube.counts[anchor].events, other.counts[anchor].events
    scale = here / there
    tied = Volume(scale * volume.microlitres, "chain", 0.0, sources=(source,))
    common = replace(volume, relative_variance=1 / here + 1 / there)
    for population in rest:
        yield compare(
            _measured(tube, population, tied), _measured(other, population, common), draw.limits
        )


def _tied_to(draw: Draw, tube: TubeCounts) -> tuple[TubeCounts, Volume] | None:
    """Give the tube that another is compared with, and its volume.

    It is the partner of its chain, else the tube with most leukocytes, tied to the analyser. A tube
    whose beads are not proven is no such tube: its beads may count as leukocytes.
    """
    partner = partner_of(draw, tube)
    if partner is not None:
        return partner
    counts = analyser_counts(drawn_with(draw, tube), "leukocytes")
    candidates: list[tuple[int, str, TubeCounts]] = []
    for each in same_draw(draw, tube):
        events = anchor_events(draw, each, LEUKOCYTES)
        if events and (each.beads is None or each.bead_proof == "proven"):
            candidates.append((events, each.identity.tube_sha256, each))
    if len(counts) != 1 or not candidates:
        return None
    events, sha, other = max(candidates, key=lambda each: each[:2])
    if other is tube:
        return None
    per_ul = next(iter(counts))
    source = anchor_source(sha, LEUKOCYTES)
    return other, Volume(events / per_ul, "dual", 0.0, sources=(source,))


def _measured(tube: TubeCounts, population: str, volume: Volume) -> Measurement:
    """Give the concentration of a population by a volume; no event counts as one."""
    events = max(tube.counts[population].events, 1)
    return Measurement(
        source=volume.sources[0],
        tube=tube.identity.tube_sha256,
        population=population,
        per_ul=events / volume.microlitres,
        variance=1 / events + volume.relative_variance,
    )

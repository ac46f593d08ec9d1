"""Turn the events of a visit's tubes into cells/µL, percentages and a code for their worth.

A population that was not detected has no concentration and no percentage, only an upper limit
(``per_ul_high``) and the limit of detection: a bare zero is never a result. The codes are those of
``tasks.counting.result_code``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tasks.counting.anchored_volume import anchored_volume
from tasks.counting.background import NO_BACKGROUNDS, BackgroundKey
from tasks.counting.counts import PopulationCount, TubeCounts
from tasks.counting.cross_check import DrawCheck, Verdict, check_draw
from tasks.counting.direct_volume import direct_volume
from tasks.counting.draw import Draw
from tasks.counting.intervals import difference, garwood, wilson
from tasks.counting.limits import Background, LimitSettings
from tasks.counting.percentages import NO_PERCENTAGES, percentages
from tasks.counting.population_limits import PopulationLimits
from tasks.counting.population_rules import PopulationRule, Rules, reported_rules
from tasks.counting.result_code import Code, CodeInputs, result_code
from tasks.counting.visit import Visit, gather_visit, tube_order
from tasks.counting.volume import CountMethod, Method, Volume
from tasks.vocabulary.flags import Flag


@dataclass(frozen=True, slots=True)
class Quantity:
    """What one population of one tube amounts to; ``None`` is "not given"."""

    count: PopulationCount
    percent_parent: float | None
    percent_reference: float | None
    per_ul: float | None
    per_ul_low: float | None
    per_ul_high: float | None
    lod_per_ul: float | None
    lloq_per_ul: float | None
    code: Code
    method: Method
    flags: tuple[str, ...]
    percent_low: float | None = None
    percent_high: float | None = None
    """The 95 % interval of ``percent_reference`` (Wilson), where that is given."""


def quantify_visit(
    tubes: Sequence[TubeCounts],
    rules: Rules,
    *,
    counting: Mapping[str, tuple[CountMethod, ...]],
    limits: LimitSettings | None = None,
    backgrounds: Mapping[BackgroundKey, Background] = NO_BACKGROUNDS,
) -> list[tuple[TubeCounts, Quantity]]:
    """Quantify every reported population of the tubes of one patient, specimen and visit.

    ``counting`` gives for each panel the methods it may be counted by, best first. Control tubes
    give no rows and anchor nothing. An excluded tube's rows say what it would have given; nothing
    of it enters a row of another tube. A population that the tube has no count of was not measured
    and gives no row, nor does one that is not reported from this specimen. Rows come by collection
    time, panel and tube, then in the strategy's order.
    """

    def gathered(chosen: Sequence[TubeCounts]) -> Visit:
        known = limits or LimitSettings()
        return gather_visit(chosen, rules, counting=counting, limits=known, backgrounds=backgrounds)

    rows = _rows_of_visit(gathered([tube for tube in tubes if not tube.is_excluded]), rules)
    if any(tube.is_excluded for tube in tubes):
        everything = _rows_of_visit(gathered(tubes), rules)
        rows += [(tube, quantity) for tube, quantity in everything if tube.is_excluded]
        rows.sort(key=lambda row: tube_order(row[0]))
    return rows


def _rows_of_visit(visit: Visit, rules: Rules) -> list[tuple[TubeCounts, Quantity]]:
    """Quantify the tubes of a visit by what its draw ties them to."""
    check = check_draw(visit.draw)
    rows: list[tuple[TubeCounts, Quantity]] = []
    for tube in visit.tubes:
        for rule in reported_rules(tube, rules):
            own_limits = visit.limits[tube.identity.tube_sha256, rule.id]
            rows.append((tube, _quantify(visit.draw, check, tube, rule, own_limits)))
    return rows


def _quantify(
    draw: Draw, check: DrawCheck, tube: TubeCounts, rule: PopulationRule, limits: PopulationLimits
) -> Quantity:
    count = tube.counts[rule.id]
    volume, volume_flags = _volume(draw, tube, rule)
    given, percent_flags = percentages(count, rule, draw.limits)
    is_blood = tube.identity.specimen == "blood"
    inputs = CodeInputs(count, rule, limits, volume, needs_volume=is_blood)
    code, code_flags = _code(inputs, given.reference, check, tube, draw.limits)
    if not tube.is_usable or count.events < limits.detect:
        given = NO_PERCENTAGES
    shown = None
    if given.reference is not None:
        shown = wilson(count.events, count.reference_events)
    low, value, high = _concentration(inputs, code)
    flags = (*tube.flags, *count.flags, *volume_flags, *limits.flags, *percent_flags, *code_flags)
    return Quantity(
        count=count,
        percent_parent=given.parent,
        percent_reference=given.reference,
        per_ul=value,
        per_ul_low=low,
        per_ul_high=high,
        lod_per_ul=limits.detect / volume.microlitres if volume else None,
        lloq_per_ul=limits.quantify / volume.microlitres if volume else None,
        code=code,
        method=volume.method if volume else "none",
        flags=tuple(dict.fromkeys(str(flag) for flag in flags)),
        percent_low=shown and 100 * shown.low,
        percent_high=shown and 100 * shown.high,
    )


def _code(
    inputs: CodeInputs,
    percentage: float | None,
    check: DrawCheck,
    tube: TubeCounts,
    settings: LimitSettings,
) -> tuple[Code, tuple[Flag, ...]]:
    """Decide the code by the count, the tube's worth and the other measurements of the draw."""
    code: Code = "NE"
    flags: tuple[Flag, ...] = ()
    if tube.is_usable:
        code, flags = result_code(inputs, percentage, settings)
    verdict = _verdict(check, tube, inputs.rule, inputs.volume)
    if verdict.contradicting:
        flags = (*flags, Flag.CONCENTRATION_CONTRADICTED)
    return ("NE" if verdict.refused else code), flags


def _verdict(
    check: DrawCheck, tube: TubeCounts, rule: PopulationRule, volume: Volume | None
) -> Verdict:
    """Judge a number by its volume and by the populations whose concentrations it is tied to."""
    if volume is None:
        return Verdict()
    return check.verdict(volume.sources, [(tube.identity.tube_sha256, rule.id), *volume.tied_to])


def _volume(
    draw: Draw, tube: TubeCounts, rule: PopulationRule
) -> tuple[Volume | None, tuple[Flag, ...]]:
    """Determine the volume by the first method of the panel that gives one.

    Marrow is diluted with blood to an unknown degree, so it never has a volume.
    """
    if tube.identity.specimen != "blood":
        return None, ()
    flags: list[Flag] = []
    for method in draw.methods_of(tube):
        volume, flags_of_method = _volume_by(method, draw, tube, rule)
        flags += flags_of_method
        if volume:
            is_direct = volume.method in ("bead", "volumetric")
            if is_direct and (tube.identity.tube_sha256, rule.id) in draw.differing:
                flags.append(Flag.REPLICATES_DIFFER)
            return volume, tuple(flags)
    return None, (*flags, Flag.NO_VOLUME)


def _volume_by(
    method: CountMethod, draw: Draw, tube: TubeCounts, rule: PopulationRule
) -> tuple[Volume | None, tuple[Flag, ...]]:
    match method:
        case "chain" | "dual":
            return anchored_volume(draw, tube, rule.id, anchors=rule.anchor, method=method)
        case "bead" | "volumetric":
            return direct_volume(tube, (method,), draw.limits)


def _concentration(
    inputs: CodeInputs, code: Code
) -> tuple[float | None, float | None, float | None]:
    """Give the lower limit, the value and the upper limit in cells/µL.

    What was not detected has an upper limit alone, what is not evaluable nothing. The value is of
    all events counted. The lower limit allows for those that the background explains.
    """
    if inputs.volume is None or code == "NE":
        return None, None, None
    value, interval = inputs.volume.concentration(inputs.count.events)
    if code == "ND":
        return None, None, interval.high
    return interval.low * _net_share(inputs), value, interval.high


def _net_share(inputs: CodeInputs) -> float:
    """Give the lower limit of the events beyond the background (MOVER) over that of all events.

    A background that is assumed has no error of its own.
    """
    events, background = inputs.count.events, inputs.limits.background
    if not events:
        return 1.0
    every = garwood(events).low
    net = every - inputs.limits.assumed
    if background is not None and background.reference_events:
        exposure = inputs.limits.exposed / background.reference_events
        net = difference(events, background.events, exposure).low
    return max(net, 0.0) / every

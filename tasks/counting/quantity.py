"""Turn the events of a visit's tubes into cells/µL, percentages and a code that says what they are worth.

Codes: ``Q`` quantified; ``DNQ`` detected, below the limit of quantification; ``ND`` not detected;
``NE`` not evaluable. A population that was not detected has no concentration and no percentage,
only an upper limit (``per_ul_high``) and the limit of detection: a bare zero is never a result.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal, Protocol

from panels.text.errors import StrategyFault
from tasks.counting.counts import PopulationCount, TubeCounts
from tasks.counting.cross_check import Comparison, DrawCheck, Verdict, check_draw
from tasks.counting.intervals import difference, garwood
from tasks.counting.limits import Background, LimitSettings, event_limits
from tasks.counting.replicates import differing_replicates
from tasks.counting.volume import CountMethod, Draw, Method, Volume, anchored_volume, direct_volume
from tasks.vocabulary.flags import Flag
from tasks.vocabulary.populations import LEUKOCYTES, LYMPHOCYTES, TOTAL_B

Code = Literal["Q", "DNQ", "ND", "NE"]
BackgroundKey = tuple[str, str | None, str]
"""Specimen, CAR reagent, population."""


class PopulationRule(Protocol):
    """What the counting needs to know of a reported population; a strategy's populations have it."""

    @property
    def id(self) -> str: ...
    @property
    def anchor(self) -> tuple[str, ...]: ...
    @property
    def minimum_parent_events(self) -> int: ...
    @property
    def detect_events(self) -> int | None: ...
    @property
    def quantify_events(self) -> int | None: ...
    @property
    def clinical_threshold_per_ul(self) -> float | None: ...
    @property
    def background(self) -> Literal["none", "baseline", "negative"]: ...
    @property
    def specimens(self) -> tuple[str, ...]: ...


Rules = Mapping[str, Mapping[str, PopulationRule]]
"""Strategy (``bcell@1.0.0``) → population id → rule, in the strategy's order."""

NO_BACKGROUNDS: Mapping[BackgroundKey, Background] = MappingProxyType({})


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


@dataclass(frozen=True, slots=True)
class _Limits:
    """From how many events a population of one tube counts, what its background is (None: none is known), and what is doubtful."""

    detect: int
    quantify: int
    background: Background | None
    exposed: int
    flags: tuple[Flag, ...]


@dataclass(frozen=True, slots=True)
class _CodeInputs:
    """All that decides the code of one population in one tube."""

    count: PopulationCount
    rule: PopulationRule
    limits: _Limits
    volume: Volume | None
    needs_volume: bool


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
    give no rows and anchor nothing. A population that the tube has no count of was not measured and
    gives no row, nor does one that is not reported from this specimen. Rows come by collection
    time, panel and tube, then in the strategy's order.
    """
    visit = _visit(tubes, rules, counting, limits or LimitSettings(), backgrounds)
    check = check_draw(visit.draw)
    return [
        (
            tube,
            _quantify(
                visit.draw, check, tube, rule, visit.decided[tube.identity.tube_sha256, rule.id]
            ),
        )
        for tube in visit.tubes
        for rule in _reported(tube, rules)
    ]


def compare_visit(
    tubes: Sequence[TubeCounts],
    rules: Rules,
    *,
    counting: Mapping[str, tuple[CountMethod, ...]],
    limits: LimitSettings | None = None,
) -> dict[str, tuple[Comparison, ...]]:
    """Give by tube (SHA-256) what the independent measurements of a visit say of each other; arguments as for ``quantify_visit``."""
    return dict(
        check_draw(
            _visit(tubes, rules, counting, limits or LimitSettings(), NO_BACKGROUNDS).draw
        ).of_tube
    )


@dataclass(frozen=True, slots=True)
class _Visit:
    """The tubes of a visit that give rows, their limits by (tube, population), and those of them that may be evaluated."""

    tubes: tuple[TubeCounts, ...]
    decided: Mapping[tuple[str, str], _Limits]
    draw: Draw


def _visit(
    tubes: Sequence[TubeCounts],
    rules: Rules,
    counting: Mapping[str, tuple[CountMethod, ...]],
    settings: LimitSettings,
    backgrounds: Mapping[BackgroundKey, Background],
) -> _Visit:
    counted = tuple(sorted((t for t in tubes if not t.identity.control), key=_tube_order))
    in_blood = [tube for tube in tubes if tube.identity.specimen == "blood"]
    decided = {
        (tube.identity.tube_sha256, rule.id): _limits_of(tube, rule, settings, backgrounds)
        for tube in counted
        for rule in _reported(tube, rules)
    }
    usable = tuple(tube for tube in counted if tube.is_usable and tube in in_blood)
    beside = tuple(sorted((tube for tube in in_blood if tube not in usable), key=_tube_order))
    draw = Draw(
        usable,
        counting,
        {key: value.quantify for key, value in decided.items()},
        settings,
        beside=beside,
    )
    return _Visit(counted, decided, replace(draw, differing=differing_replicates(draw)))


def group_by_visit(tubes: Iterable[TubeCounts]) -> dict[tuple[str, str, str], list[TubeCounts]]:
    """Gather the tubes of each (patient, specimen, visit), in order of collection."""
    groups: dict[tuple[str, str, str], list[TubeCounts]] = {}
    for tube in sorted(tubes, key=_tube_order):
        groups.setdefault(
            (tube.identity.patient, tube.identity.specimen, tube.identity.visit), []
        ).append(tube)
    return groups


def rules_of(tube: TubeCounts, rules: Rules) -> Mapping[str, PopulationRule]:
    """Give the rules of the strategy a tube was counted with; raises StrategyFault when it is not among ``rules``."""
    if tube.strategy not in rules:
        raise StrategyFault(
            f"{tube.identity.file}: its counts come from strategy {tube.strategy}, which is "
            f"not among the strategies of this study "
            f"({', '.join(sorted(rules)) or 'none'}). Name it in study.yaml or count the tube "
            f"again."
        )
    return rules[tube.strategy]


def _tube_order(tube: TubeCounts) -> tuple[object, ...]:
    return tube.identity.drawn_at, tube.identity.panel, tube.identity.tube_sha256, tube.strategy


def _reported(tube: TubeCounts, rules: Rules) -> list[PopulationRule]:
    specimen = tube.identity.specimen
    return [
        r for r in rules_of(tube, rules).values() if specimen in r.specimens and r.id in tube.counts
    ]


def _limits_of(
    tube: TubeCounts,
    rule: PopulationRule,
    settings: LimitSettings,
    backgrounds: Mapping[BackgroundKey, Background],
) -> _Limits:
    """Decide from how many events the population counts in this tube, and what is doubtful about its background."""
    count = tube.counts[rule.id]
    background: Background | None = None
    flags: list[Flag] = []
    if rule.background == "baseline":
        background = backgrounds.get((tube.identity.specimen, tube.identity.car_reagent, rule.id))
        flags += _background_flags(tube, rule, background, backgrounds, settings.few_percent_events)
    is_baseline = background is not None and background.tube_sha256 == tube.identity.tube_sha256
    exposed = count.reference_events
    if rule.background == "negative" and count.negatives is not None:
        background, exposed = Background("", *count.negatives), count.parent_events
    decided = event_limits(
        settings,
        exposed,
        detect_events=rule.detect_events,
        quantify_events=rule.quantify_events,
        background=None if is_baseline else background,
    )
    if decided.raised:
        flags.append(Flag.LIMIT_RAISED)
    if is_baseline and count.events >= decided.detect:
        flags.append(Flag.POSITIVE_BEFORE_INFUSION)
    return _Limits(
        decided.detect, decided.quantify, None if is_baseline else background, exposed, tuple(flags)
    )


def _background_flags(
    tube: TubeCounts,
    rule: PopulationRule,
    background: Background | None,
    backgrounds: Mapping[BackgroundKey, Background],
    needed: int,
) -> list[Flag]:
    if background is not None:
        return (
            [Flag.BACKGROUND_FEW_EVENTS]
            if background.reference_events < max(needed, rule.minimum_parent_events)
            else []
        )
    others = any(
        specimen == tube.identity.specimen and population == rule.id
        for specimen, _, population in backgrounds
    )
    return [Flag.NO_BACKGROUND, Flag.REAGENT_CHANGED] if others else [Flag.NO_BACKGROUND]


def _quantify(
    draw: Draw, check: DrawCheck, tube: TubeCounts, rule: PopulationRule, limits: _Limits
) -> Quantity:
    count = tube.counts[rule.id]
    volume, volume_flags = _volume(draw, tube, rule)
    verdict = _verdict(check, tube, rule, volume)
    inputs = _CodeInputs(
        count, rule, limits, volume, needs_volume=tube.identity.specimen == "blood"
    )
    percentages, percent_flags = _percentages(count, rule, draw.limits)
    code, code_flags = _code(inputs, percentages[1], draw.limits) if tube.is_usable else ("NE", ())
    percentages = percentages if tube.is_usable else (None, None)
    if verdict.contradicting:
        code_flags = (*code_flags, Flag.CONCENTRATION_CONTRADICTED)
    if verdict.refused:
        code = "NE"
    if (
        volume is not None
        and volume.method in ("bead", "volumetric")
        and (tube.identity.tube_sha256, rule.id) in draw.differing
    ):
        volume_flags = (*volume_flags, Flag.REPLICATES_DIFFER)
    said = (*tube.flags, *count.flags, *volume_flags, *limits.flags, *percent_flags, *code_flags)
    percent_parent, percent_reference = (
        percentages if count.events >= limits.detect else (None, None)
    )
    low, value, high = _concentration(inputs, code)
    return Quantity(
        count=count,
        percent_parent=percent_parent,
        percent_reference=percent_reference,
        per_ul=value,
        per_ul_low=low,
        per_ul_high=high,
        lod_per_ul=limits.detect / volume.microlitres if volume else None,
        lloq_per_ul=limits.quantify / volume.microlitres if volume else None,
        code=code,
        method=volume.method if volume else "none",
        flags=tuple(dict.fromkeys(str(flag) for flag in said)),
    )


def _verdict(
    check: DrawCheck, tube: TubeCounts, rule: PopulationRule, volume: Volume | None
) -> Verdict:
    """Judge a number by all that it hangs on: its volume, and populations whose concentrations it is tied to."""
    if volume is None:
        return Verdict()
    return check.verdict(volume.sources, [(tube.identity.tube_sha256, rule.id), *volume.tied_to])


def _volume(
    draw: Draw, tube: TubeCounts, rule: PopulationRule
) -> tuple[Volume | None, tuple[Flag, ...]]:
    """Find the volume by the panel's methods: the tube's own, where the panel has them first, else an anchor's.

    Marrow is diluted with blood to an unknown degree, so it never has a volume.
    """
    if tube.identity.specimen != "blood":
        return None, ()
    methods = draw.counting.get(tube.identity.panel, ())
    flags: list[Flag] = []
    for method in methods:
        match method:
            case "chain" | "dual":
                volume, found_flags = anchored_volume(draw, tube, rule.id, rule.anchor, method)
            case "bead" | "volumetric":
                volume, found_flags = direct_volume(tube, (method,), draw.limits)
        flags += found_flags
        if volume:
            return volume, tuple(flags)
    return None, (*flags, Flag.NO_VOLUME)


def _percentages(
    count: PopulationCount, rule: PopulationRule, limits: LimitSettings
) -> tuple[tuple[float | None, float | None], tuple[Flag, ...]]:
    """Give the percentages of parent and reference whose denominators are large enough.

    A subset of B cells needs 100 of them; between 50 and 99 its percentages are given as
    indicative. A population read against a stain's background (CAR T cells) needs 5,000 T cells;
    from the strategy's minimum on its percentages are given and flagged, because in the first week
    after lymphodepletion there are no more. A reference with fewer cells than the population is no
    whole of it, and gives no percentage.
    """
    floor = full = max(1, rule.minimum_parent_events)
    if count.reference in TOTAL_B and rule.id not in TOTAL_B:
        full = max(full, limits.b_subset_events)
        floor = (
            floor
            if floor > limits.b_subset_events
            else min(limits.b_subset_indicative_events, full)
        )
    few = (
        rule.background == "baseline"
        and floor <= count.reference_events < limits.few_percent_events
    )
    denominators = (count.parent_events, count.reference_events)
    parent, reference = (100 * count.events / n if n >= floor else None for n in denominators)
    flags: list[Flag] = [Flag.FEW_T_CELLS] if few else []
    if parent is None or reference is None:
        flags.append(Flag.FEW_PARENT_EVENTS)
    if reference is not None and count.events > count.reference_events:
        reference = None
        flags.append(Flag.REFERENCE_NOT_PARENT)
    if any(floor <= n < full for n in denominators):
        flags.append(Flag.INDICATIVE_PERCENTAGE)
    return (parent, reference), tuple(flags)


def _code(
    inputs: _CodeInputs, percentage: float | None, limits: LimitSettings
) -> tuple[Code, tuple[Flag, ...]]:
    """Decide what the count is worth; too little specimen or too small a denominator is never called "not detected".

    ``percentage`` is that of the reference, which marrow is reported in.
    """
    events, decided, threshold = (
        inputs.count.events,
        inputs.limits,
        inputs.rule.clinical_threshold_per_ul,
    )
    if inputs.needs_volume and inputs.volume is None:
        return "NE", ()
    if not inputs.needs_volume:
        if percentage is None:
            return "NE", ()
        if events < decided.quantify and _too_little_marrow(inputs, limits):
            return "NE", (Flag.FEW_MARROW_CELLS,)
    lloq = decided.quantify / inputs.volume.microlitres if inputs.volume else None
    if (
        lloq is not None
        and threshold is not None
        and events < decided.quantify
        and lloq > threshold
    ):
        return "NE", (Flag.LLOQ_ABOVE_THRESHOLD,)
    if events < decided.detect:
        return "ND", ()
    return ("Q" if events >= decided.quantify else "DNQ"), ()


def _too_little_marrow(inputs: _CodeInputs, limits: LimitSettings) -> bool:
    """Tell whether a marrow tube has too few cells to miss a population; B-cell subsets have their own minimum."""
    count = inputs.count
    if count.reference == LEUKOCYTES:
        return 100 * inputs.limits.detect > limits.marrow_limit_percent * count.reference_events
    return count.reference == LYMPHOCYTES and count.reference_events < limits.minimum_lymphocytes


def _concentration(
    inputs: _CodeInputs, code: Code
) -> tuple[float | None, float | None, float | None]:
    """Give low, value and high in cells/µL: only the upper limit when not detected, nothing when not evaluable.

    The value is of all events counted. The lower limit allows for those that the background
    explains.
    """
    if inputs.volume is None or code == "NE":
        return None, None, None
    value, interval = inputs.volume.concentration(inputs.count.events)
    return (
        (None, None, interval.high)
        if code == "ND"
        else (interval.low * _net_share(inputs), value, interval.high)
    )


def _net_share(inputs: _CodeInputs) -> float:
    """Give the lower limit of the events beyond the background (MOVER) over that of all events."""
    events, background = inputs.count.events, inputs.limits.background
    if background is None or not background.reference_events or not events:
        return 1.0
    net = difference(events, background.events, inputs.limits.exposed / background.reference_events)
    return max(net.low, 0.0) / garwood(events).low

"""Decide from how many events one population of one tube is detected and quantified."""

from collections.abc import Mapping
from dataclasses import dataclass

from tasks.counting.background import BackgroundKey, background_flags
from tasks.counting.counts import TubeCounts
from tasks.counting.limits import Background, LimitSettings, event_limits, limit_of_blank
from tasks.counting.population_rules import PopulationRule
from tasks.vocabulary.flags import Flag


@dataclass(frozen=True, slots=True)
class PopulationLimits:
    """The limits of one population of one tube, in events.

    ``background`` is what its stain shows without its cells (``None``: unknown), ``exposed`` the
    events of this tube in which that background may appear; ``flags`` say what is doubtful.
    """

    detect: int
    quantify: int
    background: Background | None
    exposed: int
    flags: tuple[Flag, ...]


def population_limits(
    tube: TubeCounts,
    rule: PopulationRule,
    settings: LimitSettings,
    backgrounds: Mapping[BackgroundKey, Background],
) -> PopulationLimits:
    """Decide from how many events the population counts in this tube.

    The tube that shows the patient's background has none itself: what is detected in it is flagged.
    Where a stain's background is unknown its declared share of the reference is taken to be one; so
    it is where a pre-infusion tube has too few events to tell, and shows no more than that share.
    """
    count = tube.counts[rule.id]
    background: Background | None = None
    flags: list[Flag] = []
    if rule.background == "baseline":
        background = backgrounds.get((tube.identity.specimen, tube.identity.car_reagent, rule.id))
        flags += background_flags(
            tube,
            rule,
            background=background,
            backgrounds=backgrounds,
            few_events=settings.few_percent_events,
        )
    is_baseline = background is not None and background.tube_sha256 == tube.identity.tube_sha256
    if is_baseline:
        background = None
    exposed = count.reference_events
    if rule.background == "negative" and count.negatives is not None:
        background, exposed = Background("", *count.negatives), count.parent_events
    assumed = _assumed(rule, settings, exposed, background)
    if assumed is not None:
        background = None
    decided = event_limits(
        settings,
        exposed,
        detect_events=rule.detect_events,
        quantify_events=rule.quantify_events,
        background=background,
        assumed=assumed or 0.0,
    )
    if decided.raised:
        flags.append(Flag.LIMIT_RAISED)
    if is_baseline and count.events >= decided.detect:
        flags.append(Flag.POSITIVE_BEFORE_INFUSION)
    return PopulationLimits(decided.detect, decided.quantify, background, exposed, tuple(flags))


def _assumed(
    rule: PopulationRule, settings: LimitSettings, exposed: int, background: Background | None
) -> float | None:
    """Give the background events to assume, or None where a tube tells, or none are looked for."""
    if rule.background != "baseline":
        return None
    share = rule.stains * settings.background_share
    if background is not None:
        is_poor = background.reference_events < settings.few_percent_events
        usual = limit_of_blank(share * background.reference_events)
        if not (is_poor and share) or background.events > usual:
            return None
    return share * exposed

"""Decide from how many events one population of one tube is detected and quantified."""

from collections.abc import Mapping
from dataclasses import dataclass

from tasks.counting.background import BackgroundKey, background_flags
from tasks.counting.counts import TubeCounts
from tasks.counting.limits import Background, LimitSettings, event_limits
from tasks.counting.population_rules import PopulationRule
from tasks.vocabulary.flags import Flag


@dataclass(frozen=True, slots=True)
class PopulationLimits:
    """The limits of one population of one tube, in events.

    ``background`` is what its stain shows without its cells (``None``: unknown), ``exposed`` the
    events of this tube in which that background may appear, ``assumed`` the background events that
    are taken for granted where it is unknown; ``flags`` say what is doubtful.
    """

    detect: int
    quantify: int
    background: Background | None
    exposed: int
    assumed: float
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
    assumed = 0.0
    if rule.background == "baseline" and not _tells(background, rule, settings):
        background, assumed = None, _share(rule, settings) * exposed
    decided = event_limits(
        settings,
        exposed,
        detect_events=rule.detect_events,
        quantify_events=rule.quantify_events,
        background=background,
        assumed=assumed,
    )
    if decided.raised:
        flags.append(Flag.LIMIT_RAISED)
    if is_baseline and count.events >= decided.detect:
        flags.append(Flag.POSITIVE_BEFORE_INFUSION)
    return PopulationLimits(
        decided.detect, decided.quantify, background, exposed, assumed, tuple(flags)
    )


def _tells(background: Background | None, rule: PopulationRule, settings: LimitSettings) -> bool:
    """Tell whether a tube before infusion says more of a stain's background than its usual share.

    One of few events does where it shows more than that share: what a patient's own blood shows is
    never replaced by a smaller number.
    """
    if background is None:
        return False
    usual = _share(rule, settings) * background.reference_events
    return (
        background.reference_events >= settings.few_percent_events
        or not usual
        or background.events > usual
    )


def _share(rule: PopulationRule, settings: LimitSettings) -> float:
    """Give the share of the reference that is taken to be background where no tube tells."""
    return rule.stains * settings.background_share

"""List every reason why a parameter has no value, each with the sentence that explains it.

A reason stands in the definition of the parameter, before its version:
``PKNCA-like:never-quantified@1``.
"""

import re

from tasks.vocabulary.explained_word import Explained, ExplainedWord


class Why(ExplainedWord):
    """One reason why a parameter cannot be given."""

    NO_SAMPLE = Explained("no-sample", "no evaluable sample from the infusion on")
    NEVER_QUANTIFIED = Explained("never-quantified", "no sample from the infusion on is quantified")
    ONE_QUANTIFIED = Explained("one-quantified", "only one sample is quantified")
    NOT_SAMPLED_THERE = Explained(
        "not-sampled-there",
        "no sample near the end of the interval, though the cells were quantified after it",
    )
    NOTHING_BY_THE_END = Explained(
        "nothing-by-the-end",
        "the cells were quantified only after the end of the interval",
    )
    ENDED_BEFORE = Explained("ended-before", "the samples end before the end of the interval")
    LOSS_UNSEEN = Explained(
        "loss-unseen",
        "the cells were lost between a sample before the end of the interval and one that comes "
        "too late after it",
    )
    STILL_QUANTIFIED = Explained("still-quantified", "the last sample is still quantified")
    NO_SENSITIVE_SAMPLE = Explained(
        "no-sensitive-sample",
        "no later sample could have quantified what was last seen",
    )
    BLQ_LEFT_OUT = Explained(
        "blq-left-out",
        "the study's rules leave out samples below the limit after the last quantified one",
    )
    FEW_AFTER_PEAK = Explained(
        "few-after-peak",
        "fewer quantified samples after the peak than a half-life needs",
    )
    NOT_FALLING = Explained("not-falling", "the last samples do not fall steadily")
    POOR_FIT = Explained(
        "poor-fit",
        "the last samples do not lie on a straight line (logarithmic scale)",
    )
    SHORT_SPAN = Explained("short-span", "the samples of the decline span too few half-lives")
    MUCH_BEYOND = Explained(
        "much-beyond",
        "too much of the whole exposure would lie beyond the last sample",
    )
    FEW_UP_TO_PEAK = Explained("few-up-to-peak", "fewer than two quantified samples up to the peak")
    NOT_RISING = Explained("not-rising", "the samples up to the peak do not rise steadily")
    NOT_SAMPLED_AT_WEEK_24 = Explained("no-sample-at-week-24", "no evaluable sample around week 24")
    QUANTIFIED_LATER = Explained(
        "quantified-later",
        "not quantified around week 24, but later: the cells were not lost",
    )
    TOO_HIGH = Explained(
        "too-high",
        "the limit of quantification around week 24 is too high to say that the cells are gone",
    )
    EARLIER_REAGENT = Explained(
        "earlier-reagent",
        "the cells stood elsewhere at infusion, measured with another reagent",
    )
    FEW_POINTS = Explained(
        "fewer-than-6-points",
        "fewer than six quantified samples after the peak",
    )
    SHORT_DECLINE = Explained("less-than-28-days", "less than four weeks of quantified decline")
    ONE_PHASE = Explained("one-phase-only", "one phase explains the decline as well as two")
    NO_VISIT = Explained("no-visit", "no evaluable visit after infusion")
    NEVER_DEPLETED = Explained("never-depleted", "no visit after infusion is depleted")
    DEPLETION_UNKNOWN = Explained(
        "depletion-unknown",
        "a visit that may have been depleted could not tell",
    )
    NOT_RECOVERED = Explained("not-recovered", "not recovered when last seen")
    FEW_B_CELLS = Explained("few-B-cells", "no tube since recovery has 100 B cells")
    NO_BASELINE = Explained("no-baseline", "no quantified visit before infusion to compare with")
    BELOW_LIMIT = Explained("below-limit", "not detected: only an upper limit is known")


def because(rule: str, why: Why) -> str:
    """Put the reason into a versioned rule: ``PKNCA-like@1`` → ``PKNCA-like:no-sample@1``."""
    name, _, version = rule.rpartition("@")
    return f"{name}:{why}@{version}"


def why_of(definition: str) -> Why | None:
    """Find the reason in a definition, or ``None`` where it gives none."""
    words = re.split(r"[:@;]", definition)
    return next((why for why in Why if why.value in words), None)

"""Tell when one visit label is used for two draws.

A table that has one row a visit would silently lose one of them.
"""

from collections.abc import Iterable
from datetime import timedelta

from tasks.vocabulary.moments import comparable, elapsed_days
from tasks.vocabulary.tube_identity import TubeIdentity

Draw = tuple[str, str, str]


def draw_of(identity: TubeIdentity) -> Draw:
    """Give what the tubes of one draw have in common: patient, specimen and visit."""
    return identity.patient, identity.specimen, identity.visit


def two_draws(
    identity: TubeIdentity, others: Iterable[TubeIdentity], same_draw_hours: float
) -> str | None:
    """Say which other tube has the same patient, specimen and visit, but another time of draw.

    Times more than ``same_draw_hours`` apart are those of two draws. Controls count nowhere and
    are left out.
    """
    if identity.control:
        return None
    for other in others:
        if not _is_of_the_same_label(identity, other):
            continue
        days = abs(elapsed_days(other.collected, identity.collected, identity.time_zone))
        if days > timedelta(hours=same_draw_hours) / timedelta(days=1):
            return (
                f"{identity.file} (collected {identity.collected.isoformat()}) and "
                f"{other.file} (collected {other.collected.isoformat()}) "
                f"are both {identity.specimen} of {identity.patient}, visit {identity.visit}, "
                f"but were drawn "
                f"{days:.1f} days apart. Correct 'collected', or give "
                f"each draw a visit of its own."
            )
    return None


def _is_of_the_same_label(identity: TubeIdentity, other: TubeIdentity) -> bool:
    """Tell whether another tube, no control, has this draw's label and a comparable time."""
    if other.tube_sha256 == identity.tube_sha256 or other.control:
        return False
    if draw_of(other) != draw_of(identity):
        return False
    return comparable(other.collected, identity.collected, identity.time_zone)

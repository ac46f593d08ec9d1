"""Say where a tube's tables are of another strategy or calibration than what counts it now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.store.gatings import gatings_of

if TYPE_CHECKING:
    from tasks.store.gatings import TubeGating
    from tasks.store.opening import Store


def counted_otherwise(store: Store, now: TubeGating) -> str:
    """Say that a tube was never counted with what counts it now, which ``now`` is of.

    So it is between a release (or a promotion) and the next run. Empty where it was counted so.
    """
    known = gatings_of(store, now.tube_sha256)
    if not known or any(each.binding == now.binding for each in known):
        return ""
    # Counts with another strategy may have been made only to be compared.
    alike = [each for each in known if each.strategy == now.strategy]
    former = (alike or known)[-1]
    return (
        f"Without a correction this tube waits to be counted with {_numbers_of(now)} until the "
        f"next run; its tables are of {_numbers_of(former)}. The events before and after are both "
        f"counted with {_numbers_of(now)}: those before are not those of the tables."
    )


def _numbers_of(gating: TubeGating) -> str:
    return " and ".join(filter(None, (gating.strategy, gating.calibration)))

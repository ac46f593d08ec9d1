"""Write into a patient's rows which decisions of reviewers hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tasks.counting.counts import Review as ReviewState
from tasks.counting.counts import TubeCounts
from tasks.kinetics.schema import KINETICS
from tasks.publish.tables import csv_bytes
from tasks.review.decisions import tube_reviews
from tasks.review.seen import rows_in
from tasks.store.reviews import Review

if TYPE_CHECKING:
    import pandas as pd

COLUMN = "review"
KEPT: ReviewState = "excluded"
"""A state that is no decision on numbers: an excluded tube stays so whatever its numbers are."""


def with_reviews(
    kinetics: pd.DataFrame, tubes: Sequence[TubeCounts], decisions: Sequence[Review]
) -> tuple[pd.DataFrame, list[TubeCounts]]:
    """Give a patient's rows and tubes with the decisions that hold for these very numbers.

    The decisions are compared with the rows as they are about to be published, so nobody sees an
    accepted number that the reviewer did not see.
    """
    if not decisions:
        return kinetics, list(tubes)
    held = tube_reviews(rows_in(csv_bytes(kinetics, KINETICS)), decisions)
    states = {sha256: each.state for sha256, each in held.items()}
    reviewed = [
        tube
        if tube.review == KEPT
        else replace(tube, review=states.get(tube.identity.tube_sha256, ""))
        for tube in tubes
    ]
    by_tube = {tube.identity.tube_sha256: tube.review for tube in reviewed}
    states_of_rows = [by_tube.get(sha256, "") for sha256 in kinetics["tube_sha256"]]
    return kinetics.assign(**{COLUMN: states_of_rows}), reviewed

"""What would be another with a draft reads as in a report: names, units, intervals in words."""

import pandas as pd
import pytest

from tasks.concordance.compare import CHANGED, changed_parameters
from tasks.drafts.changed_words import amount_words, changed_words

RECOVERY = {
    "patient": "P01",
    "specimen": "blood",
    "population": "b_cells",
    "parameter": "recovery_B_20",
    "value": None,
    "low": 56.0,
    "high": 84.0,
    "unit": "d",
    "censoring": "interval",
    "points": 5.0,
    "definition": "",
}


def test_a_recovery_that_would_be_another_is_named_with_its_days() -> None:
    before = pd.DataFrame([RECOVERY])
    after = pd.DataFrame([RECOVERY | {"low": 84.0, "high": 112.0}])
    (row,) = changed_parameters(before, after, amount_words)
    said = changed_words(dict(zip(CHANGED, row, strict=True)))
    assert said["what"] == "Recovery to 20 B cells per µL"
    assert "day 56" in said["today"]
    assert "day 112" in said["draft"]
    assert not any(mark in said["today"] for mark in "(]–")
    assert list(changed_parameters(before, before, amount_words)) == []


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        ("12.3", "12.3 cells/µL"),
        ("2.1 (DNQ)", "2.1 cells/µL (DNQ)"),
        ("<1.1", "<1.1 cells/µL"),
        ("<0.03 %", "<0.03 %"),
        ("NE", "NE"),
        ("ND", "ND"),
    ],
)
def test_a_result_has_its_unit(printed: str, said: str) -> None:
    row = dict.fromkeys(CHANGED, "") | {"day": float("nan"), "what": "clinical threshold 10/uL"}
    words = changed_words(row | {"current": printed, "other": "NE"})
    assert (words["today"], words["draft"], words["day"]) == (said, "NE", None)
    assert words["what"] == "clinical threshold 10 cells/µL"

"""Show the counts of an imported workspace: every gate of every sample, the worst first."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gating.exchange.adopt_workspace import Adoption
from gating.exchange.recorded_counts import Compared, Verdict
from tasks.publish.pages import render


@dataclass(frozen=True, slots=True)
class VerdictWords:
    """How a verdict is shown: a sign and a colour (by its severity), and what it means."""

    sign: str
    severity: str
    meaning: str


VERDICTS: Mapping[Verdict, VerdictWords] = {
    "differs": VerdictWords(
        "✗",
        "bad",
        "Our count of the same gate on the same file is not what FlowJo recorded, beyond what its "
        "binning can do. Do not use the strategy before the cause is known.",
    ),
    "another FCS file": VerdictWords(
        "✗", "bad", "The file at hand is not the one the gates were drawn on."
    ),
    "unreadable FCS file": VerdictWords("✗", "bad", "The file at hand cannot be read."),
    "own gate in this sample": VerdictWords(
        "◆",
        "look",
        "The sample has this gate, or one above it, drawn otherwise than the strategy. Under its "
        "own gates the recorded count is met; under the strategy the sample counts as shown until "
        "it is corrected. DEVIATIONS.csv lists both.",
    ),
    "no FCS file": VerdictWords("?", "look", "The sample's file is not at hand: nothing to count."),
    "not carried over": VerdictWords(
        "?", "look", "The strategy has no such gate: IMPORT.md says why."
    ),
    "not counted": VerdictWords("?", "look", "The file could not be counted: IMPORT.md says why."),
    "not counted by FlowJo": VerdictWords(
        "?", "look", "FlowJo had not counted this sample when the workspace was saved."
    ),
    "not in this sample": VerdictWords(
        "?", "look", "The strategy has this gate, the sample has not: nothing was recorded."
    ),
    "sample left out": VerdictWords("–", "know", "The sample is not of this panel or group."),
    "within the binning": VerdictWords(
        "≈",
        "good",
        "The recorded count lies where FlowJo's binning puts it: FlowJo decides polygons and "
        "ellipses by 256 parts of each axis, we by the exact place.",
    ),
    "same": VerdictWords("✓", "good", "Recorded and counted are the same number."),
}
"""The verdicts, the worst first."""


def import_page(adoption: Adoption) -> str:
    """Write the page of an adopted workspace, self-contained."""
    rows = sorted(adoption.compared, key=_worst_first)
    many = Counter(row.verdict for row in rows)
    return render(
        "import_counts.html",
        {
            "adoption": adoption,
            "strategy": adoption.imported.document,
            "rows": rows,
            "deviations": adoption.deviations,
            "in_words": _in_words,
            "verdicts": VERDICTS,
            "severity": {verdict: words.severity for verdict, words in VERDICTS.items()},
            "many": many,
            "sentence": _sentence(rows, many),
            "samples": list(dict.fromkeys(row.sample for row in adoption.compared)),
        },
    )


def _worst_first(row: Compared) -> tuple[int, float, int]:
    order = list(VERDICTS).index(row.verdict)
    return order, -abs(row.percent or 0.0), -abs(row.difference or 0)


def _sentence(rows: Sequence[Compared], many: Counter[Verdict]) -> str:
    """Say in one sentence whether the counts agree."""
    counted = [row for row in rows if row.counted is not None and row.recorded is not None]
    alike = many["same"] + many["within the binning"]
    if not counted:
        return "No count could be compared: no sample's FCS file is at hand."
    if len(counted) == alike:
        return f"All {alike:,} counts that could be compared agree with those FlowJo recorded."
    parts = [f"{alike:,} of {len(counted):,} counts agree with those FlowJo recorded."]
    differing, own = many["differs"], many["own gate in this sample"]
    if differing:
        verb = "differs" if differing == 1 else "differ"
        parts.append(f"{differing:,} {verb} beyond FlowJo's binning.")
    if own:
        one, several = (
            "is of a sample with a gate of its own",
            "are of samples with gates of their own",
        )
        parts.append(f"{own:,} {one if own == 1 else several}.")
    return " ".join(parts)


def _in_words(shape: str) -> str:
    """Write a shape of DEVIATIONS.csv to be read at a glance; leave anything else as it is."""
    try:
        (kind, drawn), *_ = json.loads(shape).items()
    except ValueError:
        return shape
    if kind == "rectangle":
        return "; ".join(f"{axis} {_limits(limits)}" for axis, limits in drawn.items())
    if kind == "outside":
        return f"outside of: {_in_words(json.dumps(drawn))}"
    if kind == "polygon":
        corners = len(drawn["vertices"])
        return f"polygon of {corners} corners on {drawn['x']} and {drawn['y']}"
    if kind == "ellipse":
        return f"ellipse on {drawn['x']} and {drawn['y']}"
    return f"{kind.replace('_', ' ')} {', '.join(map(str, drawn))}"


def _limits(limits: Mapping[str, float]) -> str:
    words = {"above": "from", "below": "below"}
    return " ".join(f"{words[end]} {value:,.6g}" for end, value in limits.items())

"""Write the page of one tube: its gates drawn and counted, its thresholds and its flags."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gating.display.gate_view import GateView
from tasks.publish.gating_picture import draw_gating_page, share_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class TubePage:
    """What the head of a tube's page says.

    ``flags`` pairs each flag with its meaning in words; ``beads`` says how many there are;
    ``calibration`` names the numbers that counted, and ``uncalibrated`` says what is counted with
    numbers of another instrument, and why (empty: nothing is).
    """

    patient: str
    visit: str
    specimen: str
    panel: str
    strategy: str
    strategy_sha256: str
    tube_sha256: str
    events: int
    flags: Mapping[str, str]
    beads: str = ""
    panel_version: str = ""
    panel_sha256: str = ""
    calibration: str = ""
    calibration_sha256: str = ""
    uncalibrated: str = ""


@dataclass(frozen=True, slots=True)
class ThresholdLine:
    """One boundary of one gate, as the page lists it; ``value`` is in compensated channel units."""

    gate: str
    channel: str
    value: float
    source: str
    rationale: str = ""


def gating_figure(tube: TubePage, views: Sequence[GateView]) -> "Figure":
    """Draw the gating page of a tube under its usual title."""
    title = f"{tube.patient}  ·  {tube.visit}  ·  {tube.panel}"
    facts = [
        tube.specimen,
        "1 event" if tube.events == 1 else f"{tube.events:,} events",
        f"strategy {tube.strategy} ({tube.strategy_sha256[:12]})",
        f"tube {tube.tube_sha256[:12]}",
    ]
    if tube.flags:
        facts.append(f"flags: {', '.join(tube.flags)}")
    return draw_gating_page(title, "   ·   ".join(facts), views)


def render_gating_page(
    tube: TubePage, views: Sequence[GateView], thresholds: Sequence[ThresholdLine], png: bytes
) -> str:
    """Write the self-contained HTML page of a tube around its gating picture."""
    from tasks.publish.pages import render

    gates = [(view, "›  " * max(0, len(view.path) - 2), share_text(view)) for view in views]
    return render(
        "gating.html", {"tube": tube, "gates": gates, "thresholds": thresholds, "png": png}
    )

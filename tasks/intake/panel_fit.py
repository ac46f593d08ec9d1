"""Check whether a tube can be gated with the panel it was stained for.

``refusal`` is the one judgement of a tube against its panel: intake and ``reconflow inspect`` both
use it, so that what one accepts the other does, in the same words.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gating.evaluation.compensation import compensation_fault, raw_spectral
from gating.fcs.header import TubeHeader
from panels.catalogue import load_panel, panel_names
from panels.panel import Panel, match_panel, plain
from panels.text.errors import PanelFault
from panels.text.spelling import nearest
from tasks.vocabulary.tube_identity import TubeIdentity

_FMO = "fmo:"
_MOST_SENTENCES = 4


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why a tube cannot be gated: it waits when the sheet can be corrected, else it is refused."""

    state: Literal["waiting", "quarantined"]
    sentence: str


def find_misfit(
    header: TubeHeader,
    identity: TubeIdentity,
    own_panels: Path,
    secret: frozenset[str] = frozenset(),
) -> Misfit | None:
    """Compare a tube with the panel its sheet names, without the marker an FMO control leaves out.

    ``secret`` are the columns that a keyword of the file filled, which no sentence repeats.
    """
    known = panel_names(own_panels)
    if identity.panel not in known:
        hint = nearest(identity.panel, known) or f"; known are: {', '.join(known)}"
        named = "that a keyword of the file names" if "panel" in secret else f"'{identity.panel}'"
        return Misfit("waiting", f"There is no panel {named}{hint}")
    try:
        panel = load_panel(identity.panel, own_panels)
    except PanelFault as fault:
        return Misfit("waiting", str(fault))
    marker = _left_out_by(identity.control or "")
    if marker and not _has_marker(panel, marker):
        return Misfit("waiting", _unknown_marker(panel, marker, secret))
    sentence = refusal(header, without_fmo(panel, identity.control or ""), own_panels)
    if sentence:
        return Misfit("quarantined", sentence)
    return None


def refusal(header: TubeHeader, panel: Panel, own_panels: Path | None) -> str | None:
    """Say why a tube of this panel is refused, or nothing.

    A marker is not in place, or the tube cannot be compensated.
    """
    problems = match_panel(panel, header.channels).problems
    if not problems:
        return compensation_fault(header, panel)
    raw = raw_spectral(header)
    if raw:
        return raw
    sentences = " ".join(problems[:_MOST_SENTENCES])
    if len(problems) > _MOST_SENTENCES:
        sentences += f" ({len(problems) - _MOST_SENTENCES} more like this.)"
    better = _better(header, own_panels)
    return f"{better}The tube does not fit the panel {panel.panel}. {sentences}"


def without_fmo(panel: Panel, control: str) -> Panel:
    """Let the marker be missing that a control of ``samples.csv`` (``fmo:CD27``) leaves out."""
    marker = _left_out_by(control)
    return _without(panel, marker) if marker else panel


def _left_out_by(control: str) -> str:
    marker = control.removeprefix(_FMO)
    return "" if marker == "batch" else marker


def _has_marker(panel: Panel, marker: str) -> bool:
    return plain(marker) in {plain(stain.marker) for stain in panel.markers}


def _unknown_marker(panel: Panel, marker: str, secret: frozenset[str]) -> str:
    named, hint = f"'{marker}'", nearest(marker, [stain.marker for stain in panel.markers])
    if "control" in secret:
        named = "what a keyword of the file names"
    return f"control: {named} is not a marker of the panel {panel.panel}{hint}"


def _without(panel: Panel, marker: str) -> Panel:
    """Drop the one stain that a fluorescence-minus-one control leaves out."""
    markers = list(panel.markers)
    for place, stain in enumerate(markers):
        if plain(stain.marker) == plain(marker):
            markers[place] = stain.model_copy(update={"required": False})
    return panel.model_copy(update={"markers": tuple(markers)})


def _better(header: TubeHeader, own_panels: Path | None) -> str:
    """Name the panels that would fit: most often the sheet names the wrong one."""
    fitting = []
    for name in panel_names(own_panels):
        try:
            fits = match_panel(load_panel(name, own_panels), header.channels).fits
        except PanelFault:
            continue
        if fits:
            fitting.append(name)
    if not fitting:
        return ""
    return f"It fits the panel {' or '.join(fitting)}: correct the sample sheet. "

"""Check whether a tube can be gated with the panel it was stained for."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gating.events import TubeHeader
from panels.catalogue import load_panel, panel_names
from panels.errors import PanelFault
from panels.panel import Panel, match_panel, plain
from panels.spelling import nearest
from tasks.identity import TubeIdentity

_FMO = "fmo:"
_MOST_SENTENCES = 4


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why a tube cannot be gated: it ``waits`` when the sheet can mend it, else it is refused."""

    state: Literal["waiting", "quarantined"]
    sentence: str


def find_misfit(header: TubeHeader, identity: TubeIdentity, own_panels: Path) -> Misfit | None:
    """Hold a tube against its panel: known, every marker in place, compensation stored where it is needed."""
    known = panel_names(own_panels)
    if identity.panel not in known:
        hint = nearest(identity.panel, known) or f"; known are: {', '.join(known)}"
        return Misfit("waiting", f"There is no panel '{identity.panel}'{hint}")
    try:
        panel = load_panel(identity.panel, own_panels)
    except PanelFault as fault:
        return Misfit("waiting", str(fault))
    control = (identity.control or "").removeprefix(_FMO)
    if control and control != "batch":
        if plain(control) not in {plain(stain.marker) for stain in panel.markers}:
            markers = [stain.marker for stain in panel.markers]
            return Misfit("waiting", f"control: '{control}' is not a marker of the panel {panel.panel}{nearest(control, markers)}")
        panel = _without(panel, control)
    problems = match_panel(panel, header.channels).problems
    if problems:
        more = f" ({len(problems) - _MOST_SENTENCES} more like this.)" if len(problems) > _MOST_SENTENCES else ""
        told = f"The tube does not fit the panel {panel.panel}. {' '.join(problems[:_MOST_SENTENCES])}"
        return Misfit("quarantined", f"{_better(header, own_panels)}{told}{more}")
    return _without_compensation(header, panel)


def _without(panel: Panel, marker: str) -> Panel:
    """Drop the one stain that a fluorescence-minus-one control leaves out."""
    kept = tuple(stain.model_copy(update={"required": False}) if plain(stain.marker) == plain(marker) else stain for stain in panel.markers)
    return panel.model_copy(update={"markers": kept})


def _better(header: TubeHeader, own_panels: Path) -> str:
    """Name the panels that would fit: most often the sheet names the wrong one."""
    fitting = []
    for name in panel_names(own_panels):
        try:
            fits = match_panel(load_panel(name, own_panels), header.channels).fits
        except PanelFault:
            continue
        fitting += [name] if fits else []
    return f"It fits the panel {' or '.join(fitting)}: correct the sample sheet. " if fitting else ""


def _without_compensation(header: TubeHeader, panel: Panel) -> Misfit | None:
    if not panel.compensated or panel.matrix is not None:
        return None
    if header.spill_fault:
        return Misfit("quarantined", header.spill_fault)
    if header.spill is None:
        sentence = "The file has no compensation (spill). Export it again from the cytometer with its compensation"
        return Misfit("quarantined", f"{sentence}, or give the panel {panel.panel} a matrix of its own.")
    return None

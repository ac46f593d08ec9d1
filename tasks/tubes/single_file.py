"""Inspect or gate one FCS file outside any study.

Inspecting tells what the file says of itself; gating counts by a strategy or Gating-ML.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gating.evaluation.compensation import compensation_fault, raw_spectral
from gating.fcs.events import open_events
from gating.fcs.header import TubeHeader, read_header
from panels.catalogue import load_panel, panel_names, panel_names_in
from panels.panel import Panel, PanelMatch, match_panel
from panels.text.errors import PanelMismatch, TubeFault
from tasks.intake.named_panel import NamedPanel, named_panel
from tasks.intake.panel_fit import refusal
from tasks.tubes.file_calibration import calibration_in_words, instrument_of, numbers_in_words

if TYPE_CHECKING:
    from gating.evaluation.engine import Evaluation

    Gate = Callable[[TubeHeader], Evaluation]

KEPT_KEYWORDS = (
    "$CYT",
    "$CYTSN",
    "CREATOR",
    "$TOT",
    "$PAR",
    "$VOL",
    "$TIMESTEP",
    "APPLY COMPENSATION",
    "CST SETUP STATUS",
)
"""The only keywords that leave the file: every other one may hold a name or a number of a
person."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What one file says of itself.

    ``refused`` means that no study could use it; ``problems`` are sentences. ``calibration`` names
    the calibration of its instrument in a study, or says why there is none (empty: no study).
    """

    header: TubeHeader | None
    panel: Panel | None
    problems: tuple[str, ...]
    refused: bool
    calibration: str = ""

    def document(self) -> dict[str, Any]:
        """Give what ``reconflow inspect --json`` prints."""
        header, spill = self.header, self.header.spill if self.header else None
        marker = self._markers()
        return {
            "version": header.version if header else None,
            "events": header.event_count if header else None,
            "channels": [
                {"detector": c.detector, "label": c.label, "marker": marker.get(c.index)}
                for c in (header.channels if header else ())
            ],
            "panel": self.panel.panel if self.panel else None,
            "spill": {"detectors": list(spill.detectors), "matrix": spill.matrix.tolist()}
            if spill
            else None,
            "problems": list(self.problems),
        } | ({"calibration": self.calibration} if self.calibration else {})

    def _markers(self) -> dict[int, str]:
        """Give the marker that the panel reads on each channel."""
        if self.header is None or self.panel is None:
            return {}
        match = match_panel(self.panel, self.header.channels)
        stains = [stain.marker for stain in reversed(self.panel.markers)]
        return {match.channel[marker]: marker for marker in stains if marker in match.channel}


def inspect_file(path: Path, panel: str | None = None, study: Path | None = None) -> Inspection:
    """Say what a file holds, which panel it fits, and why it would be refused.

    The judgement is intake's (``tasks.intake.panel_fit``), in the same words. Which panel a tube
    was stained for is the sample sheet's to say: without ``panel``, a file is held against the
    panel that the study in the folder ``study`` says it has, else against the one it comes nearest
    to; one that has not even half the markers of any is described, and then only a spill that
    cannot be used, or raw spectral signals, refuse it. The study's own panels are found first.
    """
    try:
        header = read_header(path)
    except TubeFault as fault:
        return Inspection(header=None, panel=None, problems=(str(fault),), refused=True)
    panels = study / "panels" if study else None
    named = named_panel(study, path, header) if study and not panel else NamedPanel()
    wanted = load_panel(panel, panels) if panel else named.panel
    match = match_panel(wanted, header.channels) if wanted else _nearest(header, panels)
    if match is None:
        refused = header.spill_fault or raw_spectral(header)
        known = ", ".join(panel_names(panels))
        problems = [f"The channels fit none of the known panels ({known})."]
    else:
        refused, problems = refusal(header, match.panel, panels), []
    sentences = (
        *header.problems,
        *([refused] if refused else []),
        *named.sentences,
        *problems,
    )
    fitting = match.panel if match and match.fits else None
    calibration = ""
    if fitting and study:
        calibration = calibration_in_words(header, fitting.panel, study / "calibrations")
    return Inspection(header, fitting, sentences, refused is not None, calibration)


@dataclass(frozen=True, slots=True)
class GatedFile:
    """The counts of one file: (path from root, events) of every gate.

    ``problems`` are sentences to show. ``calibration`` names the calibration whose numbers counted
    (empty: those of the strategy or document itself).
    """

    events: int
    seconds: float
    gates: tuple[tuple[tuple[str, ...], int], ...]
    problems: tuple[str, ...]
    calibration: str = ""

    def document(self) -> dict[str, object]:
        """Give what ``reconflow gate --json`` prints."""
        gates = [{"path": list(path), "count": count} for path, count in self.gates]
        document = {"events": self.events, "seconds": round(self.seconds, 4), "gates": gates}
        return document | ({"calibration": self.calibration} if self.calibration else {})


def gate_file(
    path: Path,
    *,
    strategy: str | None = None,
    gatingml: Path | None = None,
    study: Path | None = None,
) -> GatedFile:
    """Count one file under a released strategy or a Gating-ML document.

    The numbers are those of the calibration of the file's instrument, found in the study first.
    Where the strategy lets the tube have a say in its thresholds, this tube alone is asked: no
    other is read.

    ``seconds`` is reading and gating: the libraries are imported, and the document or strategy is
    read, before the clock starts.
    """
    prepare = _by_strategy(strategy, study) if strategy else _by_document(gatingml or Path())
    gating = prepare(read_header(path))  # a refused file is refused before seconds of imports
    start = time.perf_counter()
    header = read_header(path)
    evaluation = gating.gate(header)
    seconds = time.perf_counter() - start
    counted = tuple((gate, evaluation.count(gate)) for gate in evaluation.rows)
    return GatedFile(
        evaluation.total,
        seconds,
        counted,
        (*header.problems, *filter(None, [gating.notice]), *_uncompensated(header, gatingml)),
        gating.calibration,
    )


@dataclass(frozen=True, slots=True)
class _Gating:
    """What gates a file, whose numbers it uses, and a sentence where they are another's."""

    gate: Gate
    calibration: str = ""
    notice: str = ""


def _by_strategy(pin: str, study: Path | None) -> Callable[[TubeHeader], _Gating]:
    """Read a strategy and its panel; gives what refuses a tube, or imports what gates it."""
    from gating.strategy.catalogue import load_strategy
    from gating.strategy.instrument_numbers import instrument_numbers

    release = load_strategy(pin, study / "strategies" if study else None)
    panel = load_panel(release.strategy.panel, study / "panels" if study else None)
    numbers = instrument_numbers(release, study / "calibrations" if study else None)

    def prepare(header: TubeHeader) -> _Gating:
        refused = refusal(header, panel, study / "panels" if study else None)
        if refused:
            raise PanelMismatch(f"{header.path.name}: {refused}")
        import flowkit  # noqa: F401 - imported before the clock starts

        from gating.thresholds.apply import apply_strategy

        calibrated = numbers.for_tube(instrument_of(header))

        def gate(header: TubeHeader) -> Evaluation:
            match = match_panel(panel, header.channels)
            events = open_events(header)
            return apply_strategy(calibrated.strategy, match, header, events).evaluation

        notice = numbers_in_words(numbers, calibrated)
        return _Gating(gate, calibrated.calibration, notice)

    return prepare


def _by_document(document: Path) -> Callable[[TubeHeader], _Gating]:
    return lambda _header: _Gating(_reading(document))


def _reading(document: Path) -> Gate:
    from gating.evaluation.engine import evaluate
    from gating.exchange.read_gatingml import read_gatingml

    gating = read_gatingml(document)
    return lambda header: evaluate(gating, open_events(header), header)


def _uncompensated(header: TubeHeader, document: Path | None) -> tuple[str, ...]:
    """Warn where Gating-ML compensates a file that stores no matrix, which it allows silently."""
    if (
        document is None
        or header.spill is not None
        or 'compensation-ref="FCS"' not in document.read_text(encoding="utf-8", errors="replace")
    ):
        return ()
    return (
        (
            "The document asks for the file's own compensation, but the file stores none: its "
            "gates were applied uncompensated."
        ),
    )


def _nearest(header: TubeHeader, own: Path | None) -> PanelMatch | None:
    """Find the panel that fits, or comes nearest with more than half of its markers.

    Of several, one under which the tube can be compensated comes first, then the one with most
    markers, then the study's own.
    """
    names = panel_names(own)
    of_study = set(panel_names_in(own)) if own is not None and own.is_dir() else set()

    def rank(name: str, match: PanelMatch) -> tuple[bool, bool, int, bool]:
        usable = match.fits and compensation_fault(header, match.panel) is None
        return match.fits, usable, _markers_found(match), name in of_study

    matches = {name: match_panel(load_panel(name, own), header.channels) for name in names}
    near = {
        n: m for n, m in matches.items() if m.fits or 2 * _markers_found(m) > len(m.panel.markers)
    }
    return max(near.items(), key=lambda each: rank(*each), default=(None, None))[1]


def _markers_found(match: PanelMatch) -> int:
    return sum(stain.marker in match.channel for stain in match.panel.markers)

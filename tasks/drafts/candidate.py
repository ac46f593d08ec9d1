"""Say what would count the tubes of a panel if a draft were released, and what counts them now."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gating.calibration.model import CalibrationRelease
from gating.strategy.calibrated import misfit
from gating.strategy.catalogue import load_strategy
from gating.strategy.instrument_numbers import instrument_numbers, numbers_with
from gating.strategy.model import Release
from panels.catalogue import find_panel
from panels.text.errors import CalibrationFault
from tasks.strategies.in_use import in_use
from tasks.study.snapshot import StrategyInUse, StudySnapshot

if TYPE_CHECKING:
    from collections.abc import Hashable

    from panels.catalogue import PanelVersion
    from tasks.drafts.draft_file import Draft
    from tasks.store.tubes import Tube


@dataclass(frozen=True, slots=True)
class Candidate:
    """A draft put in the place of what counts: ``used`` is what would count the panel's tubes.

    ``alone`` is that without the other calibrations, and whatever day and batch the draft holds
    for: tubes that it was measured on are looked at with it all the same. ``today`` is what counts
    the panel now (None: nothing does).
    """

    draft: Draft
    snapshot: StudySnapshot
    used: StrategyInUse
    alone: StrategyInUse
    today: StrategyInUse | None

    @property
    def fits_today(self) -> bool:
        """Tell whether the draft is of the strategy that counts the panel now."""
        return self.today is not None and self.today.release.sha256 == self.used.release.sha256

    def counts(self, tube: Tube) -> bool:
        """Tell whether a tube would be counted with the draft."""
        return tube.identity.panel == self.used.panel.panel and self._is_its(self.used, tube)

    def takes(self, tube: Tube) -> bool:
        """Tell whether a tube can be looked at with the draft: of its panel and instrument."""
        return tube.identity.panel == self.used.panel.panel and self._is_its(self.alone, tube)

    def used_for(self, tube: Tube) -> StrategyInUse:
        """Give what gates a tube with the draft."""
        return self.used if self.counts(tube) else self.alone

    def made_of(self) -> Hashable:
        """Give what is another one when anything else than the draft itself counts otherwise."""
        now = self.today
        return (
            self.used.panel_sha256,
            self.used.release.sha256,
            None if now is None else now.release.sha256,
            None if now is None else tuple(each.sha256 for each in now.numbers.strategies),
        )

    def _is_its(self, used: StrategyInUse, tube: Tube) -> bool:
        if not isinstance(self.draft.release, CalibrationRelease):
            return True
        return used.for_tube(tube).calibration == self.draft.name.pin


def candidate(snapshot: StudySnapshot, draft: Draft) -> Candidate:
    """Put a draft in the place of what counts.

    Raises UsageFault when it fits no strategy or panel, or its numbers make no strategy.
    """
    if isinstance(draft.release, CalibrationRelease):
        return _with_calibration(snapshot, draft, draft.release)
    today = snapshot.strategies.get(draft.panel)
    used = in_use(snapshot.study, draft.release, _panel(snapshot, draft.panel))
    return Candidate(draft, snapshot, used, used, today)


def _with_calibration(
    snapshot: StudySnapshot, draft: Draft, calibration: CalibrationRelease
) -> Candidate:
    study, today = snapshot.study, snapshot.strategies.get(draft.panel)
    if today is not None and not misfit(today.release.strategy, calibration.calibration):
        release, numbers = today.release, today.numbers
    else:
        release = load_strategy(calibration.calibration.strategy, study.own_strategies)
        _refuse_misfit(release, calibration)
        numbers = instrument_numbers(release, study.own_calibrations)
    defined = _panel(snapshot, draft.panel)
    always = calibration.calibration.model_copy(update={"since": None, "batches": ()})
    return Candidate(
        draft,
        snapshot,
        StrategyInUse(release, defined, numbers_with(numbers, calibration)),
        StrategyInUse(
            release,
            defined,
            numbers_with(numbers, replace(calibration, calibration=always), alone=True),
        ),
        today,
    )


def _refuse_misfit(release: Release, calibration: CalibrationRelease) -> None:
    fault = misfit(release.strategy, calibration.calibration)
    if release.strategy.panel != calibration.calibration.panel:
        fault = f"{release.strategy.name} gates the panel {release.strategy.panel}"
    if fault:
        raise CalibrationFault(f"{calibration.calibration.pin} fits no strategy: {fault}.")


def _panel(snapshot: StudySnapshot, panel: str) -> PanelVersion:
    """Give the content of a panel as it counts now, else as the study or the program has it."""
    today = snapshot.strategies.get(panel)
    return find_panel(panel, snapshot.study.own_panels) if today is None else today.defined

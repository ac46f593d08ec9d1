"""Resolve which released strategy and which panel count the tubes of a study."""

from gating.strategy.catalogue import load_strategy
from gating.strategy.instrument_numbers import instrument_numbers
from gating.strategy.model import Release
from panels.catalogue import PanelVersion, find_panel
from panels.files.lock import allows
from panels.text.errors import SettingsFault
from tasks.sheets.drugs import read_drugs
from tasks.store.counted_with import strategies_counted_with
from tasks.study.folder import Study
from tasks.study.snapshot import StrategyInUse, StudySnapshot


def read_snapshot(study: Study) -> StudySnapshot:
    """Read settings, sheets, strategies and panels of a study as they are now.

    Raises SettingsFault when a strategy is for another panel, and StrategyFault, PanelFault or
    CalibrationFault when one cannot be found or is not what was released.
    """
    strategies = strategies_in_use(study)
    exposures, problems = read_drugs(study.drugs_sheet)
    return StudySnapshot(study, study.patients(), exposures, problems, strategies)


def strategies_in_use(study: Study) -> dict[str, StrategyInUse]:
    """Resolve which strategy and which version of the panel count each panel's tubes.

    Raises SettingsFault when a strategy is for another panel.
    """
    resolved: dict[str, StrategyInUse] = {}
    for panel, pin in pins_of(study).items():
        release = load_strategy(pin, study.own_strategies)
        if release.strategy.panel != panel:
            raise SettingsFault(
                f"study.yaml: strategies: {panel}: {release.strategy.name} gates the panel "
                f"{release.strategy.panel}, not {panel}."
            )
        defined = find_panel(panel, study.own_panels)
        resolved[panel] = in_use(study, release, defined)
    return resolved


def in_use(study: Study, release: Release, defined: PanelVersion) -> StrategyInUse:
    """Give a strategy of a study with the numbers of every instrument that has a calibration.

    Raises CalibrationFault when a released calibration is not what was released.
    """
    return StrategyInUse(release, defined, instrument_numbers(release, study.own_calibrations))


def pins_of(study: Study) -> dict[str, str]:
    """Give the version that counts each panel: pinned by study.yaml, else the one used so far.

    Only where nothing was counted yet does the version hold that the program ships now.
    """
    pins = dict(study.settings.strategies)
    left_open = [
        panel
        for panel, pin in pins.items()
        if panel not in study.settings.pinned or pin.count(".") < 2
    ]
    if not left_open:
        return pins
    with study.store() as store:
        counted = strategies_counted_with(store, left_open)
    return pins | {
        panel: strategy for panel, strategy in counted.items() if _fits(study, panel, strategy)
    }


def _fits(study: Study, panel: str, strategy: str) -> bool:
    """Tell whether a strategy is one that study.yaml allows for a panel."""
    if panel not in study.settings.pinned:
        return True
    (name, _, version), (wanted, _, numbers) = (
        strategy.partition("@"),
        study.settings.strategies[panel].partition("@"),
    )
    return name == wanted and allows(numbers, version)

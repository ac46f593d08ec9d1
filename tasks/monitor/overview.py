"""Give the front page what it says of the instruments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from panels.text.errors import CalibrationFault
from tasks.monitor.instruments import FOLDER, Instrument, monitor
from tasks.study.snapshot import StudySnapshot


@dataclass(frozen=True, slots=True)
class InstrumentsOverview:
    """The worst drifts in words, and how each instrument stands, by the address of its page."""

    notices: tuple[str, ...]
    standing: Mapping[str, tuple[str, str]]


def instruments_overview(snapshot: StudySnapshot) -> InstrumentsOverview:
    """Judge the instruments for the front page; what keeps them from being judged is a notice."""
    try:
        monitoring = monitor(snapshot)
    except CalibrationFault as fault:
        return InstrumentsOverview((f"The instruments are not watched: {fault}",), {})
    standing = {
        f"{FOLDER}/{each.page}": (each.title, _standing(each)) for each in monitoring.instruments
    }
    return InstrumentsOverview(tuple(monitoring.notices()), standing)


def _standing(instrument: Instrument) -> str:
    """Say in one line how an instrument stands."""
    watched = [each for each in instrument.charts if each.series.signal.is_watched]
    judged = sum(each.last is not None for each in watched)
    broken = sum(bool(each.now) for each in watched)
    tubes = sum(instrument.tubes.values())
    counted = f"{tubes} tube{'s' if tubes != 1 else ''}, the last of {instrument.last}"
    if not judged:
        return f"{counted}: too few to set limits"
    return (
        f"{counted}: {len(instrument.drifts) or 'no'} "
        f"drift{'s' if len(instrument.drifts) != 1 else ''}, "
        f"{broken} of {judged} judged signals break a rule now"
    )

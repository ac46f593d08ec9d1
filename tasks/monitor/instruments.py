"""Judge the instruments of a study: their charts, what has drifted, and the lots compared."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from panels.instrument_name import instrument_name, name_by_files
from panels.panel import plain
from tasks.control_charts.bridging import Bridging
from tasks.control_charts.drift import Drift, Event, drifts
from tasks.control_charts.series import Chart, judge
from tasks.monitor.lot_bridging import lot_bridgings
from tasks.monitor.readings import InstrumentKey, MeasuredTube, read_tubes, series_of
from tasks.sheets.instruments import NAME, InstrumentEvent, read_instrument_events
from tasks.study.snapshot import StudySnapshot

FOLDER = "instruments"
NOT_NAMED = "an instrument without a name"
LONGEST_STEM = 80
"""Letters of a page's file name."""
MOST_SAID = 5
"""So many sentences the front page gives; the others are on the instruments' pages."""


@dataclass(frozen=True, slots=True)
class Instrument:
    """One instrument and what its tubes show; ``tubes`` counts them, by panel.

    ``page`` is the file name of its page. ``charts`` are by severity, those that break a rule now
    first; ``calibrations`` are those in force for the newest tube of each panel.
    """

    title: str
    page: str
    key: InstrumentKey
    names: tuple[str, ...]
    tubes: Mapping[str, int]
    first: str
    last: str
    calibrations: tuple[str, ...]
    charts: tuple[Chart, ...]
    drifts: tuple[Drift, ...]
    bridgings: tuple[Bridging, ...]
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Monitoring:
    """What the tubes of a study show of its instruments.

    ``problems`` are sentences on ``instruments.csv``; ``without_signals`` counts tubes that an
    earlier release counted.
    """

    instruments: tuple[Instrument, ...] = ()
    problems: tuple[str, ...] = ()
    without_signals: int = 0

    @property
    def drifts(self) -> list[Drift]:
        """List what has drifted on all instruments, worst first."""
        every = [each for instrument in self.instruments for each in instrument.drifts]
        return sorted(every, key=lambda each: (-abs(each.shift.z), each.sentence))

    def notices(self) -> list[str]:
        """Give the sentences of the front page: what is wrong with the sheet, the worst drifts."""
        sentences = [each.sentence for each in self.drifts]
        said = [*self.problems, *sentences[:MOST_SAID]]
        if len(sentences) > MOST_SAID:
            said.append(
                f"{len(sentences) - MOST_SAID} more signals have drifted: see the instruments' "
                f"pages."
            )
        return said


def monitor(snapshot: StudySnapshot) -> Monitoring:
    """Judge every instrument of a study by the tubes counted so far."""
    read = read_tubes(snapshot)
    listed, faults = read_instrument_events(snapshot.study.instruments_sheet)
    names = {key: _names(tubes) for key, tubes in read.of_instrument.items()}
    pages = _pages(names)
    instruments = []
    for key, tubes in sorted(read.of_instrument.items()):
        events = [each for each in listed if _is_of(each, key, names[key])]
        charts = [judge(series) for series in series_of(tubes, snapshot.patients.patients)]
        instruments.append(_instrument(key, tubes, pages[key], charts, events))
    strangers = [
        f"{NAME}, line {each.line}, column instrument: no tube was acquired on "
        f"'{each.instrument}'. Correct the name; known: "
        f"{', '.join(instrument.title for instrument in instruments) or 'none yet'}."
        for each in listed
        if not any(_is_of(each, key, names[key]) for key in names)
    ]
    return Monitoring(tuple(instruments), (*map(str, faults), *strangers), read.without_signals)


def _instrument(
    key: InstrumentKey,
    tubes: Sequence[MeasuredTube],
    page: str,
    charts: Sequence[Chart],
    events: Sequence[InstrumentEvent],
) -> Instrument:
    title = title_of(key, _names(tubes))
    done = tuple(Event(each.day.isoformat(), each.event) for each in sorted(events, key=_day))
    # Worst first; where nothing is broken, by panel and signal.
    ranked = tuple(sorted(charts, key=lambda each: -each.severity))
    newest = {tube.identity.panel: tube.calibration for tube in tubes}
    return Instrument(
        title=title,
        page=page,
        key=key,
        names=_names(tubes),
        tubes=dict(sorted(Counter(tube.identity.panel for tube in tubes).items())),
        first=tubes[0].day,
        last=tubes[-1].day,
        calibrations=tuple(sorted(each.pin for each in newest.values() if each is not None)),
        charts=ranked,
        drifts=tuple(drifts(title, ranked, done)),
        bridgings=tuple(lot_bridgings(tubes)),
        events=done,
    )


def title_of(key: InstrumentKey, names: Sequence[str]) -> str:
    """Name an instrument as its tubes' pages do; of several names in the sheet none is chosen."""
    named = names[0] if len(names) == 1 else ""
    return instrument_name(named, key.cytometer, key.serial) or NOT_NAMED


def _names(tubes: Sequence[MeasuredTube]) -> tuple[str, ...]:
    """List what the sample sheet calls an instrument."""
    return tuple(sorted({tube.identity.instrument or "" for tube in tubes} - {""}))


def _is_of(event: InstrumentEvent, key: InstrumentKey, names: Sequence[str]) -> bool:
    """Tell whether an event names an instrument as the sheet, its files or its page do."""
    by_files = name_by_files(key.cytometer, key.serial)
    spelt = (*names, key.cytometer, key.serial, by_files, title_of(key, names))
    known = {plain(each) for each in spelt if each}
    return plain(event.instrument) in known


def _day(event: InstrumentEvent) -> tuple[str, int]:
    return event.day.isoformat(), event.line


def _pages(names: Mapping[InstrumentKey, Sequence[str]]) -> dict[InstrumentKey, str]:
    """Choose the file name of each instrument's page.

    It is the laboratory's own name for the instrument where the sample sheet has one that is of no
    other, else what its files say.
    """
    owners = Counter(plain(name) for own in names.values() for name in own)
    pages: dict[InstrumentKey, str] = {}
    for key, own in sorted(names.items()):
        is_its_own = len(own) == 1 and owners[plain(own[0])] == 1
        called = own[0] if is_its_own else title_of(key, (key.named,))
        stem = re.sub(r"[^\w.-]+", "-", called)[:LONGEST_STEM].strip("-.") or "instrument"
        page, number = f"{stem}.html", 2
        while page.casefold() in {each.casefold() for each in pages.values()}:
            page, number = f"{stem}-{number}.html", number + 1
        pages[key] = page
    return pages

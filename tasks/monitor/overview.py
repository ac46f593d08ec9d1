"""Keep for the front page what it says of the instruments, so that it need not judge them again.

The front page is written with each file that comes; the instruments are judged once a run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tasks.monitor.instruments import FOLDER, Instrument, Monitoring
from tasks.publish.tables import write_atomically
from tasks.study.folder import Study

KEPT = ".overview.json"


@dataclass(frozen=True, slots=True)
class InstrumentsOverview:
    """What the front page says of the instruments.

    ``notices`` are the worst drifts in words; ``standing`` maps the address of each instrument's
    page to its name and how it stands.
    """

    notices: tuple[str, ...] = ()
    standing: Mapping[str, tuple[str, str]] = field(default_factory=dict)


def overview_of(monitoring: Monitoring) -> InstrumentsOverview:
    """Sum the monitoring up for the front page."""
    standing = {
        f"{FOLDER}/{each.page}": (each.title, _standing(each)) for each in monitoring.instruments
    }
    return InstrumentsOverview(tuple(monitoring.notices()), standing)


def keep_overview(study: Study, overview: InstrumentsOverview) -> None:
    """Write the overview beside the instruments' pages, unless it is there already."""
    content = {"notices": overview.notices, "standing": dict(overview.standing)}
    written = (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode()
    path = _path(study)
    if not path.is_file() or path.read_bytes() != written:
        write_atomically(path, written)


def kept_overview(study: Study) -> InstrumentsOverview:
    """Read what was kept last; nothing where it is missing or somebody changed it."""
    try:
        content = json.loads(_path(study).read_text(encoding="utf-8"))
        return InstrumentsOverview(
            tuple(map(str, content["notices"])),
            {
                str(page): (str(name), str(told))
                for page, (name, told) in content["standing"].items()
            },
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return InstrumentsOverview()


def _path(study: Study) -> Path:
    return study.results / FOLDER / KEPT


def _standing(instrument: Instrument) -> str:
    """Say in one line how an instrument stands."""
    watched = [each for each in instrument.charts if each.series.signal.is_watched]
    judged = sum(each.last is not None for each in watched)
    broken = sum(bool(each.now) for each in watched)
    tubes = sum(instrument.tubes.values())
    counted = f"{tubes} tube{'s' if tubes != 1 else ''}, the last of {instrument.last}"
    if not judged:
        return f"{counted}: too few to judge any"
    drifted = len(instrument.drifts)
    return (
        f"{counted}: {drifted or 'no'} drift{'s' if drifted != 1 else ''}, "
        f"{broken} of {judged} judged signals break a rule now"
    )

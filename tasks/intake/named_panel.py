"""Ask a study which panel a file was stained for: its sheet, the file's name, trusted keywords."""

from dataclasses import dataclass
from pathlib import Path

from gating.fcs.header import TubeHeader
from panels.catalogue import load_panel, panel_names
from panels.panel import Panel
from panels.text.spelling import nearest
from tasks.intake.inbox import list_inbox
from tasks.intake.panel_fit import without_fmo
from tasks.intake.sources import merge, sources_of, trusted_keywords
from tasks.sheets.samples import SampleRow, read_samples
from tasks.study.folder import Study, open_study
from tasks.study.settings import FILE_NAME


@dataclass(frozen=True, slots=True)
class NamedPanel:
    """The panel that a study says a file has (None: nothing says it), and sentences on it.

    The marker that an FMO control leaves out may be missing from it.
    """

    panel: Panel | None = None
    sentences: tuple[str, ...] = ()


def named_panel(folder: Path, path: Path, header: TubeHeader) -> NamedPanel:
    """Find the panel that a study says a file has.

    The settings say where the inbox is and what a file's name and keywords tell. Raises
    SettingsFault when they are wrong. A folder without study.yaml says nothing.
    """
    if not (folder / FILE_NAME).is_file():
        return NamedPanel()
    study = open_study(folder)
    place = _place(study, path)
    sheets = list_inbox(study).sheets if study.inbox.is_dir() else ()
    lines = read_samples(study.samples_sheet, study.inbox, sheets).naming(place)
    rows = [line for line in lines if isinstance(line, SampleRow)]
    row = rows[0] if len(rows) == 1 else None
    keywords = trusted_keywords(header, study.settings)
    sources = sources_of(study.settings, place, row, keywords)
    values, conflicts = merge(sources, study.settings.local_zone)
    doubts = tuple(each for each in conflicts if each.startswith("panel is in doubt"))
    name = str(values.get("panel", ""))
    if doubts or not name:
        return NamedPanel(sentences=doubts)
    known = panel_names(study.own_panels)
    if name not in known:
        secret = not any("panel" in source.values for source in sources if not source.secret)
        named = "that a keyword of the file names" if secret else f"'{name}'"
        hint = "" if secret else nearest(name, known)
        return NamedPanel(sentences=(f"There is no panel {named}{hint or '.'}",))
    control = str(values.get("control", ""))
    return NamedPanel(without_fmo(load_panel(name, study.own_panels), control))


def _place(study: Study, path: Path) -> str:
    """Give the place of a file as the sheet names it: relative to the inbox, else its name."""
    if path.resolve().is_relative_to(study.inbox.resolve()):
        return path.resolve().relative_to(study.inbox.resolve()).as_posix()
    return path.name

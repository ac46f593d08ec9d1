"""Find the FCS file of a FlowJo sample: the one named, or the one that bears its name in a folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from gating.flowjo import choose
from gating.safe_xml import read_xml
from panels.errors import StrategyFault, UsageFault

if TYPE_CHECKING:
    from lxml import etree


def tube_of_sample(workspace: Path, sample: str | None, named: Path | None) -> Path | None:
    """Give the FCS file of a sample: ``named`` itself, or in the folder ``named``, or beside the workspace (None when not there).

    Raises UsageFault when what was named is not there or a folder does not hold the sample's file, or holds several.
    """
    from lxml import etree

    if named is not None and not named.exists():
        raise UsageFault(f"{named}: there is no such file or folder.")
    if named is not None and named.is_file():
        return named
    root = read_xml(workspace)
    if etree.QName(root).localname != "Workspace":
        if named is not None:
            raise UsageFault(f"{named}: is a folder. {workspace.name} tells of no sample: name one FCS file.")
        return None
    names = list(dict.fromkeys(_names(choose(workspace, root, sample))))
    if named is None:
        return next(_called(names, workspace.parent.iterdir()), None)
    found = sorted(_called(names, named.rglob("*")))
    if not found:
        raise UsageFault(f"{named}: holds no file called {' or '.join(names)}.")
    if len(found) > 1:
        raise UsageFault(f"{named}: holds several files called {found[0].name}, such as {found[0]} and {found[1]}. Name one of them.")
    return found[0]


def _names(sample: etree._Element) -> Iterator[str]:
    """Give the names a sample's file may have: the sample's own, that of where FlowJo read it, and ``$FIL``."""
    node, source = sample.find("SampleNode"), sample.find("DataSet")
    if node is None:
        raise StrategyFault("A sample of the workspace has no SampleNode: save it again with FlowJo.")
    written = [node.get("name", ""), "" if source is None else unquote(source.get("uri", ""))]
    written += [each.get("value", "") for each in sample.iterfind("Keywords/Keyword") if each.get("name") == "$FIL"]
    for each in written:
        name = each.replace("\\", "/").rpartition("/")[2].strip()
        if name:
            yield name if Path(name).suffix.lower() in {".fcs", ".lmd"} else f"{name}.fcs"


def _called(names: Iterable[str], files: Iterable[Path]) -> Iterator[Path]:
    wanted = {name.lower() for name in names}
    return (file for file in files if file.name.lower() in wanted and file.is_file())

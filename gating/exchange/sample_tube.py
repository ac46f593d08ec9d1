"""Find the FCS file of a FlowJo sample: the one named, or the one that bears its name in a folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from gating.exchange.flowjo_workspace import choose
from gating.exchange.safe_xml import read_xml
from panels.text.errors import StrategyFault, UsageFault

if TYPE_CHECKING:
    from lxml import etree

SUFFIXES = {".fcs", ".lmd"}


Files = Mapping[str, Sequence[Path]]
"""The FCS files of a folder by their name in lower case."""


def tubes_in(folder: Path, *, deep: bool) -> Files:
    """List the FCS files of a folder, and of those in it (``deep``)."""
    found: dict[str, list[Path]] = {}
    for file in sorted(folder.rglob("*") if deep else folder.iterdir()):
        if file.suffix.lower() in SUFFIXES and file.is_file():
            found.setdefault(file.name.lower(), []).append(file)
    return found


def tube_of_sample(
    workspace: Path,
    sample: str | None,
    named: Path | None,
    *,
    root: etree._Element | None = None,
    files: Files | None = None,
) -> Path | None:
    """Give the FCS file of a sample: ``named`` itself, or in the folder ``named``, or beside the workspace (None when not there).

    ``root`` is the workspace where it was read already, ``files`` what to look among where it was
    listed already. Raises UsageFault when what was named is not there or a folder does not hold the
    sample's file, or holds several.
    """
    from lxml import etree

    if named is not None and not named.exists():
        raise UsageFault(f"{named}: there is no such file or folder.")
    if named is not None and named.is_file():
        return named
    root = read_xml(workspace) if root is None else root
    if etree.QName(root).localname != "Workspace":
        if named is not None:
            raise UsageFault(
                f"{named}: is a folder. {workspace.name} tells of no sample: name one FCS file."
            )
        return None
    names = list(dict.fromkeys(_names(choose(workspace, root, sample))))
    place = named or workspace.parent
    listed = tubes_in(place, deep=named is not None) if files is None else files
    found = [file for name in names for file in listed.get(name.lower(), ())]
    if not found and named is not None:
        # The last of the names is the value of $FIL, which may hold a person's name.
        raise UsageFault(
            f"{named}: holds no file called {names[0]}, or as the workspace calls it elsewhere."
        )
    if len(found) > 1:
        raise UsageFault(
            f"{place}: holds several files of {names[0]}, such as {found[0]} and {found[1]}. "
            f"Name one of them."
        )
    return found[0] if found else None


def _names(sample: etree._Element) -> Iterator[str]:
    """Give the names a sample's file may have: the sample's own, that of where FlowJo read it, and ``$FIL``."""
    node, source = sample.find("SampleNode"), sample.find("DataSet")
    if node is None:
        raise StrategyFault(
            "A sample of the workspace has no SampleNode: save it again with FlowJo."
        )
    written = [node.get("name", ""), "" if source is None else unquote(source.get("uri", ""))]
    written += [
        each.get("value", "")
        for each in sample.iterfind("Keywords/Keyword")
        if each.get("name") == "$FIL"
    ]
    for each in written:
        name = each.replace("\\", "/").rpartition("/")[2].strip()
        if name:
            yield name if Path(name).suffix.lower() in SUFFIXES else f"{name}.fcs"

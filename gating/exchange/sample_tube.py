"""Find the FCS file of a FlowJo sample: the one named, or the one of its name in a folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from gating.exchange.flowjo_workspace import choose_sample
from gating.exchange.safe_xml import read_xml
from panels.text.errors import UsageFault

if TYPE_CHECKING:
    from lxml import etree

SUFFIXES = {".fcs", ".lmd"}


Files = Mapping[str, Sequence[Path]]
"""The FCS files of a folder by their name in lower case."""


def tubes_in(folder: Path, *, deep: bool) -> Files:
    """List the FCS files of a folder, and of those in it (``deep``)."""
    files: dict[str, list[Path]] = {}
    for file in sorted(folder.rglob("*") if deep else folder.iterdir()):
        if file.suffix.lower() in SUFFIXES and file.is_file():
            files.setdefault(file.name.lower(), []).append(file)
    return files


def tube_of_sample(
    workspace: Path,
    sample: str | None,
    named: Path | None,
    *,
    root: etree._Element | None = None,
    files: Files | None = None,
) -> Path | None:
    """Give the FCS file of a sample.

    It is ``named`` itself, or in the folder ``named``, or beside the workspace (None when not
    there). ``root`` is the workspace where it was read already, ``files`` the files to search where
    they were listed already. Raises UsageFault when what was named is not there or a folder does
    not hold the sample's file, or holds several.
    """
    from lxml import etree

    if named is not None and not named.exists():
        raise UsageFault(f"{named}: there is no such file or folder.")
    if named is not None and named.is_file():
        return named
    if root is None:
        root = read_xml(workspace)
    if etree.QName(root).localname == "Workspace":
        names = list(dict.fromkeys(file_names(choose_sample(workspace, root, sample))))
        if files is None:
            files = tubes_in(named or workspace.parent, deep=named is not None)
        fitting = [file for name in names for file in files.get(name.lower(), ())]
        return _only_tube(names, fitting, workspace, named)
    if named is not None:
        raise UsageFault(
            f"{named}: is a folder. {workspace.name} tells of no sample: name one FCS file."
        )
    return None


def _only_tube(
    names: Sequence[str], fitting: Sequence[Path], workspace: Path, named: Path | None
) -> Path | None:
    """Give the one file of a sample; None when there is none beside the workspace."""
    if not names and named is not None:
        raise UsageFault(
            f"{workspace}: the sample has neither a name, nor the address of its file, nor $FIL, "
            f"so no file of {named} can be told to be its. Name its FCS file itself with --fcs."
        )
    if not fitting and named is not None:
        # Other names than the first may be the value of $FIL, which may hold a person's name.
        raise UsageFault(
            f"{named}: holds no file called {names[0]}, or as the workspace calls it elsewhere."
        )
    if len(fitting) > 1:
        raise UsageFault(
            f"{named or workspace.parent}: holds several files of {names[0]}, such as "
            f"{fitting[0]} and {fitting[1]}. Name one of them."
        )
    return next(iter(fitting), None)


def file_names(sample: etree._Element) -> Iterator[str]:
    """Give the names a sample's file may have: the sample's, that FlowJo read it by, ``$FIL``."""
    node, source = sample.find("SampleNode"), sample.find("DataSet")
    written = [] if node is None else [node.get("name", "")]
    if source is not None:
        written.append(unquote(source.get("uri", "")))
    written += [
        each.get("value", "")
        for each in sample.iterfind("Keywords/Keyword")
        if each.get("name") == "$FIL"
    ]
    for each in written:
        name = each.replace("\\", "/").rpartition("/")[2].strip()
        if name:
            yield name if Path(name).suffix.lower() in SUFFIXES else f"{name}.fcs"

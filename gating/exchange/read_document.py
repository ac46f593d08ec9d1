"""Read the gates of other programs as FlowKit gates, with notes on what was left out.

A document is Gating-ML 2.0 or a FlowJo 10 workspace, of which one sample is read.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gating.exchange.flowjo_workspace import read_sample
from gating.exchange.foreign_document import Foreign, ForeignChannel, RangedChannel
from gating.exchange.import_notes import Note
from gating.exchange.read_gatingml import read_named_gatingml
from gating.exchange.safe_xml import read_xml
from panels.text.errors import StrategyFault
from panels.text.printable import printable

if TYPE_CHECKING:
    from gating.fcs.header import TubeHeader

__all__ = ["Foreign", "ForeignChannel", "RangedChannel", "read_foreign", "sample_names"]


def read_foreign(path: Path, sample: str | None = None, tube: TubeHeader | None = None) -> Foreign:
    """Read a Gating-ML document or one sample of a workspace.

    ``tube`` is the file of that sample, where it is at hand: its keywords hold instead of those the
    workspace keeps. Raises StrategyFault when the document is neither or cannot be read safely.
    """
    from lxml import etree

    root = read_xml(path)
    if etree.QName(root).localname == "Workspace":
        return read_sample(path, root, sample, tube)
    if sample is not None:
        raise StrategyFault(f"{path}: is not a FlowJo workspace, so it has no sample '{sample}'.")
    gating, names = read_named_gatingml(path)
    notes = tuple(
        Note("changed", name, f"The document calls it '{called}', which is no XML name.")
        for name, called in names.items()
    )
    return Foreign(source=printable(f"{path.name} (Gating-ML 2.0)"), gating=gating, notes=notes)


def sample_names(path: Path) -> list[str]:
    """List the samples of a FlowJo workspace."""
    return [node.get("name", "") for node in read_xml(path).iter("SampleNode")]

"""Describe the channels that the gates of a Gating-ML 2.0 document read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gating.exchange.foreign_document import ForeignChannel
from gating.exchange.gatingml_structure import check_structure, qualified
from gating.exchange.mixed_detectors import mixed_detectors
from gating.strategy.display_scale import FULL_SCALE
from panels.drafting.channel_names import is_scatter
from panels.drafting.described import DescribedGates, DescribedTube
from panels.text.errors import StrategyFault
from panels.text.printable import without_controls

if TYPE_CHECKING:
    from lxml import etree


def describe_gatingml(path: Path, root: etree._Element) -> DescribedGates:
    """List the channels that a document's gates read, by their detectors.

    Raises StrategyFault when the document cannot be followed, or its gates read no channel.
    """
    check_structure(path, root)
    detector_of = dict(_dyes(root))
    read = list(_read(root))
    if not read:
        raise StrategyFault(f"{path}: has no gate that reads a channel, so it names none.")
    names = [without_controls(detector_of.get(name, name)) for name, _ in read]
    colours = {wanted for name, wanted in read if not is_scatter(name)}
    return DescribedGates(
        source=path.name,
        channels=tuple(dict.fromkeys(names)),
        compensated=any(colours) if colours else None,
        mixed=tuple(dict.fromkeys(_mixed(root))),
    )


def tube_of_gates(gates: Sequence[DescribedGates]) -> DescribedTube:
    """Make a tube of the channels that gates read, where no file is at hand."""
    read = (name for each in gates for name in (*each.channels, *each.mixed))
    names = list(dict.fromkeys(read))
    channels = [ForeignChannel(n, name, "", FULL_SCALE) for n, name in enumerate(names)]
    return DescribedTube(source=gates[0].source, channels=channels)


def _read(root: etree._Element) -> Iterator[tuple[str, bool]]:
    """Yield the name of each channel that a gate or ratio reads, and whether compensated."""
    kinds = ("gating:dimension", "gating:divider", "transforms:fratio")
    for part in root.iter(*map(qualified, kinds)):
        reference = part.get(qualified("gating:compensation-ref"), "uncompensated")
        for each in part.iter(qualified("data-type:fcs-dimension")):
            yield each.get(qualified("data-type:name"), ""), reference != "uncompensated"


def _dyes(root: etree._Element) -> Iterator[tuple[str, str]]:
    """Yield each dye of the document's matrices that has another name than its detector."""
    for matrix in root.iter(qualified("transforms:spectrumMatrix")):
        dyes, detectors = (
            [each.get(qualified("data-type:name"), "") for each in _dimensions(matrix, kind)]
            for kind in ("fluorochromes", "detectors")
        )
        yield from zip(dyes, detectors, strict=False)


def _mixed(root: etree._Element) -> Iterator[str]:
    """Yield the detectors that the document's matrices need."""
    for matrix in root.iter(qualified("transforms:spectrumMatrix")):
        names = [
            without_controls(each.get(qualified("data-type:name"), ""))
            for each in _dimensions(matrix, "detectors")
        ]
        coefficients = [
            each.get(qualified("transforms:value"), "")
            for each in matrix.iter(qualified("transforms:coefficient"))
        ]
        yield from mixed_detectors(names, coefficients)


def _dimensions(matrix: etree._Element, kind: str) -> Iterator[etree._Element]:
    for part in matrix.iter(qualified(f"transforms:{kind}")):
        yield from part.iter(qualified("data-type:fcs-dimension"))

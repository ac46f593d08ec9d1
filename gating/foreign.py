"""Read the gates of other programs (Gating-ML 2.0, one sample of a FlowJo 10 workspace) as FlowKit gates, and say what was left behind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from gating.flowjo_groups import own_gates
from gating.gatingml import FLOWKIT_ERRORS, MOST_GATES, SPACES, read_gatingml
from gating.notes import Note
from gating.safe_xml import read_xml
from panels.errors import StrategyFault
from panels.panel import ChannelLike

if TYPE_CHECKING:
    import flowkit
    from lxml import etree

SHAPES = ("RectangleGate", "PolygonGate", "EllipsoidGate")
BOOLEANS = ("AndNode", "OrNode", "NotNode")
TRANSFORMS = ("linear", "log", "logicle", "biex", "fasinh")
BIEX_LENGTH = "256"


class RangedChannel(ChannelLike, Protocol):
    """What an import needs to know of a channel beside what a panel does: its range."""

    @property
    def maximum(self) -> float: ...


@dataclass(frozen=True, slots=True)
class ForeignChannel:
    """A channel as the document describes it; ``maximum`` is its ``$PnR``."""

    index: int
    detector: str
    label: str
    maximum: float


@dataclass(frozen=True, slots=True)
class Foreign:
    """Gates of another program; ``channels`` are empty when the document does not list them, ``recorded`` its own counts."""

    source: str
    gating: flowkit.GatingStrategy
    channels: tuple[ForeignChannel, ...] = ()
    notes: tuple[Note, ...] = ()
    recorded: Mapping[tuple[str, ...], int] = field(default_factory=dict)


def read_foreign(path: Path, sample: str | None = None) -> Foreign:
    """Read a Gating-ML document or one sample of a workspace; raises StrategyFault when it is neither or cannot be read safely."""
    from lxml import etree

    root = read_xml(path)
    if etree.QName(root).localname == "Workspace":
        return _read_workspace(path, root, sample)
    if sample is not None:
        raise StrategyFault(f"{path}: is not a FlowJo workspace, so it has no sample '{sample}'.")
    return Foreign(source=f"{path.name} (Gating-ML 2.0)", gating=read_gatingml(path))


def sample_names(path: Path) -> list[str]:
    """List the samples of a FlowJo workspace."""
    return [node.get("name", "") for node in read_xml(path).iter("SampleNode")]


def _read_workspace(path: Path, root: etree._Element, sample: str | None) -> Foreign:
    """Read one sample: everything else is taken out first, so that another sample's oddities neither stop nor slow it."""
    import flowkit
    from lxml import etree

    version = root.get("flowJoVersion", "")
    if not version.partition(".")[0].isdigit() or int(version.partition(".")[0]) < 10:
        raise StrategyFault(f"{path}: was written by FlowJo '{version}'. Save it with FlowJo 10.")
    chosen = _choose(path, root, sample)
    name = chosen.find("SampleNode").get("name")
    of_its_own = own_gates(root, chosen.find("SampleNode"))
    for group in list(root.iter("GroupNode")):
        group.getparent().remove(group)
    for other in list(root.iter("Sample")):
        if other is not chosen:
            other.getparent().remove(other)
    pruning = _Pruning(chosen)
    pruning.run()
    try:
        parsed = flowkit.parse_wsp(BytesIO(etree.tostring(root)))["samples"][name]
    except (*FLOWKIT_ERRORS, NotImplementedError, etree.LxmlError, flowkit.exceptions.FlowKitException) as error:
        # FlowKit lets whatever goes wrong inside a workspace escape as it is.
        raise StrategyFault(f"{path}: the gates of {name} cannot be read: {error}") from error
    return Foreign(
        source=f"{path.name}, sample {name} (FlowJo {version})",
        gating=_for_any_sample(parsed["gating_strategy"], name),
        channels=tuple(_channels(parsed["keywords"])),
        notes=(*of_its_own, *pruning.notes),
        recorded=pruning.recorded,
    )


def _choose(path: Path, root: etree._Element, sample: str | None) -> etree._Element:
    found = {node.get("name"): node.getparent() for node in root.iter("SampleNode")}
    if sample is None and len(found) == 1:
        return next(iter(found.values()))
    if sample not in found:
        listed = ", ".join(str(name) for name in list(found)[:12]) or "none"
        asked = f"has no sample '{sample}'" if sample else "holds the gates of several samples: choose one with --sample"
        raise StrategyFault(f"{path}: {asked}. Samples: {listed}.")
    return found[sample]


def _for_any_sample(own: flowkit.GatingStrategy, sample: str) -> flowkit.GatingStrategy:
    """Take a sample's own gates as the gates of a strategy."""
    import flowkit

    gating = flowkit.GatingStrategy()
    for reference, matrix in own.comp_matrices.items():
        gating.add_comp_matrix(reference, matrix)
    for reference, transform in own.transformations.items():
        gating.add_transform(reference, transform)
    for name, ancestors in own.get_gate_ids():
        gating.add_gate(own.get_gate(name, ancestors, sample_id=sample), ancestors)
    return gating


def _channels(keywords: Mapping[str, str]) -> Iterator[ForeignChannel]:
    number = 1
    while f"$P{number}N" in keywords:
        maximum = keywords.get(f"$P{number}R", "").strip()
        detector, label = keywords[f"$P{number}N"].strip(), keywords.get(f"$P{number}S", "").strip()
        yield ForeignChannel(number - 1, detector, label, float(maximum) if maximum.isdigit() and int(maximum) else 262144.0)
        number += 1


class _Pruning:
    """Take out of a sample what FlowKit would stop at or read wrongly, noting each."""

    def __init__(self, sample: etree._Element) -> None:
        self.notes: list[Note] = []
        self.recorded: dict[tuple[str, ...], int] = {}
        self._sample = sample
        self._unknown = set(self._drop_transforms())
        self._compensated, self._prefix, self._suffix = self._matrix()
        self._gates = 0

    def run(self) -> None:
        """Walk the gates from the top."""
        for derived in self._sample.iter("DerivedParameter"):
            self.notes.append(Note("lost", "", f"The derived parameter '{derived.get('name')}' is FlowJo's own; gates on it are left out."))
        for populations in self._sample.find("SampleNode").findall("Subpopulations"):
            self._walk(populations, ("root",))

    def _walk(self, populations: etree._Element, above: tuple[str, ...]) -> None:
        from lxml import etree

        for node in list(populations):
            kind = etree.QName(node).localname
            if kind not in {"Population", *BOOLEANS}:
                continue
            self._gates += 1
            if self._gates > MOST_GATES:
                raise StrategyFault(f"More than {MOST_GATES:,} gates in one sample are more than one strategy has.")
            name = (node.get("name") or "unnamed").replace("/", "_")
            name = f"{name}_" if name in {".", ".."} else name
            node.set("name", name)
            path = (*above, name)
            reason = self._reason(node) if kind == "Population" else None
            if reason:
                self.notes.append(Note("lost", "/".join(path[1:]), reason))
                populations.remove(node)
                continue
            if (node.get("count") or "").isdigit():
                self.recorded[path] = int(node.get("count", ""))
            if node.get("owningGroup", None) is None:
                node.set("owningGroup", "")
            for below in node.findall("Subpopulations"):
                self._walk(below, path)

    def _reason(self, population: etree._Element) -> str | None:
        """Say why a population cannot be carried over; None when it can."""
        from lxml import etree

        gate = population.find("Gate")
        shapes = [] if gate is None else list(gate)
        kinds = [etree.QName(shape).localname for shape in shapes]
        if len(kinds) != 1 or kinds[0] not in SHAPES:
            return f"FlowJo's gate of the kind {' and '.join(kinds) or 'unknown'} has no counterpart here."
        for dimension in shapes[0].iter(f"{{{SPACES['data-type']}}}fcs-dimension"):
            name = dimension.get(f"{{{SPACES['data-type']}}}name", "")
            bare = name.removeprefix(self._prefix).removesuffix(self._suffix)
            if name in self._unknown or bare in self._unknown:
                return f"The scale of {name} is FlowJo's own and not published. Save it as biexponential, logicle, arcsinh or linear."
            if name == bare and bare in self._compensated and self._prefix + self._suffix:
                return f"It is drawn on the uncompensated {name}; a strategy compensates every fluorescence."
        return None

    def _drop_transforms(self) -> Iterator[str]:
        from lxml import etree

        space = SPACES["transforms"]
        for scales in self._sample.findall("Transformations"):
            for scale in list(scales):
                kind = etree.QName(scale).localname
                if kind not in TRANSFORMS or (kind == "biex" and scale.get(f"{{{space}}}length") != BIEX_LENGTH):
                    yield from (p.get(f"{{{SPACES['data-type']}}}name", "") for p in scale.iter(f"{{{SPACES['data-type']}}}parameter"))
                    scales.remove(scale)

    def _matrix(self) -> tuple[set[str], str, str]:
        """Give the channels that the sample's matrix changes, and how FlowJo marks their compensated names."""
        matrix = self._sample.find(f"{{{SPACES['transforms']}}}spilloverMatrix")
        if matrix is None:
            return set(), "", ""
        detectors = [p.get(f"{{{SPACES['data-type']}}}name", "") for p in matrix.iter(f"{{{SPACES['data-type']}}}parameter")]
        value = f"{{{SPACES['transforms']}}}value"
        try:
            rows = [[float(c.get(value, "nan")) for c in row] for row in matrix.findall(f"{{{SPACES['transforms']}}}spillover")]
        except ValueError:
            rows = []
        square = len(rows) == len(detectors) and all(len(row) == len(rows) for row in rows)
        changes = not square or not np.allclose(np.array(rows), np.eye(len(rows)), atol=0)
        return set(detectors) if changes else set(), matrix.get("prefix", ""), matrix.get("suffix", "")

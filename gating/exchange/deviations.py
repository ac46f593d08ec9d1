"""List what single samples of a FlowJo workspace have otherwise than the gates they share."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from gating.exchange.common_gates import CommonGates
from gating.exchange.flowjo_populations import channels_of
from gating.exchange.foreign_document import Path
from gating.exchange.import_gates import Imported
from gating.exchange.workspace_samples import WorkspaceSample
from panels.files.csv_cells import csv_text

if TYPE_CHECKING:
    from lxml import etree

Kind = Literal[
    "drawn otherwise",
    "only in this sample",
    "missing in this sample",
    "another scale",
    "another compensation",
]
COLUMNS = (
    "sample",
    "file",
    "gate",
    "strategy_gate",
    "deviation",
    "own",
    "common",
    "recorded",
    "counted_own",
    "counted_strategy",
    "difference",
    "percent",
)


@dataclass(frozen=True, slots=True)
class Deviation:
    """One thing that a sample has otherwise than the strategy made of the workspace.

    ``gate`` is empty where it concerns all gates of the sample. ``own`` and ``common`` are the
    shapes in the strategy's terms (JSON), or the channel. The counts are those FlowJo recorded, and
    ours under the sample's own gates and under the strategy.
    """

    sample: str
    file: str
    gate: str
    strategy_gate: str
    kind: Kind
    own: str = ""
    common: str = ""
    recorded: int | None = None
    counted_own: int | None = None
    counted_strategy: int | None = None

    @property
    def difference(self) -> int | None:
        """Give how many events more (or fewer) the strategy counts than the sample's own gates."""
        if self.counted_own is None or self.counted_strategy is None:
            return None
        return self.counted_strategy - self.counted_own

    @property
    def percent(self) -> float | None:
        """Give the difference in percent of the count under the sample's own gates."""
        if self.difference is None or not self.counted_own:
            return None
        return round(100 * self.difference / self.counted_own, 4)

    def document(self) -> dict[str, object]:
        """Give the row by its columns."""
        values = (
            self.sample,
            self.file,
            self.gate,
            self.strategy_gate,
            self.kind,
            self.own,
            self.common,
            self.recorded,
            self.counted_own,
            self.counted_strategy,
            self.difference,
            self.percent,
        )
        return dict(zip(COLUMNS, values, strict=True))


@dataclass(frozen=True, slots=True)
class SampleCounts:
    """The counts of one sample by path: recorded, under its own gates, and under the strategy."""

    recorded: Mapping[Path, int]
    own: Mapping[Path, int]
    strategy: Mapping[Path, int]


def deviates(sample: WorkspaceSample, common: CommonGates) -> bool:
    """Tell whether a sample has anything otherwise than the common gates."""
    return bool(_gate_kinds(sample, common)) or bool(list(_axis_kinds(sample, common)))


def deviations_of(
    sample: WorkspaceSample,
    own: Imported,
    common: CommonGates,
    adopted: Imported,
    counts: SampleCounts,
) -> list[Deviation]:
    """List the deviations of one sample, gate by gate.

    ``own`` are the sample's gates in a strategy's terms, ``adopted`` those of the strategy.
    """
    file = "" if sample.header is None else sample.header.path.name
    found = [
        Deviation(
            sample=sample.label,
            file=file,
            gate="/".join(path[1:]),
            strategy_gate=adopted.name_of.get(path, ""),
            kind=kind,
            own=_shape_text(own, path),
            common=_shape_text(adopted, path),
            recorded=counts.recorded.get(path),
            counted_own=counts.own.get(path),
            counted_strategy=counts.strategy.get(path),
        )
        for path, kind in _gate_kinds(sample, common).items()
    ]
    found += [
        Deviation(sample.label, file, "", "", kind, own=channel, common=channel)
        for kind, channel in _axis_kinds(sample, common)
    ]
    return found


def _gate_kinds(sample: WorkspaceSample, common: CommonGates) -> dict[Path, Kind]:
    kinds: dict[Path, Kind] = {}
    for path in {**common.gates, **sample.gates}:
        if path not in sample.gates:
            kinds[path] = "missing in this sample"
        elif path not in common.gates:
            kinds[path] = "only in this sample"
        elif sample.gates[path].shape != common.gates[path].shape:
            kinds[path] = "drawn otherwise"
    return kinds


def _axis_kinds(sample: WorkspaceSample, common: CommonGates) -> Iterator[tuple[Kind, str]]:
    """Yield what a sample's axes have otherwise: the scales its shapes are drawn on, its matrix."""
    template = common.template
    if sample is template:
        return
    used = {
        channel
        for drawn in common.gates.values()
        if not any(True for _ in drawn.element.iterfind("Gate/{*}RectangleGate"))
        for channel in channels_of(drawn.element)
    }
    own, shared = _scales(sample.element), _scales(template.element)
    for channel in sorted(used & set(own) & set(shared)):
        if own[channel] != shared[channel]:
            yield "another scale", channel
    if not _same_matrix(sample, template):
        yield "another compensation", ""


def _scales(sample: etree._Element) -> dict[str, tuple[object, ...]]:
    """Give the scale of each channel as its kind and numbers."""
    from lxml import etree

    scales = {}
    for scale in sample.iterfind("Transformations/*"):
        written = sorted((etree.QName(key).localname, each) for key, each in scale.attrib.items())
        for parameter in scale.iterfind("{*}parameter"):
            name = next((v for k, v in parameter.attrib.items() if k.endswith("}name")), "")
            scales[name] = (etree.QName(scale).localname, *written)
    return scales


def _same_matrix(sample: WorkspaceSample, template: WorkspaceSample) -> bool:
    """Tell whether two samples are compensated alike: by one matrix, or each by its file's."""
    from gating.exchange.flowjo_channels import sample_channels
    from gating.exchange.flowjo_matrix import is_stored, sample_matrix

    matrices = []
    for each in (sample, template):
        channels = sample_channels(each.element, each.header)
        matrix = sample_matrix(each.element, channels, each.header)
        matrices.append((matrix, each.header is not None and is_stored(matrix, each.header)))
    (own, own_stored), (shared, shared_stored) = matrices
    if own_stored and shared_stored:
        return True
    return _coefficients(own) == _coefficients(shared)


def _coefficients(matrix: Any) -> object:
    if matrix is None or matrix.matrix is None or not matrix.changes:
        return None
    return matrix.detectors, matrix.matrix.matrix.round(9).tolist()


def _shape_text(imported: Imported, path: Path) -> str:
    """Write a gate's shape in a strategy's terms as JSON; empty where it was not carried over."""
    name = imported.name_of.get(path)
    by_name = {gate["gate"]: gate for gate in imported.document["gates"]}
    if name is None or name not in by_name:
        return ""
    shape = {k: v for k, v in by_name[name].items() if k not in {"gate", "parent"}}
    inner = by_name.get(f"{name}_inside")
    if inner is not None and shape.get("none_of") == [inner["gate"]]:
        shape = {"outside": {k: v for k, v in inner.items() if k not in {"gate", "parent"}}}
    return json.dumps(shape, sort_keys=True)


def deviations_csv(deviations: Sequence[Deviation]) -> str:
    """Write deviations as CSV, one row a sample and gate."""
    return csv_text(COLUMNS, [tuple(each.document().values()) for each in deviations])

"""Read the gates of one sample of a FlowJo 10 workspace, and of no other sample or group."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import TYPE_CHECKING

from gating.evaluation.reference_gates import FILE_SPILL
from gating.exchange.flowjo_axes import SampleAxes, sample_axes
from gating.exchange.flowjo_channels import LeftOut, sample_channels
from gating.exchange.flowjo_gates import bins_of, read_shape, shape_of
from gating.exchange.flowjo_groups import notes_on_groups
from gating.exchange.flowjo_populations import BOOLEANS, plain_name, unique_path
from gating.exchange.flowkit_errors import FLOWKIT_ERRORS
from gating.exchange.foreign_document import Foreign, Path
from gating.exchange.import_notes import Note
from gating.strategy.bounds import LONGEST_NAME, MOST_CORNERS_TOGETHER, MOST_GATES, MOST_LEVELS
from panels.text.errors import StrategyFault
from panels.text.printable import printable, shown

if TYPE_CHECKING:
    import flowkit
    from lxml import etree

    from gating.fcs.header import TubeHeader

LEAST_VERSION = 10
_VERSION = re.compile(r"[0-9]{1,4}")
_COUNT = re.compile(r"[0-9]{1,15}")


def read_sample(
    path: FilePath, root: etree._Element, sample: str | None, tube: TubeHeader | None
) -> Foreign:
    """Read one sample of a workspace.

    ``tube`` is the sample's file, where it is at hand. Raises StrategyFault when the sample is not
    clear, or when FlowJo 9 or less wrote the workspace.
    """
    flowjo_version(path, root)
    chosen = choose_sample(path, root, sample)
    foreign = read_element(path, root, chosen, tube)
    notes = notes_on_groups(root, chosen.find("SampleNode"))
    return replace(foreign, notes=(*notes, *foreign.notes))


def read_element(
    path: FilePath, root: etree._Element, chosen: etree._Element, tube: TubeHeader | None
) -> Foreign:
    """Read the gates of a ``Sample`` element of a workspace, as ``read_sample`` does."""
    version = flowjo_version(path, root)
    node = chosen.find("SampleNode")
    channels = sample_channels(chosen, tube)
    axes = sample_axes(chosen, channels, tube)
    _check_sizes(path, node)
    tree = _Tree(axes)
    tree.read(node)
    gating = tree.gating()
    derived = [_derived_note(name) for name in sorted(axes.derived)]
    return Foreign(
        source=printable(f"{path.name}, sample {node.get('name')} (FlowJo {version})"),
        gating=gating,
        channels=channels.listed,
        notes=(*channels.notes, *derived, *tree.notes),
        recorded=tree.recorded,
        sample=node.get("name", ""),
        events=count_of(node),
        bins=tree.bins,
    )


def flowjo_version(path: FilePath, root: etree._Element) -> str:
    """Give the version of FlowJo; raises StrategyFault for FlowJo 9 or less."""
    version = shown(root.get("flowJoVersion", ""))
    major = version.partition(".")[0]
    if not _VERSION.fullmatch(major) or int(major) < LEAST_VERSION:
        raise StrategyFault(f"{path}: was written by FlowJo '{version}'. Save it with FlowJo 10.")
    return version


def _derived_note(name: str) -> Note:
    text = f"The derived parameter '{name}' is FlowJo's own; gates on it are left out."
    return Note("lost", "", text)


def _check_sizes(path: FilePath, sample: etree._Element) -> None:
    """Refuse names too long to be names, and more corners than a strategy can have."""
    for each in sample.iter("SampleNode", "Population", *BOOLEANS, "Dependent", "{*}fcs-dimension"):
        longest = max(map(len, each.attrib.values()), default=0)
        if longest > LONGEST_NAME:
            raise StrategyFault(
                f"{path}, line {each.sourceline}: a name of {longest:,} letters is none "
                f"({LONGEST_NAME} at most). Correct it."
            )
    corners = sum(1 for _ in sample.iter("{*}vertex"))
    if corners > MOST_CORNERS_TOGETHER:
        raise StrategyFault(
            f"{path}: the gates of one sample have {corners:,} corners together "
            f"({MOST_CORNERS_TOGETHER:,} at most). Draw them with fewer."
        )


def choose_sample(path: FilePath, root: etree._Element, sample: str | None) -> etree._Element:
    """Give the named sample, or the only one.

    Raises StrategyFault when there is no such sample or several.
    """
    samples: dict[str, list[etree._Element]] = {}
    for node in root.iterfind(".//Sample/SampleNode"):
        samples.setdefault(node.get("name", ""), []).append(node.getparent())
    listed = ", ".join(shown(name) for name in list(samples)[:12]) or "none"
    if sample is None:
        if sum(map(len, samples.values())) == 1:
            return next(iter(samples.values()))[0]
        raise StrategyFault(
            f"{path}: holds the gates of several samples: choose one with --sample. Samples: "
            f"{listed}."
        )
    if sample not in samples:
        raise StrategyFault(f"{path}: has no sample '{shown(sample)}'. Samples: {listed}.")
    if len(samples[sample]) > 1:
        raise StrategyFault(
            f"{path}: has {len(samples[sample])} samples called '{sample}'. Give them names of "
            f"their own in FlowJo."
        )
    return samples[sample][0]


@dataclass(frozen=True, slots=True)
class _Node:
    """One population before it is a gate: its shape, or the names it combines."""

    path: Path
    element: etree._Element
    combined: tuple[str, ...] | None


@dataclass(slots=True)
class _Tree:
    """The populations of one sample that can be carried over, and a note on each that cannot."""

    axes: SampleAxes
    notes: list[Note] = field(default_factory=list)
    recorded: dict[Path, int] = field(default_factory=dict)
    bins: dict[Path, int] = field(default_factory=dict)
    _nodes: dict[Path, _Node] = field(default_factory=dict)
    _written: dict[str, list[Path]] = field(default_factory=dict)
    _levels: dict[Path, int] = field(default_factory=dict)

    def read(self, node: etree._Element) -> None:
        """Walk the populations from the top."""
        waiting: list[tuple[etree._Element, Path, str]] = [(node, ("root",), "")]
        while waiting:
            above, parent, written = waiting.pop(0)
            for each in above.iterfind("Subpopulations/*"):
                if each.tag != "Population" and each.tag not in BOOLEANS:
                    continue
                path = self._unique((*parent, plain_name(each.get("name") or "unnamed")))
                names = f"{written}/{each.get('name')}" if written else str(each.get("name"))
                self._written.setdefault(names, []).append(path)
                self._add(path, each)
                waiting.append((each, path, names))

    def _add(self, path: Path, element: etree._Element) -> None:
        combined = _combined(element) if element.tag in BOOLEANS else None
        self._nodes[path] = _Node(path, element, combined)
        count = count_of(element)
        if count is not None:
            self.recorded[path] = count

    def _unique(self, path: Path) -> Path:
        """Number a population that has the name of another under the same parent.

        Raises StrategyFault when there are already as many as one strategy has.
        """
        if len(self._nodes) >= MOST_GATES:
            raise StrategyFault(
                f"More than {MOST_GATES:,} gates in one sample are more than one strategy has."
            )
        unique = unique_path(path, self._nodes)
        if unique != path:
            text = "Two populations have this name: this is the second."
            self.notes.append(Note("changed", "/".join(unique[1:]), text))
        return unique

    def gating(self) -> flowkit.GatingStrategy:
        """Make gates of the populations, parents and combined gates first.

        A gate that depends on one that cannot be carried over is not carried over either.
        """
        gates: dict[Path, flowkit.gates.Gate] = {}
        lost: set[Path] = set()
        waiting = dict(self._nodes)
        while waiting:
            before = len(waiting)
            for path, node in list(waiting.items()):
                try:
                    gate = self._gate(node, gates, lost)
                except LeftOut as reason:
                    lost.add(path)
                    self._note_lost(path, str(reason))
                    del waiting[path]
                    continue
                if gate is not None:
                    gates[path] = gate
                    del waiting[path]
            if len(waiting) == before:
                for path in waiting:
                    self._note_lost(path, "It combines gates that stand on it in a circle.")
                break
        return self._assembled(gates)

    def _note_lost(self, path: Path, reason: str) -> None:
        self.notes.append(Note("lost", "/".join(path[1:]), reason))

    def _gate(
        self, node: _Node, gates: Mapping[Path, flowkit.gates.Gate], lost: set[Path]
    ) -> flowkit.gates.Gate | None:
        """Make one gate; None while what it needs is not made yet.

        Raises LeftOut when it cannot be made.
        """
        parent = node.path[:-1]
        if parent in lost:
            raise LeftOut(f"Its parent {parent[-1]} could not be carried over.")
        if parent != ("root",) and parent not in gates:
            return None
        if node.combined is not None:
            return self._combination(node, gates, lost)
        self._settle(node.path, ())
        shape = shape_of(node.element)
        gate = read_shape(node.path[-1], shape, self.axes)
        bins = bins_of(shape)
        if bins is not None:
            self.bins[node.path] = bins
        return gate

    def _combination(
        self, node: _Node, gates: Mapping[Path, flowkit.gates.Gate], lost: set[Path]
    ) -> flowkit.gates.Gate | None:
        from flowkit import gates as kinds

        named = node.combined or ()
        if not 0 < len(named) <= MOST_GATES:
            many = len(named) or "no"
            raise LeftOut(f"It combines {many} gates; a strategy has {MOST_GATES} at most.")
        members = [self._named(name) for name in named]
        gone = [member[-1] for member in members if member in lost]
        if gone:
            raise LeftOut(f"It combines {', '.join(gone)}, which could not be carried over.")
        if any(member not in gates for member in members):
            return None
        self._settle(node.path, members)
        references = [
            {"ref": member[-1], "path": member[:-1], "complement": False} for member in members
        ]
        return kinds.BooleanGate(node.path[-1], BOOLEANS[node.element.tag], references)

    def _settle(self, path: Path, members: Iterable[Path]) -> None:
        """Count the levels of gates that one depends on; an evaluation follows them one by one."""
        self._levels[path] = 1 + max(self._levels.get(each, 0) for each in (path[:-1], *members))
        if self._levels[path] > MOST_LEVELS:
            raise LeftOut(
                f"It stands on more than {MOST_LEVELS} gates, one on the other: no strategy "
                f"is so deep."
            )

    def _named(self, name: str) -> Path:
        """Find the population a combination names.

        FlowJo writes the path to it with '/', which may be part of a name too.
        """
        paths = self._written.get(name, [])
        if not paths:
            raise LeftOut(f"It combines {name}, which is not there.")
        if len(paths) > 1:
            raise LeftOut(f"It combines {name}, which is the name of several gates.")
        return paths[0]

    def _assembled(self, gates: Mapping[Path, flowkit.gates.Gate]) -> flowkit.GatingStrategy:
        import flowkit

        gating = flowkit.GatingStrategy()
        matrix = self.axes.matrix
        if matrix is not None and matrix.matrix is not None and matrix.name != FILE_SPILL:
            gating.add_comp_matrix(matrix.name, matrix.matrix)
        for reference, transform in self.axes.transforms.items():
            gating.add_transform(reference, transform)
        for path, gate in gates.items():
            try:
                gating.add_gate(gate, path[:-1])
            except (*FLOWKIT_ERRORS, flowkit.exceptions.FlowKitException) as error:
                raise StrategyFault(
                    f"The gate '{'/'.join(path[1:])}' cannot be placed: {error}"
                ) from error
        return gating


def _combined(node: etree._Element) -> tuple[str, ...]:
    named: Iterable[etree._Element] = node.iterfind("Dependents/Dependent")
    return tuple(each.get("name", "") for each in named)


def count_of(node: etree._Element) -> int | None:
    """Read the count FlowJo keeps of a population; it writes -1 where it has not counted."""
    written = (node.get("count") or "").strip()
    return int(written) if _COUNT.fullmatch(written) else None

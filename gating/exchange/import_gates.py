"""Turn another program's gates into a strategy of ours, with notes on what could not be kept."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from gating.exchange.dimension_mapping import CannotCarry, DimensionMapping
from gating.exchange.import_notes import Note, Outcome
from gating.exchange.read_document import Foreign, RangedChannel
from gating.exchange.scale_conversion import ChannelNames, is_scatter
from gating.exchange.shape_conversion import Shapes
from gating.strategy.gates import Scale
from panels.panel import Panel
from panels.text.errors import StrategyFault

if TYPE_CHECKING:
    import flowkit

Path = tuple[str, ...]
VERSION = "1.0.0"
POLYGON_BINS = (
    "FlowJo decides membership on a 256 × 256 grid; its own counts may differ by the events that "
    "lie on the edge."
)

NO_THRESHOLDS = (
    "Bounds have no names and no evidence yet: write them as thresholds where they are one "
    "boundary."
)


@dataclass(frozen=True, slots=True)
class Imported:
    """A strategy document, the panel it needs when it brings a matrix, and the report.

    ``name_of`` maps the path of every gate that was carried over to its name in the strategy.
    """

    document: dict[str, Any]
    panel: dict[str, Any] | None
    notes: tuple[Note, ...]
    name_of: Mapping[Path, str]

    @property
    def lost(self) -> tuple[Note, ...]:
        """List what could not be carried over."""
        return tuple(note for note in self.notes if note.outcome == "lost")


def import_gates(
    foreign: Foreign,
    panel: Panel,
    name: str,
    *,
    channels: Sequence[RangedChannel] = (),
    stores_spill: bool | None = None,
) -> Imported:
    """Carry another program's gates over to a strategy on ``panel``.

    ``channels`` (else those the document lists) give the marker of each channel and how far its
    values reach; without any, channels are known by the panel's detectors and reach as far as the
    document's scales do. ``stores_spill`` tells whether the files store a compensation, if known.
    """
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise StrategyFault(
            f"'{name}' cannot name a strategy: use letters, digits and '_', not beginning "
            f"with a digit."
        )
    listed = channels or foreign.channels
    notes = list(foreign.notes)
    mapping = DimensionMapping(
        foreign, panel, name, ChannelNames(panel, listed), stores_spill, notes
    )
    return _Import(foreign, panel, name, mapping, notes=notes).run()


@dataclass(slots=True)
class _Import:
    foreign: Foreign
    panel: Panel
    name: str
    mapping: DimensionMapping
    notes: list[Note]
    name_of: dict[Path, str] = field(default_factory=dict)
    gates: list[dict[str, Any]] = field(default_factory=list)
    taken: set[str] = field(default_factory=lambda: {"root"})
    lost: set[Path] = field(default_factory=set)
    cures: dict[str, list[Path]] = field(default_factory=dict)

    @property
    def shapes(self) -> Shapes:
        """Give the writer of the gates' shapes."""
        return Shapes(self.mapping, self._note)

    def run(self) -> Imported:
        """Carry over gate by gate, parents and members first."""
        nodes = self._nodes()
        self.mapping.settle_scales(nodes)
        for path in nodes:
            for each in (path, *_quadrant_paths(path, nodes[path])):
                self.name_of[each] = self._unique(each[-1], each)
        for path, gate in self._parents_first(nodes):
            self._carry(path, gate)
        for path in self.lost:
            self.name_of.pop(path, None)
        notes = (*self.notes, *self._summary())
        return Imported(self._document(), self.mapping.matrix_panel, notes, self.name_of)

    def _nodes(self) -> dict[Path, flowkit.gates.Gate]:
        from flowkit.exceptions import QuadrantReferenceError

        nodes: dict[Path, flowkit.gates.Gate] = {}
        for name, ancestors in self.foreign.gating.get_gate_ids():
            try:
                nodes[(*ancestors, name)] = self.foreign.gating.get_gate(name, ancestors)
            except QuadrantReferenceError:
                continue
        return nodes

    def _parents_first(
        self, nodes: Mapping[Path, flowkit.gates.Gate]
    ) -> Iterator[tuple[Path, flowkit.gates.Gate]]:
        """Yield gates after their parents and after what they combine."""
        done: set[Path] = {("root",)}
        waiting = dict(nodes)
        while waiting:
            ready = [p for p, g in waiting.items() if done.issuperset([p[:-1], *_members(g)])]
            for path in ready or list(waiting):
                gate = waiting.pop(path)
                done |= {path, *_quadrant_paths(path, gate)}
                if ready:
                    yield path, gate
                else:
                    self._lose(path, "It refers to a gate that is not there.")

    def _unique(self, wanted: str, path: Path) -> str:
        """Give a name that a strategy can have and no other gate has.

        Where the plain name is taken, the nearest parent's name or a number is added to it.
        """
        plain = _plain_name(wanted)
        choices = [plain]
        for above in (path[:i] for i in range(len(path) - 1, 1, -1)):
            if above in self.name_of:
                choices.append(f"{self.name_of[above]}_{plain}")
                break
        choices += [f"{plain}_{n}" for n in range(2, 10_000)]
        name = next(choice for choice in choices if choice not in self.taken)
        self.taken.add(name)
        return name

    def _carry(self, path: Path, gate: flowkit.gates.Gate) -> None:
        """Carry one gate over, or note why not."""
        if path[:-1] in self.lost:
            return self._lose(path, f"Its parent {path[-2]} could not be carried over.", gate)
        missing = [
            member[-1]
            for member in _members(gate)
            if member in self.lost or member not in self.name_of
        ]
        if missing:
            reason = f"It combines {', '.join(missing)}, which could not be carried over."
            return self._lose(path, reason, gate)
        try:
            with np.errstate(all="ignore"):
                self._add(path, gate)
        except CannotCarry as fault:
            self.cures.setdefault(fault.cure, []).append(path)
            return self._lose(path, str(fault), gate)
        if path in self.name_of:
            self._note_renamed(path)
        return None

    def _add(self, path: Path, gate: flowkit.gates.Gate) -> None:
        """Write one gate; raises CannotCarry when a strategy cannot express it."""
        from flowkit import gates

        if isinstance(gate, gates.BooleanGate):
            self._boolean(path, gate)
        elif isinstance(gate, gates.QuadrantGate):
            self._quadrants(path, gate)
        else:
            self._shape(path, gate)

    def _shape(self, path: Path, gate: flowkit.gates.Gate) -> None:
        name, parent = self.name_of[path], self._parent(path)
        if not getattr(gate, "use_complement", False):
            self.gates.append({"gate": name, "parent": parent} | self._shape_of(path, gate))
            return
        inner = self._unique(f"{name}_inside", path)
        self.gates.append({"gate": inner, "parent": parent} | self._shape_of(path, gate))
        self.gates.append({"gate": name, "parent": parent, "none_of": [inner]})
        text = f"It keeps what lies outside its shape: written as none_of {inner}."
        self._note("changed", path, text)

    def _shape_of(self, path: Path, gate: flowkit.gates.Gate) -> dict[str, Any]:
        from flowkit import gates

        if isinstance(gate, gates.RectangleGate):
            return self.shapes.rectangle(gate)
        if isinstance(gate, gates.PolygonGate):
            corners = [(float(x), float(y)) for x, y in gate.vertices]
            return self.shapes.polygon(path, gate.dimensions, corners)
        return self.shapes.ellipse(path, gate)

    def _parent(self, path: Path) -> str:
        return "root" if len(path) == 2 else self.name_of[path[:-1]]

    def _quadrants(self, path: Path, gate: flowkit.gates.QuadrantGate) -> None:
        """Write each quadrant as a rectangle: Gating-ML's may have any number of dividers."""
        dividers = {divider.id: divider for divider in gate.dimensions}
        written = [
            {
                "gate": self.name_of[(*path, name)],
                "parent": self._parent(path),
                "rectangle": self._quadrant_limits(quadrant, dividers),
            }
            for name, quadrant in gate.quadrants.items()
        ]
        if not all(each["rectangle"] for each in written):
            raise CannotCarry("One of its quadrants has no bound.")
        self.gates += written
        for name in gate.quadrants:
            self._note_renamed((*path, name))
        del self.name_of[path]
        self._note("changed", path, "Its quadrants are written as rectangles under its parent.")

    def _quadrant_limits(
        self,
        quadrant: flowkit.gates.Quadrant,
        dividers: Mapping[str, flowkit.QuadrantDivider],
    ) -> dict[str, dict[str, float]]:
        limits_of: dict[str, dict[str, float]] = {}
        for reference in quadrant.divider_refs:
            divider = dividers[reference]
            axis = self.mapping.axis(divider)
            low, high = quadrant.get_divider_range(reference)
            limits = self.shapes.limits(axis, divider.transformation_ref, low, high)
            if axis in limits_of and limits_of[axis] != limits:
                raise CannotCarry(f"Two of its dividers lie on {axis}.")
            if limits:
                limits_of[axis] = limits
        return limits_of

    def _boolean(self, path: Path, gate: flowkit.gates.BooleanGate) -> None:
        name, parent = self.name_of[path], self._parent(path)
        members = []
        for reference in gate.gate_refs:
            member = self.name_of[(*reference["path"], reference["ref"])]
            if reference["complement"]:
                opposite = self._unique(f"not_{member}", path)
                self.gates.append({"gate": opposite, "parent": parent, "none_of": [member]})
                member = opposite
            members.append(member)
        kind = {"and": "all_of", "or": "any_of", "not": "none_of"}[gate.type]
        if gate.type == "not":
            members = members[:1]
        elif len(members) == 1:
            members *= 2
        if not members:
            raise CannotCarry("It combines no gate.")
        self.gates.append({"gate": name, "parent": parent, kind: members})

    def _lose(self, path: Path, reason: str, gate: flowkit.gates.Gate | None = None) -> None:
        self.lost |= {path, *_quadrant_paths(path, gate)}
        self._note("lost", path, reason)

    def _note_renamed(self, path: Path) -> None:
        """Note a gate that has another name in the strategy than in the document."""
        if self.name_of[path] != path[-1]:
            self._note("changed", path, f"It is called {self.name_of[path]} here.")

    def _note(self, outcome: Outcome, path: Path, text: str) -> None:
        self.notes.append(Note(outcome, "/".join(path[1:]), text))

    def _summary(self) -> Iterator[Note]:
        """Note what remains to be done in the strategy."""
        if self.foreign.recorded and any("polygon" in gate for gate in self.gates):
            yield Note("changed", "", POLYGON_BINS)
        yield from self._cures()
        yield Note("to do", "", NO_THRESHOLDS)

    def _cures(self) -> Iterator[Note]:
        """Say for each cause that the user can change which gates it cost, with those on them."""
        for cure, causes in self.cures.items():
            gone = [path for path in self.lost if any(path[: len(c)] == c for c in causes)]
            if cure:
                names = ", ".join(sorted("/".join(path[1:]) for path in gone))
                yield Note("to do", "", f"{cure} Left out for want of it: {names}.")

    def _document(self) -> dict[str, Any]:
        used = {axis for gate in self.gates for axis in _axes_of(gate)}
        scales = {
            axis: _written(scale)
            for axis, scale in sorted(self.mapping.scales.items())
            if axis in used and not is_scatter(axis)
        }
        return {
            "strategy": self.name,
            "version": VERSION,
            "title": f"Imported from {self.foreign.source}",
            "panel": self.panel.panel if self.mapping.matrix_panel is None else self.name,
            "scales": scales,
            "gates": self.gates,
            "populations": [],
        }


def _plain_name(name: str) -> str:
    """Write a gate's name with letters, digits and '_' only, not beginning with a digit.

    A '+' becomes 'pos', a '-' that ends a marker 'neg'.
    """
    words = re.sub(r"\+", "pos_", re.sub(r"[-−](?=$|[A-Z+\s/,(])", "neg_", name))
    plain = re.sub(r"_+", "_", re.sub(r"[^A-Za-z0-9]+", "_", words)).strip("_") or "gate"
    return f"g_{plain}" if plain[0].isdigit() else plain


def _members(gate: flowkit.gates.Gate) -> list[Path]:
    """List the paths of the gates that a Boolean gate combines; other gates combine none."""
    return [(*each["path"], each["ref"]) for each in getattr(gate, "gate_refs", ())]


def _quadrant_paths(path: Path, gate: flowkit.gates.Gate | None) -> list[Path]:
    return [(*path, name) for name in getattr(gate, "quadrants", ())]


def _axes_of(gate: dict[str, Any]) -> set[str]:
    if "rectangle" in gate:
        return set(gate["rectangle"])
    shape = gate.get("polygon") or gate.get("ellipse") or {}
    return {shape["x"], shape["y"]} if shape else set()


def _written(scale: Scale) -> dict[str, Any]:
    if scale.kind == "linear":
        return {"kind": "linear"}
    return {"w": scale.w, "m": scale.m, "a": scale.a}

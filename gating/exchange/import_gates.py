"""Turn another program's gates into a strategy of ours, with a report of all that could not be carried over as it was."""

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

    ``channels`` (else those the document lists) say which marker is where and how far its values
    reach; without any, channels are known by the panel's detectors and reach as far as the
    document's own scales do. ``stores_spill`` tells whether the files store a compensation, if
    known.
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

    @property
    def shapes(self) -> Shapes:
        """Give what writes the gates' shapes."""
        return Shapes(self.mapping, self._note)

    def run(self) -> Imported:
        """Carry over gate by gate, parents and members first."""
        nodes = self._nodes()
        self.mapping.settle_scales(nodes)
        for path in nodes:
            for each in (path, *self._quadrant_paths(path, nodes[path])):
                self.name_of[each] = self._free(each[-1], each)
        for path, gate in self._in_order(nodes):
            self._carry(path, gate)
        for path in self.lost:
            self.name_of.pop(path, None)
        return Imported(
            self._document(), self.mapping.own_panel, (*self.notes, *self._summary()), self.name_of
        )

    # Names and order

    def _nodes(self) -> dict[Path, flowkit.gates.Gate]:
        from flowkit.exceptions import QuadrantReferenceError

        nodes: dict[Path, flowkit.gates.Gate] = {}
        for name, ancestors in self.foreign.gating.get_gate_ids():
            try:
                nodes[(*ancestors, name)] = self.foreign.gating.get_gate(name, ancestors)
            except QuadrantReferenceError:
                continue
        return nodes

    @staticmethod
    def _quadrant_paths(path: Path, gate: flowkit.gates.Gate) -> list[Path]:
        return [(*path, name) for name in getattr(gate, "quadrants", ())]

    def _in_order(
        self, nodes: Mapping[Path, flowkit.gates.Gate]
    ) -> Iterator[tuple[Path, flowkit.gates.Gate]]:
        """Yield gates after their parents and after what they combine."""
        done: set[Path] = {("root",)}
        waiting = dict(nodes)
        while waiting:
            ready = [
                p
                for p, g in waiting.items()
                if p[:-1] in done and all((*r["path"], r["ref"]) in done for r in _references(g))
            ]
            for path in ready or list(waiting):
                gate = waiting.pop(path)
                done |= {path, *self._quadrant_paths(path, gate)}
                if ready:
                    yield path, gate
                else:
                    self._lose(path, "It refers to a gate that is not there.")

    def _free(self, wanted: str, path: Path) -> str:
        """Give a name that a strategy can have: letters, digits and '_', one gate a name."""
        words = re.sub(r"\+", "pos_", re.sub(r"[-−](?=$|[A-Z+\s/,(])", "neg_", wanted))
        plain = re.sub(r"_+", "_", re.sub(r"[^A-Za-z0-9]+", "_", words)).strip("_") or "gate"
        plain = f"g_{plain}" if plain[0].isdigit() else plain
        parents = [
            self.name_of[path[:i]] for i in range(len(path) - 1, 1, -1) if path[:i] in self.name_of
        ]
        choices = [
            plain,
            *(f"{parent}_{plain}" for parent in parents[:1]),
            *(f"{plain}_{n}" for n in range(2, 10_000)),
        ]
        name = next(choice for choice in choices if choice not in self.taken)
        self.taken.add(name)
        return name

    # Gates

    def _carry(self, path: Path, gate: flowkit.gates.Gate) -> None:
        """Carry one gate over, or note why not."""
        if path[:-1] in self.lost:
            return self._lose(path, f"Its parent {path[-2]} could not be carried over.", gate)
        missing = [
            r["ref"]
            for r in _references(gate)
            if (*r["path"], r["ref"]) in self.lost or (*r["path"], r["ref"]) not in self.name_of
        ]
        if missing:
            return self._lose(
                path, f"It combines {', '.join(missing)}, which could not be carried over.", gate
            )
        try:
            with np.errstate(all="ignore"):
                self._add(path, gate)
        except CannotCarry as reason:
            return self._lose(path, str(reason), gate)
        if self.name_of.get(path, path[-1]) != path[-1]:
            self._note("changed", path, f"It is called {self.name_of[path]} here.")
        return None

    def _add(self, path: Path, gate: flowkit.gates.Gate) -> None:
        from flowkit import gates

        name, parent = self.name_of[path], self._parent(path)
        outside = getattr(gate, "use_complement", False)
        inner = self._free(f"{name}_inside", path) if outside else name
        shape: dict[str, Any]
        if isinstance(gate, gates.BooleanGate):
            return self._boolean(path, gate)
        if isinstance(gate, gates.QuadrantGate):
            return self._quadrants(path, gate)
        if isinstance(gate, gates.RectangleGate):
            shape = self.shapes.rectangle(gate)
        elif isinstance(gate, gates.PolygonGate):
            shape = self.shapes.polygon(
                path, gate.dimensions, [(float(x), float(y)) for x, y in gate.vertices]
            )
        else:
            shape = self.shapes.ellipse(path, gate)
        self.gates.append({"gate": inner, "parent": parent} | shape)
        if outside:
            self.gates.append({"gate": name, "parent": parent, "none_of": [inner]})
            self._note(
                "changed",
                path,
                f"It keeps what lies outside its shape: written as none_of {inner}.",
            )
        return None

    def _parent(self, path: Path) -> str:
        return "root" if len(path) == 2 else self.name_of[path[:-1]]

    def _quadrants(self, path: Path, gate: flowkit.gates.QuadrantGate) -> None:
        """Write each quadrant as a rectangle: Gating-ML's may have any number of dividers."""
        divider = {d.id: d for d in gate.dimensions}
        written = []
        for name, quadrant in gate.quadrants.items():
            sides: dict[str, dict[str, float]] = {}
            for reference in quadrant.divider_refs:
                side = divider[reference]
                axis = self.mapping.axis(side)
                limits = self.shapes.limits(
                    axis, side.transformation_ref, *quadrant.get_divider_range(reference)
                )
                if axis in sides and sides[axis] != limits:
                    raise CannotCarry(f"Two of its dividers lie on {axis}.")
                sides |= {axis: limits} if limits else {}
            written.append(
                {
                    "gate": self.name_of[(*path, name)],
                    "parent": self._parent(path),
                    "rectangle": sides,
                }
            )
        if not all(each["rectangle"] for each in written):
            raise CannotCarry("One of its quadrants has no bound.")
        self.gates += written
        for name in gate.quadrants:
            if self.name_of[(*path, name)] != name:
                self._note(
                    "changed", (*path, name), f"It is called {self.name_of[(*path, name)]} here."
                )
        del self.name_of[path]
        self._note("changed", path, "Its quadrants are written as rectangles under its parent.")

    def _boolean(self, path: Path, gate: flowkit.gates.BooleanGate) -> None:
        name, parent = self.name_of[path], self._parent(path)
        members = []
        for reference in gate.gate_refs:
            member = self.name_of[(*reference["path"], reference["ref"])]
            if reference["complement"]:
                opposite = self._free(f"not_{member}", path)
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

    # Report

    def _lose(self, path: Path, reason: str, gate: flowkit.gates.Gate | None = None) -> None:
        self.lost |= {path, *(self._quadrant_paths(path, gate) if gate is not None else ())}
        self._note("lost", path, reason)

    def _note(self, outcome: Outcome, path: Path, text: str) -> None:
        self.notes.append(Note(outcome, "/".join(path[1:]), text))

    def _summary(self) -> Iterator[Note]:
        if self.foreign.recorded and any("polygon" in gate for gate in self.gates):
            yield Note("changed", "", POLYGON_BINS)
        yield Note(
            "to do",
            "",
            (
                "Bounds have no names and no evidence yet: write them as thresholds where they "
                "are one boundary."
            ),
        )
        yield Note(
            "to do",
            "",
            (
                "No population is reported yet: list those that are, with their reference and "
                "anchor. Write CHANGES.md."
            ),
        )

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
            "panel": self.panel.panel if self.mapping.own_panel is None else self.name,
            "scales": scales,
            "gates": self.gates,
            "populations": [],
        }


def _references(gate: flowkit.gates.Gate) -> list[dict[str, Any]]:
    return list(getattr(gate, "gate_refs", ()))


def _axes_of(gate: dict[str, Any]) -> set[str]:
    if "rectangle" in gate:
        return set(gate["rectangle"])
    shape = gate.get("polygon") or gate.get("ellipse") or {}
    return {shape["x"], shape["y"]} if shape else set()


def _written(scale: Scale) -> dict[str, Any]:
    return (
        {"kind": "linear"} if scale.kind == "linear" else {"w": scale.w, "m": scale.m, "a": scale.a}
    )

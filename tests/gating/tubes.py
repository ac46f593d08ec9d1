"""Tubes for gating tests: simulated events behind the interfaces the engine asks for, and FlowKit's
view of the same events."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gating.fcs.spillover import Spill
from gating.strategy.model import Strategy
from panels.catalogue import load_panel
from panels.panel import Panel, PanelMatch, match_panel


@dataclass(frozen=True)
class FakeChannel:
    """A channel as a header lists it."""

    index: int
    detector: str
    label: str
    maximum: float = 262144.0


@dataclass(frozen=True)
class ArrayTube:
    """Events in memory with the header and the column access of a tube read from a file."""

    events: np.ndarray
    detectors: tuple[str, ...]
    labels: tuple[str, ...]
    spill: Spill | None = None
    spill_fault: str | None = None
    identity_spill: bool = False
    keywords: Mapping[str, str] = field(default_factory=dict)
    path: Path = Path("array.fcs")
    channels: tuple[FakeChannel, ...] = field(default=())

    def __post_init__(self) -> None:
        listed = tuple(
            FakeChannel(i, d, label)
            for i, (d, label) in enumerate(zip(self.detectors, self.labels, strict=True))
        )
        object.__setattr__(self, "channels", listed)

    @property
    def count(self) -> int:
        return len(self.events)

    @property
    def stores_spill(self) -> bool:
        return self.spill is not None or self.spill_fault is not None

    def column(self, index: int, rows: np.ndarray | slice | None = None) -> np.ndarray:
        return self.events[:, index] if rows is None else self.events[rows, index]

    def columns(self, indices: list[int], rows: np.ndarray | slice | None = None) -> np.ndarray:
        return self.events[:, indices] if rows is None else self.events[rows][:, indices]


def random_tube(strategy: Strategy, *, events: int, seed: int) -> tuple[ArrayTube, PanelMatch]:
    """Make a tube of a strategy's panel whose events are spread over every gate, with a real
    spill."""
    panel: Panel = load_panel(strategy.panel)
    rng = np.random.default_rng(seed)
    stains = [stain.detector for stain in panel.markers]
    detectors = ("FSC-A", "FSC-H", "SSC-A", *stains, "Time")
    fsc = rng.uniform(10_000, 200_000, events)
    scatter = np.column_stack(
        [fsc, fsc / rng.normal(1.08, 0.2, events).clip(0.5), rng.uniform(1_000, 262_143, events)]
    )
    signal = rng.choice([-1.0, 1.0], (events, len(stains)), p=[0.1, 0.9]) * 10 ** rng.uniform(
        0, 5.4, (events, len(stains))
    )
    matrix = np.eye(len(stains)) + rng.uniform(0, 0.15, (len(stains), len(stains))) * (
        1 - np.eye(len(stains))
    )
    measured = np.clip(signal @ matrix, -111, 262_143)
    table = (
        np.column_stack([scatter, measured, np.arange(events)])
        .astype(np.float32)
        .astype(np.float64)
    )
    tube = ArrayTube(
        table,
        detectors,
        ("", "", "", *(s.marker for s in panel.markers), ""),
        Spill(tuple(stains), matrix),
    )
    match = match_panel(panel, tube.channels)
    return tube, match

"""Hold the content of a strategy: scales, thresholds, landmarks, gates, reported populations."""

from collections.abc import Mapping

from pydantic import Field

from gating.calibration.model import PIN
from gating.strategy.gates import SCATTER, Bound, Cluster, Coincidence, Gate, Scale
from gating.strategy.landmark import Landmark
from gating.strategy.population import Population
from gating.strategy.threshold import Threshold
from panels.files.strict_model import Identifier, StrictModel


class StrategyContent(StrictModel):
    """The content of a strategy; whether its parts fit together is not checked yet.

    ``calibration`` names the calibration on whose instrument the strategy was drawn: its file has
    no numbers of thresholds then, and they are read from there. ``instruments`` are the cytometers
    (``$CYT``, or as the sample sheet names them) for which the numbers of a file that holds its own
    were set; empty: any.
    """

    strategy: Identifier
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    title: str
    panel: str
    calibration: str | None = Field(default=None, pattern=PIN)
    instruments: tuple[str, ...] = ()
    scale: Scale = Scale()
    scales: Mapping[str, Scale] = Field(default_factory=dict)
    thresholds: Mapping[Identifier, Threshold] = Field(default_factory=dict)
    landmarks: Mapping[Identifier, Landmark] = Field(default_factory=dict)
    beads: Identifier | None = None
    coincidence: Coincidence | None = None
    gates: tuple[Gate, ...] = Field(min_length=1)
    populations: tuple[Population, ...]

    @property
    def name(self) -> str:
        """Write the version as users do: ``bcell@1.0.0``."""
        return f"{self.strategy}@{self.version}"

    def parent_of(self) -> dict[str, str]:
        """Map every gate and quadrant to its parent."""
        return {name: gate.parent for gate in self.gates for name in gate.names}

    def scale_of(self, axis: str) -> Scale:
        """Give the display scale of a marker; scatter and time are linear."""
        if axis in SCATTER:
            return Scale(kind="linear")
        return self.scales.get(axis, self.scale)

    def value_of(self, bound: Bound) -> float:
        """Resolve a bound: a number, or the value of a named threshold."""
        if isinstance(bound, str):
            return self.thresholds[bound].value
        return bound

    @property
    def bead_cluster(self) -> Cluster | None:
        """Give the cluster that the bead gate looks for.

        None where the gate declares its borders, or there is no bead gate.
        """
        return next((gate.cluster for gate in self.gates if gate.gate == self.beads), None)

    def drawn(self) -> set[str]:
        """List the axes that gates are drawn on beside those that define them."""
        axes = {axis for gate in self.gates for axis in (gate.plot.x, gate.plot.y)}
        return {axis for axis in axes if axis is not None} | {"SSC-A", "FSC-A"}

    def markers(self) -> set[str]:
        """List every marker and scatter parameter the gates need."""
        of_gates = {axis for gate in self.gates for axis in gate.axes}
        return of_gates | {threshold.marker for threshold in self.thresholds.values()}

"""Write FlowJo 10 workspaces and the tubes they were drawn on, with gates whose counts are worked
out here and not by the program."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np

from panels.panel import Panel
from tasks.simulate.fcs import FcsChannel, FcsSpill, write_fcs

DETECTORS = ("FSC-A", "SSC-A", "FITC-A", "PE-A", "APC-A", "Time")
LABELS = ("", "", "CD3", "CD4", "CD19", "")
TOP = 262144.0
SPACES = " ".join(
    f'xmlns:{name}="http://www.isac-net.org/std/Gating-ML/v2.0/{place}"'
    for name, place in (
        ("gating", "gating"),
        ("transforms", "transformations"),
        ("data-type", "datatypes"),
    )
)
LINEAR = f'linear transforms:minRange="0" transforms:maxRange="{TOP:g}" gain="1"'
SPILL = np.array([[1.0, 0.2, 0.05], [0.1, 1.0, 0.02], [0.0, 0.15, 1.0]])


def lab_panel(*, compensated: bool = False) -> Panel:
    return Panel.model_validate(
        {
            "panel": "lab",
            "version": "1.0.0",
            "title": "t",
            "instrument": "i",
            "counting": ["dual"],
            "compensated": compensated,
            "scatter": {"FSC-A": "FSC-A", "SSC-A": "SSC-A", "Time": "Time"},
            "markers": [
                {"marker": m, "detector": d}
                for m, d in (("CD3", "FITC-A"), ("CD4", "PE-A"), ("CD19", "APC-A"))
            ],
        }
    )


def raw_events(count: int = 6000, seed: int = 4) -> np.ndarray:
    """Make stored numbers: scatter even over the axis, colours over the decades, Time in ticks, all
    as a file holds them (float32)."""
    rng = np.random.default_rng(seed)
    scatter = rng.uniform(0, TOP, (count, 2))
    colours = 10 ** rng.uniform(0, np.log10(TOP), (count, 3))
    return (
        np.column_stack([scatter, colours, np.arange(count)]).astype(np.float32).astype(np.float64)
    )


@dataclass
class Written:
    """A workspace of one sample, as it will be written."""

    gates: str
    scales: Mapping[str, str] = field(default_factory=dict)
    keywords: Mapping[str, str] = field(default_factory=dict)
    matrix: tuple[str, str] | None = None
    sample: str = "t.fcs"
    events: int = 6000
    more_samples: str = ""

    def text(self) -> str:
        scales = dict.fromkeys(DETECTORS, LINEAR) | dict(self.scales)
        named = {f"$P{n}N": d for n, d in enumerate(DETECTORS, 1)} | {
            f"$P{n}R": f"{TOP:g}" for n in range(1, 7)
        }
        named |= {f"$P{n}S": label for n, label in enumerate(LABELS, 1)} | dict(self.keywords)
        return (
            f'<?xml version="1.0" encoding="UTF-8"?><Workspace version="20.0" '
            f'flowJoVersion="10.8.1" {SPACES}><SampleList><Sample>'
            f'<DataSet uri="file:/x/{self.sample}" sampleID="1"/>{self._spill()}<Transformations>'
            + "".join(
                (
                    f"<transforms:{scale}><data-type:parameter "
                    f"data-type:name={quoteattr(name)}/></transforms:{scale.split()[0]}>"
                )
                for name, scale in scales.items()
            )
            + "</Transformations><Keywords>"
            + "".join(
                f"<Keyword name={quoteattr(key)} value={quoteattr(value)}/>"
                for key, value in named.items()
            )
            + f'</Keywords><SampleNode name={quoteattr(self.sample)} owningGroup="" '
            f'count="{self.events}" sampleID="1">'
            f"<Subpopulations>{self.gates}</Subpopulations></SampleNode></Sample>{self.more_samples}</SampleList></Workspace>"
        )

    def _spill(self) -> str:
        if self.matrix is None:
            return ""
        prefix, suffix = (quoteattr(each) for each in self.matrix)
        dyes = DETECTORS[2:5]
        listed = "".join(f'<data-type:parameter data-type:name="{dye}"/>' for dye in dyes)
        rows = "".join(
            f'<transforms:spillover data-type:parameter="{dye}">'
            + "".join(
                f'<transforms:coefficient data-type:parameter="{d}" transforms:value="{v}"/>'
                for d, v in zip(dyes, row, strict=True)
            )
            + "</transforms:spillover>"
            for dye, row in zip(dyes, SPILL, strict=True)
        )
        return (
            f'<transforms:spilloverMatrix spectral="0" prefix={prefix} suffix={suffix} '
            f'name="Acquisition-defined">'
            f"<data-type:parameters>{listed}</data-type:parameters>{rows}</transforms:spilloverMatrix>"
        )

    def write(self, path: Path) -> Path:
        path.write_text(self.text(), encoding="utf-8")
        return path


def population(name: str, shape: str, count: int = -1, below: str = "") -> str:
    inner = f"<Subpopulations>{below}</Subpopulations>" if below else ""
    return (
        f'<Population name={quoteattr(name)} owningGroup="" '
        f'count="{count}"><Gate>{shape}</Gate>{inner}</Population>'
    )


def combination(kind: str, name: str, members: Sequence[str], count: int = -1) -> str:
    named = "".join(f"<Dependent name={quoteattr(member)}/>" for member in members)
    return (
        f'<{kind} name={quoteattr(name)} owningGroup="" '
        f'count="{count}"><Dependents>{named}</Dependents></{kind}>'
    )


def rectangle(*, inside: int = 1, **sides: tuple[float | None, float | None]) -> str:
    """Write a rectangle; ``FSC_A=(low, high)`` stands for the channel FSC-A."""
    return _rectangle({name.replace("_", "-"): ends for name, ends in sides.items()}, inside)


def rectangle_on(sides: Mapping[str, tuple[float | None, float | None]]) -> str:
    return _rectangle(sides, 1)


def _rectangle(sides: Mapping[str, tuple[float | None, float | None]], inside: int) -> str:
    written = ""
    for name, (low, high) in sides.items():
        ends = (f' gating:min="{low!r}"' if low is not None else "") + (
            f' gating:max="{high!r}"' if high is not None else ""
        )
        written += (
            f"<gating:dimension{ends}><data-type:fcs-dimension "
            f"data-type:name={quoteattr(name)}/></gating:dimension>"
        )
    return f'<gating:RectangleGate eventsInside="{inside}">{written}</gating:RectangleGate>'


def polygon(x: str, y: str, corners: Sequence[tuple[float, float]]) -> str:
    return (
        '<gating:PolygonGate eventsInside="1" gateResolution="256">'
        + _axes(x, y)
        + "".join(_vertex(each) for each in corners)
    ) + "</gating:PolygonGate>"


def ellipse(
    x: str,
    y: str,
    centre: tuple[float, float],
    half: tuple[float, float],
    turn: float = 0.0,
    *,
    inside: int = 1,
) -> str:
    """Write an ellipse in places of FlowJo's 256 × 256 display: its centre, long and short
    half-axis, and turn in radians."""
    middle, along = np.array(centre), np.array([np.cos(turn), np.sin(turn)])
    across = np.array([-along[1], along[0]])
    focus = np.sqrt(half[0] ** 2 - half[1] ** 2)
    foci = "".join(_vertex(middle + sign * focus * along) for sign in (1, -1))
    edge = "".join(
        _vertex(middle + step)
        for step in (half[0] * along, -half[0] * along, half[1] * across, -half[1] * across)
    )
    return (
        f'<gating:EllipsoidGate eventsInside="{inside}" '
        f'gating:distance="{2 * half[0]}">{_axes(x, y)}'
        f"<gating:foci>{foci}</gating:foci><gating:edge>{edge}</gating:edge></gating:EllipsoidGate>"
    )


def in_ellipse(
    places: np.ndarray, centre: tuple[float, float], half: tuple[float, float], turn: float = 0.0
) -> np.ndarray:
    """Tell which places of the display (n × 2) lie in an ellipse."""
    away = places - np.array(centre)
    along = away @ np.array([np.cos(turn), np.sin(turn)])
    across = away @ np.array([-np.sin(turn), np.cos(turn)])
    return (along / half[0]) ** 2 + (across / half[1]) ** 2 <= 1


def _axes(*names: str) -> str:
    return "".join(
        (
            f"<gating:dimension><data-type:fcs-dimension "
            f"data-type:name={quoteattr(name)}/></gating:dimension>"
        )
        for name in names
    )


def _vertex(place: Sequence[float] | np.ndarray) -> str:
    inner = "".join(f'<gating:coordinate data-type:value="{float(each)!r}"/>' for each in place)
    return f"<gating:vertex>{inner}</gating:vertex>"


def write_tube(
    path: Path, raw: np.ndarray, *, keywords: Mapping[str, str] | None = None, spill: bool = False
) -> Path:
    """Write a tube whose stored numbers are ``raw``."""
    channels = [
        FcsChannel(detector, label) for detector, label in zip(DETECTORS, LABELS, strict=True)
    ]
    stored = FcsSpill(DETECTORS[2:5], SPILL) if spill else None
    write_fcs(path, raw, channels, dialect="fcs3.1-le", spill=stored, keywords=dict(keywords or {}))
    return path

"""Gates without end are refused in a sentence, soon and in little memory, in each format."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gating.exchange.read_gatingml import read_gatingml
from gating.strategy.bounds import MOST_GATES, MOST_LEVELS
from gating.strategy.catalogue import read_strategy
from panels.text.errors import StrategyFault
from tests.gating.workspaces import Written, combination, polygon, population, rectangle

SPACES = " ".join(
    f'xmlns:{name}="http://www.isac-net.org/std/Gating-ML/v2.0/{place}"'
    for name, place in (
        ("gating", "gating"),
        ("transforms", "transformations"),
        ("data-type", "datatypes"),
    )
)
AXIS = (
    '<gating:dimension gating:compensation-ref="uncompensated" gating:min="1">'
    '<data-type:fcs-dimension data-type:name="FSC-A"/></gating:dimension>'
)
VERTEX = (
    '<gating:vertex><gating:coordinate data-type:value="1"/>'
    '<gating:coordinate data-type:value="2"/></gating:vertex>'
)
RECTANGLE = "rectangle: {FSC-A: {above: 1}}"
HEAD = "strategy: mine\nversion: 1.0.0\ntitle: t\npanel: tbnk\n"
CHILD = """
import json, resource, sys, time
from pathlib import Path
import flowkit
from gating.strategy.catalogue import read_strategy
from gating.exchange.read_document import read_foreign
from panels.text.errors import StrategyFault
for path in sys.argv[1:]:
    begun, said = time.process_time(), ""
    try:
        (read_strategy if path.endswith(".yaml") else read_foreign)(Path(path))
    except StrategyFault as fault:
        said = str(fault)
    print(json.dumps({"seconds": time.process_time() - begun, "said": said}))
print(int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]))
"""


def gatingml(gates: str) -> str:
    head = '<?xml version="1.0" encoding="UTF-8"?>'
    return f"{head}<gating:Gating-ML {SPACES}>{gates}</gating:Gating-ML>"


def gate(number: int, *, chained: bool = True) -> str:
    parent = f'gating:parent_id="g{number - 1}"' if chained and number else ""
    return f'<gating:RectangleGate gating:id="g{number}" {parent}>{AXIS}</gating:RectangleGate>'


def polygon_of(corners: int) -> str:
    inner = f"{AXIS}{AXIS}{VERTEX * corners}"
    return f'<gating:PolygonGate gating:id="P">{inner}</gating:PolygonGate>'


def yaml_polygon(corners: str) -> str:
    shape = f"{{x: FSC-A, y: SSC-A, vertices: [{corners}]}}"
    return f"{HEAD}gates:\n  - {{gate: g, parent: root, polygon: {shape}}}\n"


def chain(length: int) -> str:
    return "".join(
        f"  - {{gate: g{i}, parent: {f'g{i - 1}' if i else 'root'}, {RECTANGLE}}}\n"
        for i in range(length)
    )


CORNERS = [(float(i), float(i % 7)) for i in range(30_000)]
MEMBERS = "".join(f'<gating:gateReference gating:ref="g{i % 2}"/>' for i in range(50_000))
GATE_OF_MANY = (
    f'<gating:BooleanGate gating:id="B"><gating:and>{MEMBERS}</gating:and></gating:BooleanGate>'
)
BOUND = rectangle(FSC_A=(1.0, None))
MANY_CORNERS = population("P", polygon("FITC-A", "PE-A", CORNERS))
MANY_GATES = "".join(population(f"g{i}", BOUND) for i in range(5000))
LONG_NAME = population("g" * 9_000_000, BOUND)
ENDLESS = {
    "polygon.xml": (gatingml(polygon_of(300_000)), "tags and attributes"),
    "corners.xml": (gatingml(polygon_of(30_000)), "2,000 corners"),
    "chain.xml": (gatingml("".join(map(gate, range(600)))), "30 levels deep"),
    "gates.xml": (gatingml("".join(gate(i, chained=False) for i in range(5000))), "5,000 gates"),
    "many.xml": (gatingml('<a b=""/>' * 1_900_000), "tags and attributes"),
    "members.xml": (
        gatingml(gate(0) + gate(1) + GATE_OF_MANY),
        "combines 50,000 gates",
    ),
    "name.xml": (gatingml(gate(0).replace("g0", "g" * 9_000_000)), "9,000,000 letters"),
    "attribute.xml": (gatingml(gate(0).replace("g0", "g" * 90_000_000)), "not well-formed XML"),
    "chain.yaml": (f"{HEAD}gates:\n{chain(600)}populations: []\n", "30 levels deep"),
    "gates.yaml": (f"{HEAD}gates:\n{chain(1500)}populations: []\n", "1,500 gates are more"),
    "polygon.yaml": (
        yaml_polygon("[1, 2]," * 300_000), "400 kB",
    ),
    "corners.yaml": (
        yaml_polygon("[1,2]," * 60_000), "30,000 values",
    ),
    "polygon.wsp": (Written(MANY_CORNERS).text(), "30,000 corners"),
    "gates.wsp": (Written(MANY_GATES).text(), "600 gates"),
    "name.wsp": (Written(LONG_NAME).text(), "9,000,000 letters"),
    "version.wsp": (Written("").text().replace("10.8.1", "²²"), "written by FlowJo '²²'"),
    "members.wsp": (Written(combination("AndNode", "B", ["g"] * 100_000)).text(), ""),
}  # fmt: skip


@pytest.fixture(scope="module")
def read_by_a_child(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[dict[str, dict[str, Any]], float]:
    """Let one child read them all: what it said of each, in what time, and its peak in MiB."""
    folder = tmp_path_factory.mktemp("endless")
    for name, (text, _) in ENDLESS.items():
        (folder / name).write_text(text, encoding="utf-8")
    paths = [str(folder / name) for name in ENDLESS]
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *paths], cwd=root, capture_output=True, text=True, check=True
    )
    *outcomes, peak = done.stdout.splitlines()
    return dict(zip(ENDLESS, map(json.loads, outcomes), strict=True)), int(peak) / 1024


@pytest.mark.parametrize("name", ENDLESS)
def test_gates_without_end_are_refused_soon(
    read_by_a_child: tuple[dict[str, dict[str, Any]], float], name: str
) -> None:
    outcomes = read_by_a_child[0][name]
    assert ENDLESS[name][1] in outcomes["said"]
    assert len(outcomes["said"]) < 500
    assert "\n" not in outcomes["said"]
    assert outcomes["seconds"] < 5


def test_they_take_less_than_a_gibibyte(
    read_by_a_child: tuple[dict[str, dict[str, Any]], float],
) -> None:
    assert read_by_a_child[1] < 1024


def test_what_lies_within_the_bounds_is_read(tmp_path: Path) -> None:
    (tmp_path / "strategy.yaml").write_text(
        f"{HEAD}gates:\n{chain(MOST_LEVELS)}populations: []\n", encoding="utf-8"
    )
    assert len(read_strategy(tmp_path / "strategy.yaml").strategy.gates) == MOST_LEVELS
    (tmp_path / "gates.xml").write_text(
        gatingml("".join(map(gate, range(MOST_LEVELS)))), encoding="utf-8"
    )
    assert len(read_gatingml(tmp_path / "gates.xml").get_gate_ids()) == MOST_LEVELS
    corners = gatingml(polygon_of(2000))
    (tmp_path / "gates.xml").write_text(corners.replace('gating:min="1"', ""), encoding="utf-8")
    assert len(read_gatingml(tmp_path / "gates.xml").get_gate("P").vertices) == 2000


def test_one_level_more_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "strategy.yaml").write_text(
        f"{HEAD}gates:\n{chain(MOST_LEVELS + 1)}populations: []\n", encoding="utf-8"
    )
    with pytest.raises(
        StrategyFault,
        match=f"line {5 + MOST_LEVELS + 1}: gates stand on each other more than 30 levels deep",
    ):
        read_strategy(tmp_path / "strategy.yaml")
    assert MOST_GATES == 600

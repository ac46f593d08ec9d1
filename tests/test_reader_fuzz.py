"""Whatever a person or a program wrote is read, or refused in one plain sentence."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings

from gating.evaluation.engine import evaluate
from gating.evaluation.reference_gates import compile_reference
from gating.exchange.checked_import import import_checked
from gating.exchange.import_files import report
from gating.exchange.read_gatingml import read_gatingml
from gating.exchange.recorded_counts import counts_csv
from gating.fcs.events import open_events
from gating.fcs.header import TubeHeader, read_header
from gating.strategy.catalogue import read_strategy
from panels.catalogue import load_panel, read_panel
from panels.files.lock import canonical_sha256, read_locked
from panels.panel import match_panel
from panels.text.errors import PanelFault, StrategyFault, TubeFault, UsageFault
from tasks.intake.identify import identify
from tasks.intake.registry import Registry
from tasks.kinetics.areas import USUAL
from tasks.kinetics.nca import nca_groups
from tasks.sheets.drug_notices import drug_notices
from tasks.sheets.drugs import read_drugs
from tasks.sheets.instruments import read_instrument_events
from tasks.sheets.patients import read_patients
from tasks.sheets.samples import read_samples
from tasks.sheets.series_file import read_series
from tasks.strategies.write_import import write_import
from tasks.study.settings import StudySettings, load_settings
from tests.gating.workspaces import (
    Written,
    combination,
    ellipse,
    lab_panel,
    polygon,
    population,
    raw_events,
    rectangle,
    write_tube,
)
from tests.nasty import check_sentence, spoiled

SETTINGS = b"""study: trial
start: 2026-01-01
time_zone: Europe/Berlin
store: sqlite:///reconflow.db
intake:
  mode: move
  settle_seconds: 2.0
  filename_pattern: "{patient}_{visit}_{panel}"
  keywords: {operator: $OP, batch: LOT}
strategies: {bcell: bcell@2.0.0}
limits: {detect_events: 20, same_draw_hours: 24, errors: {leukocyte_cv: [[2000, 0.03], [0, 0.15]]}}
recovery: {lln_per_ul: 94.0}
kinetics:
  biexponential: false
  nca: {windows: {28: 3, 84: 7, 168: 14}, persistence: [154, 182], terminal: {minimum_points: 3}}
cohort: {stratify_by: arm}
nightly: {cron: "0 2 * * *", time_zone: UTC}
workers: 2
"""
STRATEGY = b"""strategy: mine
version: 1.0.0
title: a strategy
panel: tbnk
scale: {w: 1.0}
scales: {CD45: {kind: logicle, w: 0.5, m: 4.5, a: 0.0}}
thresholds:
  cd3: {marker: CD3, value: 2500, evidence: "a valley", limits: [1000, 4000],
        sources: [valley, fixed], seen_in: cells}
  cd19: {marker: CD19, value: 1500, evidence: "a tail", limits: [500, 3000],
         sources: [negative, fixed], negative: {gate: t, spread: 100,
         clearance: [{below: 5, clears: 2}, {clears: 3}], beside: CD3}}
gates:
  - {gate: cells, parent: root,
     ratio: {numerator: FSC-A, denominator: FSC-H, above: 0.7, below: 1.4}}
  - {gate: small, parent: cells,
     polygon: {x: CD45, y: SSC-A, vertices: [[9000, 0], [262143, 0], [20000, 46000]]}}
  - {gate: round, parent: small, ellipse: {x: FSC-A, y: SSC-A, centre: [5, 6],
     covariance: [[4, 1], [1, 4]], distance_square: 1}}
  - {gate: t, parent: small, rectangle: {CD3: {above: cd3}, CD19: {below: cd19}},
     note: T cells, plot: {x: CD3, y: CD19}}
  - {gate: four, parent: small, quadrant: {x: CD4, y: CD8, x_divider: 2500, y_divider: 900,
     quadrants: {++: q1, +-: q2, -+: q3, --: q4}}}
  - {gate: other, parent: small, none_of: [t, q1]}
populations:
  - {id: t_cells, gate: t, label: T cells, reference: t_cells,
     clinical_threshold_per_ul: 10, specimens: [blood]}
"""
PANEL = b"""panel: mine
version: 1.0.0
title: a panel
instrument: BD FACSLyric
counting: [bead, dual]
markers:
  - {marker: CD3, detector: FITC-A, synonyms: [CD3e]}
  - {marker: CD45, detector: PerCP-Cy5.5-A, required: false}
scatter: {FSC-A: FSC-A, SSC-A: SSC-A, Time: Time}
instruments: {BD LSRFortessa: {CD3: B530-A}}
matrix: [[1, 0.1], [0.02, 1.0]]
compensated: true
"""
LOCK = b"bcell@1.0.0 " + b"0a" * 32 + b"\n# remark\ncart@2.10.0 " + b"ff" * 32 + b"\n"
SAMPLES = b"""file,patient,collected,panel,visit,specimen,acquired,dilution,control,comment
P01_*.fcs,P01,2026-02-07T08:30,tbnk,D28,blood,2026-02-07T10:30,10,,"a, b"
"sub/**/[a-c]?.fcs",P02,2026-02-07T08:30+01:00,bcell,,marrow,,,fmo:CD27,
"""
PATIENTS = b"""patient,infused,infused_car19,baseline_visit,arm
P01,2026-01-10T11:00,2026-01-10T11:00,D-3,A
P02,2026-01-20T11:00+01:00,,,B
"""
DRUGS = (
    b"patient,drug,start,stop\nP01,rituximab,2026-01-02,2026-02-03\n"
    b"P01,IVIG,2026-01-02,ongoing\nP02,dara,2026-01-02,\n"
)
SERVICES = b"instrument,date,event\nlyric-1,2026-02-20,laser replaced\nR659,2026-03-01,cleaned\n"
SERIES = b"time,conc,blq,group\n0,,1,a\n7,12.5,0,a\n14,50,0,a\n28,20,0,a\n56,,1,a\n0,1,0,b\n"
GATINGML = b"""<?xml version="1.0" encoding="UTF-8"?>
<gating:Gating-ML xmlns:gating="http://www.isac-net.org/std/Gating-ML/v2.0/gating"
 xmlns:transforms="http://www.isac-net.org/std/Gating-ML/v2.0/transformations"
 xmlns:data-type="http://www.isac-net.org/std/Gating-ML/v2.0/datatypes">
<transforms:transformation transforms:id="L"><transforms:logicle transforms:T="262144"
 transforms:W="0.5" transforms:M="4.5" transforms:A="0"/>
</transforms:transformation>
<gating:RectangleGate gating:id="R">
<gating:dimension gating:compensation-ref="uncompensated" gating:min="10" gating:max="200000.5">
<data-type:fcs-dimension data-type:name="FSC-A"/>
</gating:dimension>
</gating:RectangleGate>
<gating:PolygonGate gating:id="P" gating:parent_id="R">
<gating:dimension gating:compensation-ref="uncompensated"><data-type:fcs-dimension
 data-type:name="FSC-A"/></gating:dimension>
<gating:dimension gating:compensation-ref="uncompensated" gating:transformation-ref="L">
<data-type:fcs-dimension data-type:name="PE-A"/></gating:dimension>
<gating:vertex><gating:coordinate data-type:value="10"/><gating:coordinate
 data-type:value="0.1"/></gating:vertex>
<gating:vertex><gating:coordinate data-type:value="200000"/><gating:coordinate
 data-type:value="0.1"/></gating:vertex>
<gating:vertex><gating:coordinate data-type:value="10"/><gating:coordinate data-type:value="1"/>
</gating:vertex>
</gating:PolygonGate>
<gating:EllipsoidGate gating:id="E">
<gating:dimension gating:compensation-ref="uncompensated"><data-type:fcs-dimension
 data-type:name="FSC-A"/></gating:dimension>
<gating:dimension gating:compensation-ref="uncompensated"><data-type:fcs-dimension
 data-type:name="SSC-A"/></gating:dimension>
<gating:mean><gating:coordinate data-type:value="100000"/><gating:coordinate
 data-type:value="100000"/></gating:mean>
<gating:covarianceMatrix>
<gating:row><gating:entry data-type:value="1000"/><gating:entry data-type:value="0"/></gating:row>
<gating:row><gating:entry data-type:value="0"/><gating:entry data-type:value="1000"/></gating:row>
</gating:covarianceMatrix>
<gating:distanceSquare data-type:value="1"/>
</gating:EllipsoidGate>
<gating:QuadrantGate gating:id="Q">
<gating:divider gating:id="d" gating:compensation-ref="uncompensated"><data-type:fcs-dimension
 data-type:name="FITC-A"/><gating:value>100</gating:value></gating:divider>
<gating:Quadrant gating:id="low"><gating:position gating:divider_ref="d" gating:location="1"/>
</gating:Quadrant>
<gating:Quadrant gating:id="high"><gating:position gating:divider_ref="d"
 gating:location="1000"/></gating:Quadrant>
</gating:QuadrantGate>
<gating:BooleanGate gating:id="B"><gating:and>
<gating:gateReference gating:ref="R"/>
<gating:gateReference gating:ref="E" gating:use-as-complement="true"/>
</gating:and></gating:BooleanGate>
</gating:Gating-ML>
"""
QUICK = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@contextmanager
def written(content: bytes, name: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        yield path


def read_or_refuse(read: Callable[[], object], *faults: type[Exception]) -> bool:
    """Run a reader; whatever it refuses it must say in a sentence. Tells whether it was read."""
    try:
        read()
    except faults as fault:
        check_sentence(str(fault))
        return False
    return True


@cache
def workspace() -> bytes:
    """Write a workspace with every shape, one element a line."""
    inner = population(
        "P", polygon("FITC-A", "PE-A", [(10, 10), (1e5, 10), (10, 1e5)]), 12
    ) + combination("NotNode", "N", ["R/P"], 3)
    gates = population("R", rectangle(FSC_A=(10.0, 2e5)), 40, inner) + population(
        "E", ellipse("FSC-A", "SSC-A", (100, 100), (40, 20)), 5
    )
    scales = {
        "Comp-FITC-A": 'biex transforms:length="256" transforms:maxRange="262144" '
        'transforms:neg="0" transforms:width="-10" transforms:pos="4.5"',
        "Comp-PE-A": 'logicle transforms:T="262144" transforms:W="0.5" '
        'transforms:M="4.5" transforms:A="0"',
        "APC-A": 'log transforms:offset="1" transforms:decades="5"',
    }
    return (
        Written(gates, scales, {"$P3G": "2", "$TIMESTEP": "0.01"}, ("Comp-", ""), events=60)
        .text()
        .replace("><", ">\n<")
        .encode()
    )


@pytest.fixture(scope="module")
def tube(tmp_path_factory: pytest.TempPathFactory) -> TubeHeader:
    """Give a tube with the channels of the workspace."""
    return read_header(write_tube(tmp_path_factory.mktemp("tube") / "t.fcs", raw_events(200)))


@given(spoiled(SETTINGS))
@QUICK
def test_settings(content: bytes) -> None:
    with written(content, "study.yaml") as path:
        read_or_refuse(lambda: load_settings(path.parent).model_dump_json(), UsageFault)


@given(spoiled(PANEL))
@QUICK
def test_a_panel(content: bytes) -> None:
    with written(content, "panel.yaml") as path:

        def read() -> None:
            panel = read_panel(path)
            panel.detectors()
            match_panel(panel, [])
            canonical_sha256(panel.model_dump(mode="json"))

        read_or_refuse(read, PanelFault)


@given(spoiled(STRATEGY))
@example(STRATEGY.replace(b"y_divider: 900", b"y_divider:" + b"9" * 5000))
@QUICK
def test_a_strategy(content: bytes) -> None:
    with written(content, "strategy.yaml") as path:
        read_or_refuse(
            lambda: compile_reference(read_strategy(path).strategy, load_panel("tbnk")),
            StrategyFault,
            PanelFault,
        )


@given(spoiled(LOCK))
@QUICK
def test_a_lock(content: bytes) -> None:
    with written(content, "LOCK") as path:
        read_or_refuse(lambda: read_locked(path.parent, StrategyFault), StrategyFault)


@given(spoiled(SERVICES))
@QUICK
def test_a_sheet_of_services_is_read_or_said(services: bytes) -> None:
    with written(services, "instruments.csv") as path:
        events, problems = read_instrument_events(path)
    assert all(1900 <= each.day.year <= 2100 and each.instrument for each in events)
    assert all(str(each).isprintable() for each in problems)


@given(spoiled(SAMPLES), spoiled(PATIENTS), spoiled(DRUGS))
@QUICK
def test_sheets_never_stop_a_pass(samples: bytes, patients: bytes, drugs: bytes) -> None:
    with written(samples, "samples.csv") as path:
        for name, content in (("patients.csv", patients), ("drugs.csv", drugs)):
            (path.parent / name).write_bytes(content)
        zone = "Europe/Berlin"
        study = StudySettings.model_validate(
            {"study": "s", "time_zone": zone, "start": "2026-01-01"}
        )
        sheet, people = (
            read_samples(path, path.parent / "inbox"),
            read_patients(path.parent / "patients.csv", zone),
        )
        exposures, faults = read_drugs(path.parent / "drugs.csv")
        registry = Registry(
            sheet, people, study, datetime(2026, 6, 1, tzinfo=UTC).replace(tzinfo=None)
        )
        said = [
            *map(str, (*sheet.faults, *people.faults, *faults)),
            *drug_notices(exposures, people.patients),
        ]
        for name in ("P01_D28.fcs", "sub/x/a1.fcs"):
            said += identify(registry, name, "0" * 64, {"collected": "2026-02-07T08:30"}).sentences
        for each in (each for own in exposures.values() for each in own):
            each.flags_on(date(2026, 6, 1))
        for sentence in said:
            check_sentence(sentence)


@given(spoiled(SERIES))
@example(SERIES.replace(b"56,", b"1e308,"))
@example(b"\x00" + SERIES)
@QUICK
def test_a_series(content: bytes) -> None:
    with written(content, "series.csv") as path:
        read_or_refuse(lambda: nca_groups(read_series(path), USUAL), UsageFault)


@given(spoiled(GATINGML))
@example(GATINGML.replace(b'name="FITC-A"', 'name="\x85"'.encode()))
@QUICK
def test_gatingml(tube: TubeHeader, content: bytes) -> None:
    with written(content, "gates.xml") as path:
        read_or_refuse(
            lambda: evaluate(read_gatingml(path), open_events(tube), tube), StrategyFault, TubeFault
        )


@given(spoiled(GATINGML, workspace()))
@QUICK
def test_an_import(tube: TubeHeader, content: bytes) -> None:
    with written(content, "gates.wsp") as path:

        def read() -> None:
            done = import_checked(
                path, lab_panel(compensated=True), "mine", tube=tube.path, accept=True
            )
            check_sentence(report(done.imported).replace("\n\n", "\n").strip())
            counts_csv(done.compared)
            write_import(done.imported, path.parent)

        read_or_refuse(read, UsageFault, TubeFault)

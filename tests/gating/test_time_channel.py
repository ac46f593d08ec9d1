"""However a cytometer spells its clock, every part of the program knows it."""

from pathlib import Path

import numpy as np
import pytest

from gating.display.projection import project
from gating.evaluation.compile import compile_strategy
from gating.evaluation.engine import evaluate
from gating.exchange.scale_conversion import ChannelNames
from gating.fcs.events import open_events
from gating.fcs.header import read_header
from gating.quality.acquisition import time_quality
from gating.strategy.model import Strategy
from panels.acquisition_time import time_channel
from panels.panel import Panel, match_panel
from tasks.tubes.tube_quality import judge_tube
from tasks.vocabulary.flags import Flag
from tests.gating.test_events import describe, write_fcs

EVENTS = 30_000
SPELLINGS = ("Time", "TIME", "time", "HDR-T", "hdr-t", "HDR_T", " Time")


def panel_with(clock: str, name: str = "Time") -> Panel:
    return Panel.model_validate(
        {
            "panel": "lab",
            "version": "1.0.0",
            "title": "t",
            "instrument": "i",
            "counting": ["dual"],
            "compensated": False,
            "scatter": {"SSC-A": "SSC-A", name: clock},
            "markers": [{"marker": "CD3", "detector": "FITC-A"}],
        }
    )


def strategy() -> Strategy:
    return Strategy.model_validate(
        {
            "strategy": "s",
            "version": "1.0.0",
            "title": "t",
            "panel": "lab",
            "gates": [
                {
                    "gate": "early",
                    "parent": "root",
                    "rectangle": {"Time": {"above": 10, "below": 60}},
                },
                {"gate": "bright", "parent": "root", "rectangle": {"CD3": {"above": 50_000}}},
            ],
            "populations": [
                {"id": "bright", "gate": "bright", "label": "p", "reference": "bright"}
            ],
        }
    )


def tube_at(folder: Path, clock: str) -> Path:
    """Write a tube of 300 s whose flow stops for 30 s, whose first seconds hold most of the bright
    cells, whose clock has a gain."""
    rng = np.random.default_rng(3)
    seconds = np.sort(rng.uniform(0, 300, EVENTS))
    seconds[EVENTS // 2 :] += 30
    signal = rng.lognormal(7, 0.4, EVENTS)
    signal[seconds < 3] *= np.where(rng.random((seconds < 3).sum()) < 0.2, 100, 1)
    events = np.column_stack([signal, rng.uniform(1000, 90_000, EVENTS), np.floor(seconds / 0.01)])
    keywords = describe(["FITC-A", "SSC-A", clock], EVENTS, TIMESTEP="0.01", P3G="4")
    return write_fcs(folder / "a.fcs", events.astype("<f4").tobytes(), keywords)


@pytest.mark.parametrize("name", ["Time", "TIME"])
@pytest.mark.parametrize("clock", SPELLINGS)
def test_a_clock_is_known_by_any_of_its_names(tmp_path: Path, clock: str, name: str) -> None:
    header = read_header(tube_at(tmp_path, clock))
    events = open_events(header)
    assert time_channel(header.channels) == header.channels[2]
    assert events.column(2).max() == pytest.approx(330, abs=1)
    match = match_panel(panel_with(clock, name), header.channels)
    assert match.fits
    assert match.channel["Time"] == 2
    judged = time_quality(events, header, dict(match.channel))
    assert set(judged.channels) == {"SSC-A", "CD3", "rate"}
    compiled = compile_strategy(strategy(), match, header)
    kept = evaluate(compiled.gating, events, header)
    assert (
        kept.count(("root", "early"))
        == ((events.column(2) >= 10) & (events.column(2) < 60)).sum()
        > 0
    )
    made = judge_tube(compiled, kept, events, header)
    assert made.of_population["bright"] == [Flag.CARRY_OVER_SUSPECTED]
    assert "Time" not in made.numbers["margins"]
    view = project(compiled, kept, events, header)[0]
    assert view.x.limits[1] == pytest.approx(330, rel=0.05)
    assert [text for _, text in view.x.ticks] == ["0", "50", "100", "150", "200", "250", "300"]


@pytest.mark.parametrize("clock", SPELLINGS)
def test_a_foreign_gate_on_a_clock_is_one_on_time(tmp_path: Path, clock: str) -> None:
    header = read_header(tube_at(tmp_path, clock))
    for channels in ((), header.channels):
        assert ChannelNames(panel_with("Time"), channels).axis(clock) == "Time"


def test_a_panel_that_says_time_finds_the_clock_of_another_cytometer(tmp_path: Path) -> None:
    header = read_header(tube_at(tmp_path, "HDR-T"))
    assert match_panel(panel_with("Time"), header.channels).channel["Time"] == 2


def test_half_a_clock_is_none_and_the_standards_name_comes_first(tmp_path: Path) -> None:
    keywords = describe(["TIME-LSW", "TIME-MSW", "FITC-A"], 2, TIMESTEP="0.01")
    halves = read_header(write_fcs(tmp_path / "a.fcs", bytes(24), keywords))
    assert time_channel(halves.channels) is None
    both = read_header(
        write_fcs(
            tmp_path / "b.fcs", bytes(24), describe(["HDR-T", "FITC-A", "TIME"], 2, TIMESTEP="0.01")
        )
    )
    assert time_channel(both.channels) == both.channels[2]


def test_a_step_that_is_none_is_said_of_any_clock(tmp_path: Path) -> None:
    for clock in SPELLINGS:
        header = read_header(
            write_fcs(tmp_path / "a.fcs", bytes(8), describe([clock, "FITC-A"], 1, TIMESTEP="fast"))
        )
        assert any("$TIMESTEP is not a number" in problem for problem in header.problems)

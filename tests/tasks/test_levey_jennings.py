"""A control chart draws every reading where it lies, marks what broke a rule, and names it once."""

from dataclasses import replace

import pytest

from tasks.control_charts.drift import Event
from tasks.control_charts.series import judge
from tasks.publish.instrument_page import InstrumentPage, render_instrument_page
from tasks.publish.levey_jennings import (
    HEIGHT,
    LEFT,
    MOST_DRAWN,
    RIGHT,
    WIDTH,
    chart_in_words,
    lay_out,
    limits_in_words,
)
from tests.tasks.test_control_charts import KNOWN, series, steady


def page(*charts, **words) -> str:
    known = {"study": "s", "title": "Lyric R1", "names": (), "tubes": {"tbnk": 3}}
    known |= {"first": "2026-01-01", "last": "2026-02-01", "calibrations": ()}
    known |= {"charts": charts, "drifts": (), "bridgings": (), "events": ()}
    return render_instrument_page(InstrumentPage(**known | words))


def test_the_target_and_its_sds_are_lines_with_their_values() -> None:
    drawing = lay_out(judge(series([1000.0, 1010.0], limits=KNOWN)))
    assert [(each.told, each.value) for each in drawing.levels] == [
        ("-3 SD", "940"),
        ("-2 SD", "960"),
        ("-1 SD", "980"),
        ("target", "1,000"),
        ("+1 SD", "1,020"),
        ("+2 SD", "1,040"),
        ("+3 SD", "1,060"),
    ]
    heights = [each.at for each in drawing.levels]
    assert heights == sorted(heights, reverse=True)
    assert drawing.dots[0].y == heights[3]
    assert drawing.dots[1].y == pytest.approx((heights[3] + heights[4]) / 2, abs=0.1)


def test_every_dot_lies_within_the_chart_however_far_off_its_value_is() -> None:
    drawing = lay_out(judge(series([1000.0, 9e9, -9e9], limits=KNOWN)))
    assert all(LEFT <= each.x <= WIDTH - RIGHT for each in drawing.dots)
    assert all(0 < each.y < HEIGHT for each in drawing.dots)


def test_a_rule_is_written_where_it_begins_to_be_broken_and_its_dots_are_marked() -> None:
    drawing = lay_out(judge(series([1000.0, *[1050.0] * 4, 1000.0], limits=KNOWN)))
    assert [each.rules for each in drawing.dots] == ["", "", "2-2s", "", "4-1s", ""]
    kinds = [each.kind for each in drawing.dots]
    assert kinds == ["good", "good", "broken", "broken", "broken", "good"]
    assert "breaks 2-2s" in drawing.dots[2].told


def test_first_tubes_and_tubes_not_judged_look_otherwise() -> None:
    chart = judge(
        series(steady(30), change=lambda e, i: replace(e, not_judged="marrow" if i == 25 else ""))
    )
    drawing = lay_out(chart)
    assert {each.kind for each in drawing.dots[:20]} == {"reference"}
    assert drawing.dots[25].kind == "aside"
    assert "not judged: marrow" in drawing.dots[25].told
    assert "sets the target" in drawing.dots[0].told


def test_only_the_newest_tubes_are_drawn_and_the_others_are_counted() -> None:
    drawing = lay_out(judge(series(steady(MOST_DRAWN + 7))))
    assert (len(drawing.dots), drawing.left_out) == (MOST_DRAWN, 7)
    assert drawing.days[-1].told == "2026-05-07"


def test_lots_and_services_are_lines_between_their_tubes() -> None:
    chart = judge(series(steady(30), change=lambda e, i: replace(e, lot="B" if i > 9 else "A")))
    drawing = lay_out(
        chart,
        [Event("2025-12-01", "before"), Event("2026-01-11", "laser"), Event("2027-01-01", "after")],
    )
    (lot,) = drawing.lots
    assert lot.told == "B"
    assert drawing.dots[9].x < lot.at < drawing.dots[10].x
    assert [each.told for each in drawing.events] == ["2026-01-11 laser", "2027-01-01 after"]
    assert drawing.dots[9].x < drawing.events[0].at < drawing.dots[10].x
    assert drawing.events[1].at > drawing.dots[-1].x
    weekly = judge(series(steady(30), change=lambda e, i: replace(e, lot=f"W{i // 3}")))
    assert {each.told for each in lay_out(weekly).lots} == {""}


def test_without_limits_the_extremes_are_named() -> None:
    chart = judge(series([1000.0, 1100.0, 1050.0]))
    assert [(each.told, each.value) for each in lay_out(chart).levels] == [
        ("highest", "1,100"),
        ("lowest", "1,000"),
    ]
    assert chart_in_words(chart).startswith("no limits yet: 3 tubes that can set them")
    assert limits_in_words(chart) == ""
    assert lay_out(judge(series([5.0]))).levels == ()


def test_a_chart_says_what_holds_now_and_where_its_target_comes_from() -> None:
    broken = judge(series([1000.0, 1070.0], limits=KNOWN))
    assert chart_in_words(broken) == "1-3s since 2026-01-02 (1 tube)"
    assert limits_in_words(broken) == (
        "target 1,000 ± 20 of 25 tubes of calibration tbnk/lyric@1.0.0"
    )
    over = judge(series([1000.0, 1070.0, 1000.0], limits=KNOWN))
    assert chart_in_words(over) == "no rule broken; broken 1 time before"
    assert chart_in_words(judge(series(steady(20)))) == (
        "no tube is judged yet: these set the target"
    )
    assert limits_in_words(judge(series(steady(12)))).startswith("provisional target")
    assert "does not vary" in chart_in_words(judge(series([0.0] * 20)))


def test_what_stands_in_a_sheet_cannot_break_the_page() -> None:
    hostile = '<script>alert("1")</script>'
    chart = judge(
        series([1000.0, 1070.0], limits=KNOWN, change=lambda e, _: replace(e, file=hostile))
    )
    text = page(chart, events=(Event("2026-01-02", hostile),), title=hostile)
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_broken_signals_come_first_and_quiet_ones_are_folded() -> None:
    broken = judge(series([1000.0, 1070.0], limits=KNOWN))
    quiet = judge(replace(series([1000.0, 1001.0], limits=KNOWN), panel="quiet"))
    text = page(broken, quiet)
    assert text.index("panel tbnk") < text.index("<details>") < text.index("panel quiet")
    assert "Watched signals that break no rule now: 1" in text

"""Drafts are looked at over several tubes, moved, compared and released, through a real server."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flows.cli import run
from gating.evaluation.compiled_strategy import Compiled
from gating.evaluation.engine import Evaluation
from gating.thresholds.apply import Applied
from tasks.calibrate.release import release_calibration
from tasks.drafts.candidate import Candidate, candidate
from tasks.drafts.changes import Changes, changed
from tasks.drafts.draft_file import draft_named, read_draft
from tasks.drafts.laid_out_tube import LaidOutTube
from tasks.drafts.references import DraftReferences, Shown
from tasks.results.patient_tables import counted_tubes, patient_kinetics
from tasks.review.tokens import let_in
from tasks.steps.one_pass import one_pass
from tasks.steps.pass_under_way import Pass
from tasks.store.audit import entries
from tasks.store.schema.results import readings
from tasks.store.tubes import Tube, taken_in
from tasks.strategies.in_use import read_snapshot
from tasks.study.folder import Study, open_study
from tasks.study.lock import study_lock
from tasks.tubes.gate_tube import GatedTube, gate_tube
from tasks.tubes.stain_brightness import StainBrightness, with_evidence
from tests.flows.command import entries_and_kept_head
from tests.review_server import Served, posted, serving
from tests.tasks.draft_files import (
    CALIBRATION,
    STRATEGY,
    counted_with_drafts,
    lay_calibration,
    lay_strategy,
)
from tests.tasks.page_files import tube_data
from tests.tasks.plain_pass import take_in_count_and_build

pytestmark = pytest.mark.xdist_group("drafts")

API = f"/api/drafts/{CALIBRATION}"
MOVES = (
    Changes({"cd45": 1900.0}),
    Changes({"cd19": 700.0, "igd": 1200.0}),
    Changes({"cd38_tr": 4400.0}),
    Changes({"dump": 10_000.0}),
    Changes({"cd3": 11_000.0}),
)
"""The last two contradict the tubes: reference tubes are asked, and boundaries found anew."""


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return counted_with_drafts(tmp_path_factory).folder


@pytest.fixture
def study(counted: Path, tmp_path: Path) -> Study:
    shutil.copytree(counted, tmp_path / "s")
    return open_study(tmp_path / "s")


@pytest.fixture
def served(study: Study) -> Iterator[Served]:
    with serving(study) as running:
        yield running


def put(study: Study, key: str = CALIBRATION) -> Candidate:
    return candidate(read_snapshot(study), read_draft(study, draft_named(study, key)))


def tubes_of(study: Study) -> list[Tube]:
    with study.store() as store:
        return [each for each in taken_in(store) if each.identity.panel == "bcell"]


def rows_of(evaluation: Evaluation) -> dict[tuple[str, ...], list[int]]:
    return {path: np.asarray(rows).tolist() for path, rows in evaluation.rows.items()}


def whole(present: Candidate, tube: Tube) -> GatedTube:
    """Gate a tube as a night would, once the draft counts."""
    references = DraftReferences(present.snapshot)(present.used)
    return gate_tube(present.snapshot.study, tube, present.used, references, corrections=())


def with_stains_of(night: GatedTube, quick: Applied) -> Compiled:
    """Add what a night alone tells: how brightly the tube is stained."""
    places = ("marker", "gate", "events", "median", "expected")
    stains = {
        name: StainBrightness(**{place: told[place] for place in places})
        for name, told in night.gating.qc["stains"].items()
    }
    return with_evidence(quick.compiled, stains)


@pytest.mark.parametrize("changes", MOVES, ids=lambda each: "-".join(each.values))
def test_what_is_moved_is_what_a_night_would_count(study: Study, changes: Changes) -> None:
    present = put(study)
    moved = candidate(present.snapshot, changed(study, present.draft, changes))
    references = DraftReferences(present.snapshot)
    for tube in tubes_of(study):
        held = LaidOutTube(present, tube, references)
        quick = held.gated_by(moved, moved.used_for(tube), DraftReferences(present.snapshot))
        night = whole(moved, tube)
        assert with_stains_of(night, quick).thresholds == night.compiled.thresholds
        assert rows_of(quick.evaluation) == rows_of(night.evaluation)


def test_the_last_of_the_moves_asks_reference_tubes(study: Study) -> None:
    present = put(study)
    moved = candidate(present.snapshot, changed(study, present.draft, MOVES[-1]))
    kept, asked, sources = DraftReferences(present.snapshot), [], set()

    def lent(tube: Tube) -> Shown:
        asked.append(tube.identity.visit)
        return kept.shown_by(tube, present.used)

    for tube in tubes_of(study):
        held = LaidOutTube(present, tube, kept)
        quick = held.gated_by(moved, moved.used, DraftReferences(present.snapshot, lent))
        sources |= {each.source for each in quick.compiled.thresholds}
    assert set(asked) == {"D-7"}
    assert sources > {"fixed"}


def test_reference_tubes_are_measured_anew_when_the_hand_lets_go(served: Served) -> None:
    chosen = shown(served)["chosen"]
    body = {"tubes": chosen, "values": {"cd3": 11_000.0}}
    while_moving = ok(sent(served, "preview", body | {"still": True}))
    let_go = ok(sent(served, "preview", body))
    assert (while_moving["exact"], let_go["exact"]) == (False, True)
    assert {each["thresholds"]["cd3"]["source"] for each in let_go["tubes"]} == {"gain"}


def test_more_events_than_are_held_are_refused(served: Served, monkeypatch) -> None:
    monkeypatch.setattr("tasks.drafts.live_drafts.MOST_EVENTS", 13_000)
    first, second, _ = shown(served)["chosen"]
    refused = sent(served, "tubes", {"tubes": [first, second]})
    assert refused.status_code == 422
    assert "are laid out at once. Choose fewer." in refused.json()["fault"]
    for one in (first, second):
        assert ok(sent(served, "tubes", {"tubes": [one]}))["tubes"][0]["value"]


def test_a_moved_outline_of_a_strategy_is_what_a_night_would_count(study: Study) -> None:
    present = put(study, STRATEGY)
    outline = ((9000.0, 0.0), (262143.0, 0.0), (262143.0, 40000.0), (9000.0, 38000.0))
    changes = Changes({"cd3": 3900.0}, {"lymphocytes": outline})
    moved = candidate(present.snapshot, changed(study, present.draft, changes))
    differs: set[str] = set()
    for tube in tubes_of(study):
        held = LaidOutTube(present, tube, DraftReferences(present.snapshot))
        quick = held.gated_by(moved, moved.used, DraftReferences(present.snapshot))
        night, before = (rows_of(whole(each, tube).evaluation) for each in (moved, present))
        assert rows_of(quick.evaluation) == night
        differs |= {path[-1] for path in night if night[path] != before[path]}
    assert differs >= {"lymphocytes", "t_cells"}


def shown(served: Served, key: str = CALIBRATION) -> dict[str, Any]:
    answer = served.client.get(f"/api/drafts/{key}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def sent(
    served: Served, action: str, body: dict[str, Any], by: str = "Anna", key: str = CALIBRATION
):
    return posted(served.client, by, f"/api/drafts/{key}/{action}", body)


def ok(answer) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_tubes_are_laid_out_as_their_pages_are_and_as_they_count_today(
    served: Served, study: Study
) -> None:
    chosen = shown(served)["chosen"]
    assert len(chosen) == 3
    answer = ok(sent(served, "tubes", {"tubes": chosen}))
    for each in answer["tubes"]:
        page = tube_data(study.results / "tubes" / each["sha12"])
        today, value = each["today"], each["value"]
        assert (today["strategy"], today["calibration"]) == (
            "bcell@3.0.0",
            "bcell/simulated@1.0.0",
        )
        assert value["head"]["calibration"] == "bcell/lyric-2@1.0.0"
        assert [gate["name"] for gate in value["gates"]] == [gate["name"] for gate in page["gates"]]
        for gate in page["gates"]:
            assert today["gates"][gate["name"]]["events"] == gate["events"]
            assert today["gates"][gate["name"]]["parent_events"] == gate["parent_events"]
    assert any(
        each["today"]["gates"][gate["name"]]["outlines"] != gate["outlines"]
        for each in answer["tubes"]
        for gate in each["value"]["gates"]
    )


def test_a_dragged_line_moves_in_every_tube(served: Served) -> None:
    chosen = shown(served)["chosen"]
    tubes = ok(sent(served, "tubes", {"tubes": chosen}))["tubes"]
    line = next(each for each in tubes[1]["value"]["thresholds"] if each["name"] == "cd19")
    place = line["declared"][1] + 0.02
    body = {"tubes": chosen, "at": chosen[1], "thresholds": {"cd19": place}}
    answer = ok(sent(served, "preview", body))
    assert answer["values"]["cd19"] > line["declared"][0]
    assert answer["moved"][0]["words"].startswith("cd19: 1,210 → ")
    assert (answer["refused"], answer["exact"]) == ("", True)
    for before, after in zip(tubes, answer["tubes"], strict=True):
        assert after["thresholds"]["cd19"]["value"][1] == pytest.approx(place, abs=1e-3)
        assert "b_cells" in after["outlines"]
        gates = {gate["name"]: gate["events"] for gate in before["value"]["gates"]}
        assert after["gates"]["b_cells"][0] <= gates["b_cells"]
        assert after["gates"]["t_cells"][0] == gates["t_cells"]


def test_a_vertex_dragged_on_another_instrument_is_brought_back_by_its_landmarks(
    served: Served, study: Study
) -> None:
    lay_calibration(study, landmarks=1.15)
    release_calibration(study.folder, ("bcell", "lyric-2"), "1.0.0", by="A", reason="a test")
    lay_strategy(study, "3.1.0", of="3.0.0")
    key = "strategy/bcell/3.1.0"
    first = shown(served, key)["chosen"][0]
    laid = ok(sent(served, "tubes", {"tubes": [first]}, key=key))["tubes"][0]["value"]
    assert laid["head"]["calibration"] == "bcell/lyric-2@1.0.0"
    gate = next(each for each in laid["gates"] if each["name"] == "lymphocytes")
    corners = [list(each) for each in gate["outlines"][0][:-1]]
    place = corners[0][0] = corners[0][0] + 0.03
    body = {"tubes": [first], "gates": {"lymphocytes": corners}}
    moved = ok(sent(served, "preview", body, key=key))
    vertices = moved["vertices"]["lymphocytes"]
    assert vertices[1:] == [[262143, 0], [262143, 52000], [6500, 38000]]
    assert 6500 < vertices[0][0] < 9000
    there = moved["tubes"][0]["outlines"]["lymphocytes"][0]
    assert there[0][0] == pytest.approx(place, abs=2e-4)
    threshold = sent(served, "preview", {"tubes": [first], "thresholds": {"cd19": 0.5}}, key=key)
    assert "is moved in a draft of a calibration" in threshold.json()["fault"]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"tubes": []}, 422, "1 to 8 tubes are laid out at once, not 0"),
        ({"tubes": [f"{n:012x}" for n in range(9)]}, 422, "1 to 8 tubes"),
        ({"tubes": ["0" * 12]}, 400, "its instrument is another one"),
        ({"tubes": ["<script>"]}, 422, "tubes"),
        ({"thresholds": {"cd54": 0.5}}, 400, "did you mean 'cd45'"),
        ({"thresholds": {"cd45": 40.0}}, 400, "far beyond the axis"),
        ({"thresholds": {"cd45": "0.5"}}, 422, "is no number"),
        ({"gates": {"cells": [[0.1, 0.1]] * 4}}, 400, "holds no outlines"),
        ({"at": "f" * 12, "values": {"cd45": 9}}, 400, "is not laid out"),
    ],
)
def test_what_cannot_be_moved_is_a_sentence(
    served: Served, body: dict[str, Any], status: int, said: str
) -> None:
    answer = sent(served, "preview", {"tubes": shown(served)["chosen"][:1]} | body)
    assert answer.status_code == status
    assert said in answer.json()["fault"]


def test_a_tube_whose_file_vanished_leaves_the_others(served: Served, study: Study) -> None:
    chosen = shown(served)["chosen"]
    gone = next(each for each in tubes_of(study) if each.identity.tube_sha256[:12] == chosen[0])
    study.path_of(gone.file.place or "").unlink()
    first, second, _ = ok(sent(served, "tubes", {"tubes": chosen}))["tubes"]
    assert (first["value"], first["today"]) == (None, None)
    assert "cannot be read" in first["fault"]
    assert second["value"]


def test_an_edit_is_kept_shown_and_seen_by_the_second_of_two(served: Served, study: Study) -> None:
    saw = shown(served)
    body = {"values": {"cd19": 1500.0}, "reason": "dim cells", "stamp": saw["stamp"]}
    now = ok(sent(served, "edits", body))
    line = next(each for each in now["thresholds"] if each["name"] == "cd19")
    assert (line["kept"], line["today"], line["drawn"]) == (1500.0, [1100.0], 1100.0)
    assert line["edited"].startswith("Set by hand by Anna, ")
    assert now["edits"][0]["words"] == ["cd19: 1,210 → 1,500 (limits 605 to 3,850 → 750 to 4,773)."]
    assert now["stamp"] != saw["stamp"]
    late = sent(served, "edits", body | {"values": {"cd19": 1600.0}}, by="Berta")
    assert late.status_code == 409
    assert "changed (Anna at" in late.json()["fault"]
    refused = sent(served, "edits", body | {"values": {"cd38_tr": 90_000.0}, "stamp": now["stamp"]})
    assert refused.status_code == 400
    assert "lie in the other order" in refused.json()["fault"]
    with study.store() as store:
        assert [each.action for each in entries(store)] == ["edited draft"]


def compared(served: Served, by: str = "Anna") -> dict[str, Any]:
    ok(sent(served, "concordance", {"stamp": shown(served)["stamp"]}, by=by))
    deadline = time.monotonic() + 120
    while True:
        now = served.client.get(f"{API}/concordance").json()
        if now["state"] in {"done", "failed"}:
            return now
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_draft_is_compared_released_and_counts_from_the_next_pass_on(
    served: Served, study: Study
) -> None:
    body = {"values": {"cd19": 1500.0}, "reason": "dim cells", "stamp": shown(served)["stamp"]}
    stamp = ok(sent(served, "edits", body))["stamp"]
    early = sent(served, "release", {"reason": "good", "stamp": stamp}, by="Berta")
    assert early.status_code == 409
    assert "Compare first" in early.json()["fault"]
    with study.store() as store, store.reading() as connection:
        measured = len(connection.execute(readings.select()).all())
    now = compared(served)
    assert (now["state"], now["current"], now["done"], now["of"]) == ("done", True, 3, 3)
    result = now["result"]
    assert (result["tubes"], result["missing"]) == (3, [])
    assert {each["population"] for each in result["populations"]} >= {"b_cells", "leukocytes"}
    with study.store() as store, store.reading() as connection:
        assert len(connection.execute(readings.select()).all()) == measured, "nothing is written"
    ready = shown(served)["release"]["refused"]
    assert "All edits of this draft are by Anna" in ready
    own = sent(served, "release", {"reason": "good", "stamp": stamp})
    assert own.status_code == 400
    done = ok(sent(served, "release", {"reason": "good", "stamp": stamp}, by="Berta"))
    assert done["pin"] == "bcell/lyric-2@1.0.0"
    assert served.client.get(API).status_code == 404
    counts_as_compared(study, result)


def test_tubes_that_were_not_compared_are_counted_anew_or_confirmed(
    served: Served, study: Study
) -> None:
    tube = tubes_of(study)[-1]
    place = study.path_of(tube.file.place or "")
    place.rename(place.with_name("away"))
    first = compared(served)["result"]
    assert (first["tubes"], first["uncompared"]) == (2, [tube.identity.file])
    assert first["missing"] == [
        f"{tube.identity.file} cannot be read (No such file or directory): it is not compared."
    ]
    body = {"reason": "good", "stamp": shown(served)["stamp"]}
    refused = sent(served, "release", body, by="Berta")
    assert refused.status_code == 409
    assert f"Not compared: {tube.identity.file}." in refused.json()["fault"]
    place.with_name("away").rename(place)
    again = compared(served)["result"]
    assert (again["tubes"], again["uncompared"]) == (3, [])
    place.rename(place.with_name("away"))
    compared(served)
    ok(sent(served, "release", body | {"incomplete": True}, by="Berta"))
    with study.store() as store:
        assert f"good (not compared: {tube.identity.file})" in entries(store)[-1].details


def counts_as_compared(study: Study, result: dict[str, Any]) -> None:
    """Count with what was released, and find what the comparison had said."""
    with one_pass(study.folder, "run") as this:
        take_in_count_and_build(this)
    assert len(this.counted) == 3
    counted = published(this)
    unit = {each["population"]: each["unit"] for each in result["populations"]}
    assert len(result["pairs"]) == len(counted)
    for pair in result["pairs"]:
        row = counted[pair["sha12"], pair["population"]]
        amount = row["per_ul" if unit[pair["population"]] == "1/uL" else "percent_reference"]
        assert np.isnan(amount) if pair["draft"] is None else amount == pair["draft"]
    assert any(pair["draft"] != pair["today"] for pair in result["pairs"])


def published(this: Pass) -> dict[tuple[str, str], dict[Any, Any]]:
    """Give the rows of the B-cell tubes, as the next tables have them."""
    tubes = counted_tubes(this.snapshot, "P01")
    ours = [each for each in tubes if each.identity.panel == "bcell"]
    assert {each.calibration for each in ours} == {"bcell/lyric-2@1.0.0"}
    rows = patient_kinetics(this.snapshot, this.snapshot.patients.patients["P01"], tubes)
    return {
        (row["tube_sha256"][:12], row["population"]): row
        for row in rows[rows["panel"] == "bcell"].to_dict("records")
    }


def test_a_comparison_waits_for_a_pass_and_is_outdated_by_an_edit(
    served: Served, study: Study
) -> None:
    with study_lock(study):
        ok(sent(served, "concordance", {"stamp": shown(served)["stamp"]}))
        until(lambda: served.client.get(f"{API}/concordance").json()["state"] == "waiting")
        other = sent(
            served, "concordance", {"stamp": shown(served, STRATEGY)["stamp"]}, key=STRATEGY
        )
        assert other.status_code == 409
        assert "is being compared by Anna" in other.json()["fault"]
    until(lambda: served.client.get(f"{API}/concordance").json()["state"] == "done")
    body = {"values": {"cd19": 1500.0}, "reason": "dim cells", "stamp": shown(served)["stamp"]}
    ok(sent(served, "edits", body))
    assert served.client.get(f"{API}/concordance").json()["current"] is False


def until(condition, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_who_may_do_what(served: Served, study: Study) -> None:
    tokens = {
        name: let_in(study, name, role, by="Head")
        for name, role in (("Rita", "reader"), ("Vera", "reviewer"), ("Otto", "approver"))
    }
    assert served.client.get(API).status_code == 401
    assert served.client.get(f"/drafts/{CALIBRATION}", follow_redirects=False).status_code == 303

    def as_whom(name: str, action: str, body: dict[str, Any]):
        session = served.log_in(name, tokens[name]).json()
        headers = {"x-reconflow-csrf": session["csrf"]}
        return served.client.post(f"{API}/{action}", json=body, headers=headers)

    assert as_whom("Rita", "tubes", {"tubes": ["0" * 12]}).status_code == 403
    now = shown(served)
    assert now["release"]["refused"] == "Rita is a reader: an approver releases."
    release = {"reason": "good", "stamp": now["stamp"]}
    assert as_whom("Vera", "release", release).status_code == 403
    assert as_whom("Otto", "release", release).status_code == 403, "the token once more"
    asked_again = as_whom("Otto", "release", release | {"token": tokens["Otto"]})
    assert asked_again.status_code == 409
    assert served.client.post(f"{API}/edits", json={}).status_code == 403


def test_pages_are_shells_and_drafts_are_listed_with_what_is_wrong(
    served: Served, study: Study
) -> None:
    page = served.client.get(f"/drafts/{CALIBRATION}")
    assert f'data-page="draft" data-root="/" data-key="{CALIBRATION}"' in page.text
    assert 'data-page="drafts"' in served.client.get("/drafts").text
    assert served.client.get("/drafts/calibration/a/b/1.0.0").status_code == 404
    lay_calibration(study, instrument="nowhere").write_text("thresholds: [", encoding="utf-8")
    path = lay_calibration(study, instrument="other")
    text = path.read_text(encoding="utf-8").replace("name: BD FACSLyric", "name: Attune")
    path.write_text(text, encoding="utf-8")
    listed = {each["key"]: each for each in served.client.get("/api/drafts").json()["drafts"]}
    assert len(listed) == 4
    assert "line" in listed["calibration/bcell/nowhere/1.0.0"]["fault"]
    broken = served.client.get("/api/drafts/calibration/bcell/nowhere/1.0.0")
    assert broken.status_code == 400
    other = shown(served, "calibration/bcell/other/1.0.0")
    assert other["tubes"] == []
    assert "No tube of the study is of its panel and instrument" in other["notes"][-1]


def test_a_draft_for_later_tubes_is_looked_at_but_counts_none(served: Served, study: Study) -> None:
    lay_calibration(study, more="since: 2030-01-01")
    now = shown(served)
    assert len(now["tubes"]) == 3
    assert not any(each["counts"] for each in now["tubes"])
    assert "would be counted with it" in now["notes"][-1]
    answer = ok(sent(served, "tubes", {"tubes": now["chosen"][:1]}))
    assert answer["tubes"][0]["value"]["head"]["calibration"] == "bcell/lyric-2@1.0.0"
    assert compared(served)["state"] == "failed"


def test_a_draft_is_moved_and_compared_without_a_browser(study: Study, capsys) -> None:
    here = ["--study", str(study.folder)]
    pin = "bcell/lyric-2@1.0.0"
    why = ["--by", "A. Meyer", "--reason", "dim cells"]
    assert run(["draft", "set", pin, "--threshold", "cd45=1800", *why, *here]) == 0
    assert len(set(entries_and_kept_head(study.folder))) == 1
    assert "cd45: 1,650 → 1,800" in capsys.readouterr().out
    assert run(["draft", "list", *here]) == 0
    assert "Edited by A. Meyer." in capsys.readouterr().out
    assert run(["draft", "set", "bcell/lyric-3@1.0.0", *why, *here]) == 2
    assert "did you mean 'bcell/lyric-2@1.0.0'? Its drafts:" in capsys.readouterr().err
    assert run(["draft", "compare", pin, *here]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"3 tubes with {pin}, against what counts them now (bcell@3.0.0)")
    assert "results would read otherwise:" in printed.replace("result would", "results would")
    released = ["calibrate", "release", "bcell", "lyric-2", "1.0.0", "--reason", "good", *here]
    assert run([*released, "--by", "A Meyer"]) == 2
    assert "another person releases it" in capsys.readouterr().err
    assert run([*released, "--by", "B. Lee"]) == 0

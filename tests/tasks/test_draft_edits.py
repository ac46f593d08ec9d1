"""A number of a draft is moved in its file and in the log, and nothing else of the file moves."""

import difflib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gating.calibration.catalogue import read_calibration
from panels.text.errors import CalibrationFault, ReconflowError, StrategyFault, UsageFault
from tasks.calibrate.draft_file import is_as_drafted
from tasks.drafts.changes import Changes
from tasks.drafts.draft_document import list_document
from tasks.drafts.draft_file import Draft, NoSuchDraft, draft_named, known_drafts, read_draft
from tasks.drafts.edits import OutdatedDraft, Told, keep_edit, told
from tasks.drafts.release import release_draft
from tasks.store.audit import entries
from tasks.study.folder import Study
from tests.tasks.draft_files import CALIBRATION, STRATEGY, lay_calibration, lay_strategy
from tests.tasks.study_folder import AT_ONCE, make_study

PROJECT = Path(__file__).resolve().parents[2]
HIGHER = Changes({"cd45": 1800.04})


@pytest.fixture
def study(tmp_path: Path) -> Study:
    made = make_study(tmp_path / "s", settings=f"{AT_ONCE}review: {{four_eyes: true}}\n")
    lay_calibration(made)
    lay_strategy(made)
    return made


def draft(study: Study, key: str = CALIBRATION) -> Draft:
    return read_draft(study, draft_named(study, key))


def edit(
    study: Study, changes: Changes = HIGHER, key: str = CALIBRATION, by: str = "A. Meyer"
) -> Draft:
    now = draft(study, key)
    return keep_edit(study, now.name, changes, by=by, reason="dim cells", stamp=now.stamp)


def changed_lines(before: str, after: str) -> list[str]:
    compared = difflib.ndiff(before.splitlines(), after.splitlines())
    return [line for line in compared if line[0] in "+-"]


def test_both_kinds_of_drafts_are_known_and_released_ones_are_none(study: Study) -> None:
    assert [each.key for each in known_drafts(study)] == [CALIBRATION, STRATEGY]
    now = draft(study)
    release_draft(study, now.name, by="B. Lee", reason="looked at", stamp=now.stamp)
    assert [each.key for each in known_drafts(study)] == [STRATEGY]
    with pytest.raises(NoSuchDraft, match="is released and no draft any more"):
        draft_named(study, CALIBRATION)


@pytest.mark.parametrize(
    "key", ["", "calibration", "calibration/bcell/../1.0.0", "panel/bcell/1.0.0", "strategy/x/1.0"]
)
def test_what_is_no_name_of_a_draft_is_none(study: Study, key: str) -> None:
    with pytest.raises(NoSuchDraft):
        draft_named(study, key)


def test_one_number_is_moved_with_its_limits_and_the_line_says_by_whom(study: Study) -> None:
    before = draft(study)
    after = edit(study)
    removed, added = changed_lines(before.text, after.text)
    assert removed == (
        "-   cd45: {value: 1650, limits: [825, 3300], anchor: 26700}  # landmark, 2 tubes"
    )
    assert added.startswith(
        "+   cd45: {value: 1800, limits: [900, 3600], anchor: 26700}  # by hand: A. Meyer, 20"
    )
    assert added.endswith(": dim cells (landmark, 2 tubes, said 1650)")
    assert not is_as_drafted(after.path)


def test_a_second_edit_keeps_what_was_measured(study: Study) -> None:
    edit(study)
    line = edit(study, Changes({"cd45": 2000.0}), by="B. Lee").text.splitlines()[10]
    assert "by hand: B. Lee" in line
    assert "A. Meyer" not in line
    assert line.endswith("(landmark, 2 tubes, said 1650)")


def test_the_log_tells_of_every_number(study: Study) -> None:
    after = edit(study)
    with study.store() as store:
        log, kept = told(store, after), entries(store)
    assert [(each.by, each.reason, each.words) for each in log.edits] == [
        (
            "A. Meyer",
            "dim cells",
            ("cd45: 1,650 → 1,800 (limits 825 to 3,300 → 900 to 3,600).",),
        )
    ]
    assert log.unlogged == ""
    assert [(each.action, each.subject) for each in kept] == [
        ("edited draft", "calibration bcell/lyric-2@1.0.0")
    ]
    assert '"thresholds.cd45.limits.1":[3300,3600]' in kept[0].details


def test_vertices_and_thresholds_of_a_strategy_are_moved(study: Study) -> None:
    before = draft(study, STRATEGY)
    outline = ((8604.4, 0.0), (262143.0, 0.0), (262143.0, 52000.0), (6500.0, 38000.0))
    after = edit(study, Changes({"cd19": 1300.0}, {"lymphocytes": outline}), STRATEGY)
    lines = changed_lines(before.text, after.text)
    assert len(lines) == 4
    assert "value: 1300, limits: [550, 3500]" in lines[1]
    assert lines[1].endswith(": dim cells (the file said 1100)")
    assert "[[8604, 0], [262143, 0], [262143, 52000], [6500, 38000]]" in lines[3]
    assert "# by hand: A. Meyer" in lines[3]


@pytest.mark.parametrize(
    ("key", "changes", "said"),
    [
        (CALIBRATION, Changes({"cd45": 300_000.0}), "lies off the scale"),
        (CALIBRATION, Changes({"cd45": 0.0}), "lies above 0, and at 262,144 at most"),
        (
            CALIBRATION,
            Changes({"cd38_tr": 60_000.0}),
            "^Nothing was moved: on CD38 .* lie in the other order",
        ),
        (CALIBRATION, Changes({"cd27": 6360.0, "cd27_hi": 6360.0}), "are the same .6360., which"),
        (CALIBRATION, Changes({"cd54": 1_000.0}), "did you mean 'cd45'"),
        (CALIBRATION, Changes({"cd45": 1_650.0}), "Nothing was moved"),
        (CALIBRATION, Changes({}, {"cells": ((0, 0), (1, 1), (2, 0))}), "holds no outlines"),
        (STRATEGY, Changes({"cd19": 90_000.0}), "must lie within 'limits'"),
        (STRATEGY, Changes({}, {"lymphocytes": ((0, 0), (1, 1), (2, 0))}), "has 4 vertices, not 3"),
        (STRATEGY, Changes({}, {"lymphocytes": ((1e300, 0),) * 4}), "far off the scale"),
        (STRATEGY, Changes({}, {"singlets": ((0, 0), (1, 1), (2, 0))}), "no polygon 'singlets'"),
    ],
)
def test_what_a_release_would_refuse_is_not_kept(
    study: Study, key: str, changes: Changes, said: str
) -> None:
    before = draft(study, key)
    with pytest.raises(UsageFault, match=said):
        edit(study, changes, key)
    assert draft(study, key).stamp == before.stamp
    with study.store() as store:
        assert entries(store) == []


def test_the_second_of_two_who_edit_is_told_who_was_first(study: Study) -> None:
    saw = draft(study)
    edit(study)
    with pytest.raises(
        OutdatedDraft, match=r"changed \(A. Meyer at [-\d]+ [\d:]{5} UTC: dim cells\)"
    ):
        keep_edit(study, saw.name, HIGHER, by="B. Lee", reason="x", stamp=saw.stamp)
    with study.store() as store:
        assert len(entries(store)) == 1


def test_a_number_that_is_not_written_out_is_left_to_the_file(study: Study) -> None:
    path = lay_calibration(study)
    text = path.read_text(encoding="utf-8")
    shared = text.replace("cd45: {value: 1650,", "cd45: {value: &low 1650,")
    path.write_text(shared.replace("dump: {value: 1650,", "dump: {value: *low,"), encoding="utf-8")
    with pytest.raises(CalibrationFault, match="cannot be changed here, the way it is written"):
        edit(study)
    assert "1650" in path.read_text(encoding="utf-8")


def test_windows_line_ends_stay(study: Study) -> None:
    path = lay_calibration(study)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    edit(study)
    written = path.read_bytes()
    assert written.count(b"\r\n") == written.count(b"\n") > 20
    assert b"value: 1800" in written


def test_a_file_that_does_not_parse_is_named_with_its_line(study: Study) -> None:
    path = lay_calibration(study)
    text = path.read_text(encoding="utf-8").replace("limits: [825, 3300]", "limits: [825, 3300")
    path.write_text(text, encoding="utf-8")
    first, second = list_document(study)["drafts"]
    assert "calibration.yaml, line" in first["fault"]
    assert (first["title"], second["fault"]) == ("", "")


def test_an_empty_file_is_said_to_be_none(study: Study) -> None:
    lay_calibration(study).write_text("", encoding="utf-8")
    with pytest.raises(CalibrationFault, match="there is no calibration in it: it is empty"):
        draft(study)


def test_a_server_that_is_killed_between_file_and_log_says_so(study: Study) -> None:
    before = draft(study)
    killed = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from tasks.drafts import edits\n"
        "from tasks.drafts.changes import Changes\n"
        "from tasks.drafts.draft_file import draft_named\n"
        "from tasks.study.folder import open_study\n"
        "write = edits.write_durably\n"
        "def write_and_end(path, content):\n"
        "    write(path, content)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "edits.write_durably = write_and_end\n"
        "study = open_study(Path(sys.argv[1]))\n"
        "name = draft_named(study, sys.argv[2])\n"
        "edits.keep_edit(study, name, Changes({'cd45': 1800.0}), by='A', reason='b',"
        " stamp=sys.argv[3])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", killed, str(study.folder), CALIBRATION, before.stamp],
        cwd=PROJECT,
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    after = draft(study)
    assert "value: 1800" in after.text
    with study.store() as store:
        assert entries(store) == []
        assert "who changed it last is not in the log" in told(store, after).unlogged
    edit(study, Changes({"cd45": 1900.0}))
    with study.store() as store:
        assert told(store, draft(study)).unlogged == ""


def test_who_alone_edited_a_draft_does_not_release_it(study: Study) -> None:
    after = edit(study)
    with pytest.raises(UsageFault, match="All edits of this draft are by A Meyer"):
        release_draft(study, after.name, by="A Meyer", reason="good", stamp=after.stamp)
    with pytest.raises(OutdatedDraft, match="nothing was released"):
        release_draft(study, after.name, by="B. Lee", reason="good", stamp="0" * 64)
    done = release_draft(study, after.name, by="B. Lee", reason="good", stamp=after.stamp)
    assert done.pin == "bcell/lyric-2@1.0.0"
    with study.store() as store:
        last = entries(store)[-1]
    assert (last.actor, last.action) == ("B. Lee", "released")


@pytest.mark.parametrize(
    ("moves", "refused", "said"),
    [
        ([("A", 1800), ("B", 1650), ("C", 1200)], "C", "that hold now are by C"),
        ([("A", 1800), ("B", 1900), ("C", 1650)], "C", "last edit of this draft is by C"),
        ([("C", 1800), ("B", 1900), ("B", 1650), ("C", 1200), ("B", 1300)], "B", "hold now"),
    ],
)
def test_taken_back_slips_of_others_are_no_second_pair_of_eyes(
    study: Study, moves: list[tuple[str, float]], refused: str, said: str
) -> None:
    for by, value in moves:
        now = edit(study, Changes({"cd45": value}), by=by)
    with pytest.raises(UsageFault, match=said):
        release_draft(study, now.name, by=refused, reason="good", stamp=now.stamp)
    release_draft(study, now.name, by="D", reason="good", stamp=now.stamp)


def test_of_two_who_edited_the_one_who_was_not_last_releases(study: Study) -> None:
    edit(study, by="A")
    now = edit(study, Changes({"cd19": 1500.0}), by="B")
    with pytest.raises(UsageFault, match="The last edit of this draft is by B"):
        release_draft(study, now.name, by="B", reason="good", stamp=now.stamp)
    release_draft(study, now.name, by="A", reason="good", stamp=now.stamp)


def test_a_number_that_is_set_back_keeps_its_history(study: Study) -> None:
    path = draft(study).path
    with path.open("a", encoding="utf-8") as file:
        file.write(f"# drafted {read_calibration(path).sha256}\n")
    edit(study, Changes({"cd45": 1800.0}))
    back = edit(study, Changes({"cd45": 1650.0}), by="B. Lee")
    assert is_as_drafted(path)
    with study.store() as store:
        log = told(store, back)
    assert ([each.by for each in log.edits], log.unlogged) == (["A. Meyer", "B. Lee"], "")
    assert log.in_force() == []


def test_the_step_of_a_strategys_version_is_checked_and_leaves_nothing(study: Study) -> None:
    edit(study, Changes({"cd19": 1300.0}), STRATEGY)
    now = draft(study, STRATEGY)
    with pytest.raises(StrategyFault, match=r"Call it 2\.0\.1 or later"):
        release_draft(study, now.name, by="B. Lee", reason="good", stamp=now.stamp)
    assert not now.path.with_name("CHANGES.md").exists()
    right = now.path.parent.with_name("2.0.1")
    now.path.parent.rename(right)
    text = now.text.replace("version: 2.1.0", "version: 2.0.1")
    (right / "strategy.yaml").write_text(text, encoding="utf-8")
    renamed = draft(study, "strategy/bcell/2.0.1")
    done = release_draft(study, renamed.name, by="B. Lee", reason="good", stamp=renamed.stamp)
    assert "promoted" in done.words[0]
    assert "good" in (right / "CHANGES.md").read_text(encoding="utf-8")


def test_a_draft_that_was_made_anew_has_none_of_the_edits(study: Study) -> None:
    with pytest.raises(ReconflowError, match="empty"):
        edit(study, by="")
    edit(study)
    path = lay_calibration(study, gain=1.2)
    with study.store() as store:
        assert len(told(store, draft(study)).edits) == 1
        assert told(store, draft(study)).unlogged
    with path.open("a", encoding="utf-8") as file:
        file.write(f"# drafted {read_calibration(path).sha256}\n")
    with study.store() as store:
        assert told(store, draft(study)) == Told()

"""The store keeps everything once, changes nothing it has kept, and is the same on SQLite and
PostgreSQL."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select, text

from gating.evaluation.compiled_strategy import RealisedThreshold
from panels.text.errors import SettingsFault, StateConflict, TubeFault
from tasks.counting.counts import PopulationCount
from tasks.store import shares
from tasks.store.counts import tube_counts
from tasks.store.gatings import TubeGating, gatings_of, save_gating
from tasks.store.ledger import (
    FileStat,
    add_file,
    all_files,
    count_by_state,
    history,
    record_failure,
    see_again,
    set_state,
)
from tasks.store.moves import PlannedMove, plan_move, planned_moves, refuse_twin
from tasks.store.notes import recall, remember
from tasks.store.opening import Store, open_store
from tasks.store.runs import begin_run, end_run, last_run
from tasks.store.schema.results import thresholds
from tasks.store.tubes import save_tube, taken_in, tubes_to_count
from tasks.vocabulary.tube_identity import TubeIdentity

SHA = "a" * 64
TUBE = TubeIdentity(
    SHA,
    "a.fcs",
    "P01",
    datetime(2026, 2, 7, 8, 30, tzinfo=UTC),
    "bcell",
    "D28",
    leukocytes_per_ul=0.1 + 0.2,
)
COUNTS = (
    PopulationCount("b_cells", 120, "leukocytes", 5000, "lymphocytes", 4000),
    PopulationCount("naive_b", 0, "b_cells", 120, "b_cells", 120),
)
GATING = TubeGating(
    SHA,
    "bcell@1.0.0",
    "f" * 64,
    "0.1.0",
    "bcell",
    9000,
    COUNTS,
    None,
    ("few_events",),
    {"dead": 0.1},
)


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with open_store(url) as opened:
        yield opened


def accept(store: Store, identity: TubeIdentity = TUBE) -> int:
    with store.writing() as connection:
        stat = FileStat(10, 2**62, 1.5, identity.tube_sha256)
        add_file(
            connection, identity.file, identity.file, f"archive/{identity.tube_sha256[:12]}", stat
        )
        save_tube(connection, identity, {"instrument": "Lyric µ"})
    record = all_files(store)[-1]
    with store.writing() as connection:
        set_state(connection, record, "accepted", "")
    return record.id


def test_an_identity_comes_back_exactly_as_it_was_kept(store: Store) -> None:
    accept(store)
    (tube,) = taken_in(store)
    assert tube.identity == TUBE
    assert tube.keywords == {"instrument": "Lyric µ"}
    assert tube.file.mtime_ns == 2**62


def test_counts_come_back_in_order_and_make_the_file_counted(store: Store) -> None:
    accept(store)
    assert save_gating(store, GATING)
    assert gatings_of(store, SHA) == [GATING]
    (counted,) = tube_counts(store, {"bcell": "bcell@1.0.0"})
    assert list(counted.counts) == ["b_cells", "naive_b"]
    assert counted.identity == TUBE
    assert (counted.strategy, counted.total_events, counted.beads, counted.flags) == (
        "bcell@1.0.0",
        9000,
        None,
        ("few_events",),
    )
    assert count_by_state(store)["counted"] == 1


def test_keeping_the_same_counts_again_changes_nothing(store: Store) -> None:
    file_id = accept(store)
    save_gating(store, GATING)
    steps = history(store, file_id)
    assert not save_gating(store, GATING)
    assert gatings_of(store, SHA) == [GATING]
    assert history(store, file_id) == steps


def test_how_cells_are_stained_is_added_to_counts_of_an_earlier_release(store: Store) -> None:
    file_id = accept(store)
    earlier = replace(GATING, thresholds=(realised("as it was"),))
    save_gating(store, earlier)
    steps, (written,) = history(store, file_id), gatings_of(store, SHA)
    stains = {"stains": {"cd19": {"ratio": 0.4}}}
    dim = replace(GATING, qc=GATING.qc | stains, thresholds=(realised("CD19 is dim"),))
    assert not save_gating(store, dim)
    (now,) = gatings_of(store, SHA)
    assert now.qc == GATING.qc | stains
    assert (now.counts, now.counted_at) == (GATING.counts, written.counted_at)
    assert evidence(store) == ["CD19 is dim"]
    (counted,) = tube_counts(store, {"bcell": "bcell@1.0.0"})
    assert counted.stain_ratios == {"cd19": 0.4}
    assert history(store, file_id) == steps
    # What is known once is not replaced, and not taken back by an earlier release.
    for later in (replace(dim, qc={"stains": {}}), earlier):
        assert not save_gating(store, later)
        assert gatings_of(store, SHA) == [now]
    assert evidence(store) == ["CD19 is dim"]


def realised(words: str) -> RealisedThreshold:
    return RealisedThreshold("cd19", "CD19", "APC-A", 700.0, "measured", words)


def evidence(store: Store) -> list[str]:
    with store.reading() as connection:
        return list(connection.execute(select(thresholds.c.evidence_text)).scalars())


def test_stains_do_not_let_other_numbers_in(store: Store) -> None:
    accept(store)
    save_gating(store, GATING)
    with pytest.raises(TubeFault, match="earlier counts are kept"):
        save_gating(store, replace(GATING, total_events=9001, qc={"stains": {}}))
    assert gatings_of(store, SHA) == [GATING]


def test_other_numbers_from_the_same_engine_are_refused_and_the_first_stay(store: Store) -> None:
    accept(store)
    save_gating(store, GATING)
    with pytest.raises(TubeFault, match="earlier counts are kept"):
        save_gating(store, replace(GATING, counts=(replace(COUNTS[0], events=121), COUNTS[1])))
    assert gatings_of(store, SHA) == [GATING]


def test_another_engine_or_strategy_version_is_kept_beside_the_first(store: Store) -> None:
    accept(store)
    newer = replace(
        GATING, engine_version="0.2.0", counts=(replace(COUNTS[0], events=121), COUNTS[1])
    )
    other = replace(GATING, strategy="bcell@1.1.0")
    for gating in (GATING, newer, other):
        assert save_gating(store, gating)
    assert len(gatings_of(store, SHA)) == 3
    by_engine = {
        engine: tube_counts(store, {"bcell": "bcell@1.0.0"}, engine)[0].counts["b_cells"].events
        for engine in ("0.1.0", "0.2.0")
    }
    assert by_engine == {"0.1.0": 120, "0.2.0": 121}
    assert tube_counts(store, {"bcell": "bcell@1.0.0"})[0].counts["b_cells"].events == 121
    assert tube_counts(store, {"bcell": "bcell@1.1.0"})[0].strategy == "bcell@1.1.0"


def test_only_tubes_not_yet_counted_are_to_be_counted(store: Store) -> None:
    accept(store)
    accept(store, replace(TUBE, tube_sha256="b" * 64, file="b.fcs"))
    accept(store, replace(TUBE, tube_sha256="c" * 64, file="c.fcs", panel="no-strategy"))
    pins = {"bcell": "bcell@1.0.0"}
    save_gating(store, GATING)
    assert [tube.identity.file for tube in tubes_to_count(store, pins, "0.1.0")] == ["b.fcs"]
    assert [tube.identity.file for tube in tubes_to_count(store, pins, "0.2.0")] == [
        "a.fcs",
        "b.fcs",
    ]
    record_failure(store, "b" * 64, "disk full")
    assert tubes_to_count(store, pins, "0.1.0") == []


def test_a_strategy_changed_under_the_same_version_is_noticed_and_the_first_counts_stay(
    store: Store,
) -> None:
    accept(store)
    save_gating(store, GATING)
    pins = {"bcell": "bcell@1.0.0"}
    assert tubes_to_count(store, pins, "0.1.0", released={"bcell@1.0.0": "f" * 64}) == []
    (tube,) = tubes_to_count(store, pins, "0.1.0", released={"bcell@1.0.0": "e" * 64})
    assert tube.identity == TUBE
    with pytest.raises(
        TubeFault, match=r"another bcell@1\.0\.0 \(content ffffffffffff, now eeeeeeeeeeee"
    ):
        save_gating(store, replace(GATING, strategy_sha256="e" * 64))
    assert gatings_of(store, SHA) == [GATING]


def test_a_child_never_exceeds_its_parent(store: Store) -> None:
    from sqlalchemy.exc import IntegrityError

    accept(store)
    with pytest.raises(IntegrityError):
        save_gating(store, replace(GATING, counts=(replace(COUNTS[0], events=5001),)))
    assert gatings_of(store, SHA) == []


def test_history_is_appended_and_the_same_state_twice_is_one_step(store: Store) -> None:
    file_id = accept(store)
    record_failure(store, SHA, "disk full")
    record_failure(store, SHA, "disk full")
    assert [(step.from_state, step.to_state, step.reason) for step in history(store, file_id)] == [
        (None, "settling", ""),
        ("settling", "accepted", ""),
        ("accepted", "failed", "disk full"),
    ]


def test_notes_and_runs_are_kept(store: Store) -> None:
    remember(store, "sheets", "1")
    remember(store, "sheets", "2")
    assert recall(store, "sheets") == "2"
    assert recall(store, "other") is None
    number = begin_run(store, "nightly")
    assert last_run(store) is not None
    assert last_run(store, "watch") is None
    end_run(store, number, "done", {"accepted": 3})
    run = last_run(store, "nightly")
    assert run is not None
    assert run.outcome == "done"
    assert run.summary == {"accepted": 3}
    assert run.ended_at


def test_a_store_of_a_newer_program_is_refused(url: str) -> None:
    with open_store(url) as store, store.writing() as connection:
        connection.execute(text("INSERT INTO schema_version (version) VALUES (99)"))
    with pytest.raises(SettingsFault, match=r"newer reconflow \(store version 99"):
        open_store(url)


def test_many_workers_open_a_new_store_and_write_at_once(url: str) -> None:
    def work(worker: int) -> None:
        with open_store(url) as store:
            for number in range(5):
                sha = f"{worker}{number}".ljust(64, "0")
                accept_one = replace(TUBE, tube_sha256=sha, file=f"{sha[:2]}.fcs")
                with store.writing() as connection:
                    add_file(connection, sha, sha, sha, FileStat(1, 1, 1.0, sha))
                    save_tube(connection, accept_one, {})
                assert save_gating(store, replace(GATING, tube_sha256=sha))
                assert not save_gating(store, replace(GATING, tube_sha256=sha))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    with open_store(url) as store:
        assert count_by_state(store)["settling"] == 20
        assert all(len(gatings_of(store, record.sha256 or "")) == 1 for record in all_files(store))


def test_a_store_that_cannot_be_opened_says_so_without_its_password(tmp_path: Path) -> None:
    (tmp_path / "broken.db").write_text(
        "this is no database, but a long enough text to be read as one" * 20, encoding="utf-8"
    )
    for address in (
        f"sqlite:///{tmp_path / 'broken.db'}",
        f"sqlite:///{tmp_path / 'none' / 'x.db'}",
        "postgresql+psycopg://me:secret@127.0.0.1:1/x",
    ):
        with pytest.raises(SettingsFault, match="cannot be opened") as caught:
            open_store(address)
        assert "secret" not in str(caught.value)


def test_counts_of_another_content_of_the_panel_are_none(store: Store) -> None:
    accept(store)
    pins, one, other = {"bcell": "bcell@1.0.0"}, {"bcell": "1" * 64}, {"bcell": "2" * 64}
    assert save_gating(store, replace(GATING, panel_sha256="1" * 64))
    assert tubes_to_count(store, pins, "0.1.0", panels=one) == []
    assert [tube.identity for tube in tubes_to_count(store, pins, "0.1.0", panels=other)] == [TUBE]
    assert tube_counts(store, pins, panels=other) == []
    assert save_gating(
        store,
        replace(GATING, panel_sha256="2" * 64, counts=(replace(COUNTS[0], events=7), COUNTS[1])),
    )
    found = {
        sha[0]: tube_counts(store, pins, panels={"bcell": sha})[0].counts["b_cells"].events
        for sha in ("1" * 64, "2" * 64)
    }
    assert found == {"1": 120, "2": 7}
    assert tubes_to_count(store, pins, "0.1.0", panels=one) == []


def test_a_file_is_changed_only_from_the_state_that_was_read(store: Store) -> None:
    file_id = accept(store)
    (seen,) = all_files(store)
    save_gating(store, GATING)
    steps = history(store, file_id)
    move = PlannedMove(file_id, seen.place or "", "elsewhere", "waiting", "")
    for change in (
        lambda connection: set_state(connection, seen, "waiting", "left the inbox", place=None),
        lambda connection: see_again(connection, seen, FileStat(1, 1, 1.0, "b" * 64)),
        lambda connection: plan_move(connection, seen, move),
    ):
        with pytest.raises(StateConflict), store.writing() as connection:
            change(connection)
    record_failure(store, SHA, "too late", seen=seen)
    assert [record.state for record in all_files(store)] == ["counted"]
    assert history(store, file_id) == steps
    assert planned_moves(store) == []


def test_a_file_that_is_being_moved_is_planned_to_no_other_place(store: Store) -> None:
    file_id = accept(store)
    (seen,) = all_files(store)
    move = PlannedMove(file_id, seen.place or "", "archive/one", "accepted", "")
    for _ in range(2):
        with store.writing() as connection:
            plan_move(connection, seen, move)
    with pytest.raises(StateConflict), store.writing() as connection:
        plan_move(connection, seen, replace(move, target="archive/two"))
    assert planned_moves(store) == [(move, seen)]


def test_no_two_files_with_the_same_bytes_are_taken_in(store: Store) -> None:
    with store.writing() as connection:
        for name in ("a.fcs", "copy.fcs"):
            assert add_file(connection, name, name, f"inbox/{name}", FileStat(1, 1, 1.0, SHA))
    first, second = all_files(store)
    with store.writing() as connection:
        refuse_twin(connection, first)
        plan_move(
            connection, first, PlannedMove(first.id, "inbox/a.fcs", "archive/a.fcs", "accepted", "")
        )
    with pytest.raises(StateConflict), store.writing() as connection:
        refuse_twin(connection, second)


def test_a_place_is_entered_once(store: Store) -> None:
    with store.writing() as connection:
        assert add_file(connection, "a.fcs", "a.fcs", "inbox/a.fcs", FileStat(1, 1, 1.0, SHA))
    with store.writing() as connection:
        assert (
            add_file(connection, "a.fcs", "a.fcs", "inbox/a.fcs", FileStat(1, 1, 1.0, SHA)) is None
        )
    assert len(all_files(store)) == 1


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs"])
def test_an_sqlite_store_on_a_network_share_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The list of mounts is real but for the type: a share that this machine could mount is not to
    be had in a test."""
    number = f"{os.major(tmp_path.stat().st_dev)}:{os.minor(tmp_path.stat().st_dev)}"
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "22 27 0:21 / /proc rw,relatime - proc proc rw\n"
        f"31 27 {number} / /media/with\\040blank rw,relatime shared:7 master:1 - {kind} "
        f"server:/data rw,vers=4.2\n",
        encoding="utf-8",
    )
    open_store(f"sqlite:///{tmp_path / 'reconflow.db'}").close()
    monkeypatch.setattr(shares, "MOUNTS", mounts)
    link = tmp_path / "link.db"
    link.symlink_to(tmp_path / "reconflow.db")
    for file in (tmp_path / "reconflow.db", link):
        with pytest.raises(
            SettingsFault,
            match=rf"{file.name} lies on a network share \({kind}\).*this computer.*PostgreSQL",
        ):
            open_store(f"sqlite:///{file}")


@pytest.mark.parametrize("kind", ["ext4", "tmpfs", "9p", "overlay"])
def test_a_store_on_a_disk_of_the_machine_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    number = f"{os.major(tmp_path.stat().st_dev)}:{os.minor(tmp_path.stat().st_dev)}"
    monkeypatch.setattr(shares, "MOUNTS", tmp_path / "mountinfo")
    shares.MOUNTS.write_text(
        f"31 27 {number} / / rw - {kind} x rw\n30 27 0:999 / /media rw - nfs x rw\n",
        encoding="utf-8",
    )
    open_store(f"sqlite:///{tmp_path / 'reconflow.db'}").close()

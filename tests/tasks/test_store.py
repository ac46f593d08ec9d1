"""The store keeps everything once, changes nothing it has kept, and is the same on SQLite and
PostgreSQL."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import create_engine, func, inspect, select, text

from panels.text.errors import SettingsFault, StateConflict, TubeFault
from tasks.counting.counts import PopulationCount
from tasks.store import shares
from tasks.store.counts import TubeGating, gatings_of, save_gating, tube_counts
from tasks.store.editions import Edition, last_editions, save_edition
from tasks.store.lease import lease
from tasks.store.ledger import (
    FileStat,
    PlannedMove,
    add_file,
    all_files,
    count_by_state,
    history,
    plan_move,
    planned_moves,
    recall,
    record_failure,
    refuse_twin,
    remember,
    see_again,
    set_state,
)
from tasks.store.measurements import (
    MeasuredWith,
    measured,
    remove_altered_measurements,
    save_measurements,
)
from tasks.store.opening import Store, open_store
from tasks.store.runs import begin_run, end_run, last_run
from tasks.store.schema import readings, thresholds, versions
from tasks.store.tubes import altered_identities, save_tube, taken_in, tubes_to_count
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


def test_a_store_of_the_first_version_keeps_its_counts_when_it_is_opened(url: str) -> None:
    with open_store(url) as store:
        accept(store)
    engine = create_engine(url)
    with engine.begin() as connection:
        for table in ("thresholds", "readings", "promotions", "counts", "gatings"):
            connection.execute(text(f"DROP TABLE {table}"))
        connection.execute(text("DROP INDEX tubes_by_patient"))
        connection.execute(text("UPDATE schema_version SET version = 1"))
        connection.execute(text(FIRST_GATINGS))
        connection.execute(text(FIRST_COUNTS))
        connection.execute(
            text(
                "INSERT INTO gatings VALUES (:tube, 'bcell', '1.0.0', '0.1.0', :hash, "
                "'bcell', 9000, NULL, '[\"few_events\"]',"
                " '{\"dead\": 0.1}', '2026-02-08T02:00:00+00:00')"
            ),
            {"tube": SHA, "hash": "f" * 64},
        )
        for place, count in enumerate(COUNTS):
            values = {"tube": SHA, "place": place} | {
                name: getattr(count, name) for name in ("population", "events", "parent")
            }
            values |= {
                name: getattr(count, name)
                for name in ("parent_events", "reference", "reference_events")
            }
            connection.execute(
                text(
                    "INSERT INTO counts VALUES (:tube, 'bcell', '1.0.0', '0.1.0', "
                    ":population, :place, :events, :parent,"
                    " :parent_events, :reference, :reference_events)"
                ),
                values,
            )
    engine.dispose()
    for _ in range(2):
        with open_store(url) as store:
            assert gatings_of(store, SHA) == [GATING]
            assert "tubes_by_patient" in {
                index["name"] for index in inspect(store.engine).get_indexes("tubes")
            }
            assert not save_gating(store, GATING)


def test_a_store_of_the_third_version_keeps_its_counts_and_has_them_counted_once_more(
    url: str,
) -> None:
    with open_store(url) as store:
        accept(store)
    engine = create_engine(url)
    with engine.begin() as connection:
        for table in ("thresholds", "readings", "counts", "gatings", "pin_changes", "counted_with"):
            connection.execute(text(f"DROP TABLE {table}"))
        connection.execute(text("UPDATE schema_version SET version = 3"))
        for statement in (*THIRD_TABLES, *THIRD_ROWS):
            connection.execute(text(statement.replace("SHA", SHA).replace("HASH", "f" * 64)))
    engine.dispose()
    pins, panels = {"bcell": "bcell@1.0.0"}, {"bcell": "e" * 64}
    noted = replace(GATING, panel_sha256="e" * 64)
    for _ in range(2):
        with open_store(url) as store:
            assert gatings_of(store, SHA)[0] == GATING
            (counted,) = tube_counts(store, pins, panels=panels)
            assert counted.panel_sha256 in {"", "e" * 64}
            with store.reading() as connection:
                assert [row.panel_sha256 for row in connection.execute(select(thresholds))] == [""]
                assert [row.panel_sha256 for row in connection.execute(select(readings))] == [""]
            assert measured(store, "0.1.0") == {(SHA, "bcell@1.0.0")}
            assert measured(store, "0.1.0", {"e" * 64}) == set()
            save_gating(store, noted)
    with open_store(url) as store:
        assert gatings_of(store, SHA) == [GATING, noted]
        assert [each.panel_sha256 for each in tube_counts(store, pins, panels=panels)] == ["e" * 64]
        assert tubes_to_count(store, pins, "0.1.0", panels=panels) == []


def test_rows_of_a_store_of_the_fourth_version_get_their_digests_when_it_is_opened(
    url: str,
) -> None:
    edition = Edition("P01", "made of one tube", b"kinetics", b"parameters", b"recovery")
    with open_store(url) as store:
        accept(store)
        save_gating(store, GATING)
        save_measurements(store, SHA, MeasuredWith("bcell@1.0.0", "0.1.0"), {})
        save_edition(store, edition)
    engine = create_engine(url)
    with engine.begin() as connection:
        for table in ("gatings", "tubes", "readings", "editions"):
            connection.execute(text(f"ALTER TABLE {table} DROP COLUMN digest"))
        connection.execute(text("UPDATE schema_version SET version = 4"))
    engine.dispose()
    for _ in range(2):
        with open_store(url) as store:
            assert gatings_of(store, SHA) == [GATING]
            assert [tube.identity for tube in taken_in(store)] == [TUBE]
            assert last_editions(store) == {"P01": edition}
            assert remove_altered_measurements(store) == []
    with open_store(url) as store:
        with store.writing() as connection:
            connection.execute(text("UPDATE tubes SET patient = 'P02'"))
            connection.execute(text("UPDATE counts SET events = 0"))
            connection.execute(text("UPDATE readings SET document = '{\"a\": 1}'"))
            connection.execute(text("UPDATE editions SET fingerprint = 'x'"))
        assert gatings_of(store, SHA) == taken_in(store) == []
        assert [tube.identity.tube_sha256 for tube in altered_identities(store)] == [SHA]
        assert last_editions(store) == {}
        assert remove_altered_measurements(store) == [SHA]


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


def test_a_store_of_the_fourth_version_is_brought_up_and_can_be_locked(url: str) -> None:
    with open_store(url) as store:
        file_id = accept(store)
        save_gating(store, GATING)
        steps = history(store, file_id)
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE leases"))
        connection.execute(text("UPDATE schema_version SET version = 4"))
    engine.dispose()
    for _ in range(2):
        with open_store(url) as store, lease(store, "run"):
            assert gatings_of(store, SHA) == [GATING]
            assert history(store, file_id) == steps
            with store.reading() as connection:
                assert connection.execute(select(func.max(versions.c.version))).scalar() == 5


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
            match=rf"{file.name} lies on a network share \({kind}\).*disk of this computer.*PostgreSQL",
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


THIRD_TABLES = (
    """CREATE TABLE gatings (tube_sha256 TEXT NOT NULL, strategy TEXT NOT NULL, version TEXT NOT NULL, engine_version TEXT NOT NULL,
     evidence TEXT NOT NULL, strategy_sha256 TEXT NOT NULL, panel TEXT NOT NULL, total_events BIGINT NOT NULL, beads BIGINT,
     flags TEXT NOT NULL, qc TEXT NOT NULL, counted_at TEXT NOT NULL,
     PRIMARY KEY (tube_sha256, strategy, version, engine_version, evidence))""",
    """CREATE TABLE counts (tube_sha256 TEXT NOT NULL, strategy TEXT NOT NULL, version TEXT NOT NULL, engine_version TEXT NOT NULL,
     evidence TEXT NOT NULL, population TEXT NOT NULL, position INTEGER NOT NULL, events BIGINT NOT NULL, parent TEXT NOT NULL,
     parent_events BIGINT NOT NULL, reference TEXT NOT NULL, reference_events BIGINT NOT NULL, flags TEXT NOT NULL, negatives TEXT,
     PRIMARY KEY (tube_sha256, strategy, version, engine_version, evidence, population),
     CONSTRAINT child_within_parent CHECK (events >= 0 AND events <= parent_events))""",
    """CREATE TABLE thresholds (tube_sha256 TEXT NOT NULL, strategy TEXT NOT NULL, version TEXT NOT NULL, engine_version TEXT NOT NULL,
     evidence TEXT NOT NULL, threshold TEXT NOT NULL, marker TEXT NOT NULL, detector TEXT NOT NULL, source TEXT NOT NULL,
     evidence_text TEXT NOT NULL, tried TEXT NOT NULL, value FLOAT NOT NULL,
     PRIMARY KEY (tube_sha256, strategy, version, engine_version, evidence, threshold))""",
    """CREATE TABLE readings (tube_sha256 TEXT NOT NULL, strategy TEXT NOT NULL, version TEXT NOT NULL, engine_version TEXT NOT NULL,
     document TEXT NOT NULL, PRIMARY KEY (tube_sha256, strategy, version, engine_version))""",
)
THIRD_ROWS = (
    """INSERT INTO gatings VALUES ('SHA', 'bcell', '1.0.0', '0.1.0', '', 'HASH', 'bcell', 9000, NULL, '["few_events"]', '{"dead": 0.1}',
     '2026-02-08T02:00:00+00:00')""",
    """INSERT INTO counts VALUES ('SHA', 'bcell', '1.0.0', '0.1.0', '', 'b_cells', 0, 120, 'leukocytes', 5000, 'lymphocytes', 4000,
     '[]', NULL)""",
    """INSERT INTO counts VALUES ('SHA', 'bcell', '1.0.0', '0.1.0', '', 'naive_b', 1, 0, 'b_cells', 120, 'b_cells', 120, '[]', NULL)""",
    """INSERT INTO thresholds VALUES ('SHA', 'bcell', '1.0.0', '0.1.0', '', 'cd19', 'CD19', 'PE-Cy7-A', 'fixed', 'read', '[]', 1400.5)""",
    """INSERT INTO readings VALUES ('SHA', 'bcell', '1.0.0', '0.1.0', '{}')""",
)
"""The tables whose key has changed since, as the third version made them, and one tube in them."""
FIRST_GATINGS = """CREATE TABLE gatings (tube_sha256 TEXT NOT NULL, strategy TEXT NOT NULL, version TEXT NOT NULL,
 engine_version TEXT NOT NULL, strategy_sha256 TEXT NOT NULL, panel TEXT NOT NULL, total_events BIGINT NOT NULL, beads BIGINT,
 flags TEXT NOT NULL, qc TEXT NOT NULL, counted_at TEXT NOT NULL, PRIMARY KEY (tube_sha256, strategy, version, engine_version))"""
FIRST_COUNTS = """CREATE TABLE counts (tube_sha256 TEXT NOT NULL, strategy TEXT NOT NULL, version TEXT NOT NULL,
 engine_version TEXT NOT NULL, population TEXT NOT NULL, position INTEGER NOT NULL, events BIGINT NOT NULL, parent TEXT NOT NULL,
 parent_events BIGINT NOT NULL, reference TEXT NOT NULL, reference_events BIGINT NOT NULL,
 PRIMARY KEY (tube_sha256, strategy, version, engine_version, population),
 CONSTRAINT child_within_parent CHECK (events >= 0 AND events <= parent_events))"""
"""The tables whose key has changed since, as the first version made them."""

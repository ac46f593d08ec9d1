"""A store of any earlier release becomes one of the present version, with every row it had."""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, func, inspect, select, text

from panels.text.errors import SettingsFault, StoreFault
from tasks.store.counts import tube_counts
from tasks.store.editions import last_editions
from tasks.store.gatings import gatings_of, save_gating
from tasks.store.lease import is_held, lease
from tasks.store.ledger import FileStat, add_file, all_files, history
from tasks.store.measurements import measured, remove_altered_measurements
from tasks.store.migrations import upgrade
from tasks.store.opening import open_store
from tasks.store.runs import last_run
from tasks.store.schema.layout import SCHEMA_VERSION, versions
from tasks.store.schema.results import readings, thresholds
from tasks.store.schema.whole import metadata
from tasks.store.tubes import altered_identities, taken_in, tubes_to_count
from tests.tasks.earlier_stores import EARLIER, Rows, make_earlier_store, rows_in

TUBE, OTHER_TUBE = "a" * 64, "b" * 64
PROJECT = Path(__file__).resolve().parents[2]
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.tasks.test_store_migrations"])


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    engine = create_engine(url)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def version_of(connection: Connection) -> int | None:
    return connection.execute(select(func.max(versions.c.version))).scalar()


def layout(engine: Engine | Connection) -> dict[str, Any]:
    """Describe every table but alembic's: columns, keys, checks and indexes."""
    seen = inspect(engine)
    return {
        name: {
            "columns": [
                (each["name"], str(each["type"]), each["nullable"], each.get("default"))
                for each in seen.get_columns(name)
            ],
            "key": seen.get_pk_constraint(name),
            "refers to": seen.get_foreign_keys(name),
            "unique": seen.get_unique_constraints(name),
            "checks": seen.get_check_constraints(name),
            "indexes": sorted(seen.get_indexes(name), key=lambda each: str(each["name"])),
        }
        for name in seen.get_table_names()
        if name != "schema_revision"
    }


def declared_layout(url: str) -> dict[str, Any]:
    """Describe the tables that are declared, made at an empty address and removed again."""
    engine = create_engine(url)
    metadata.create_all(engine)
    described = layout(engine)
    metadata.drop_all(engine)
    engine.dispose()
    return described


def differences(connection: Connection) -> list[Any]:
    """Compare a store with tasks/store/schema as alembic does before it proposes a migration."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    options = {"version_table": "schema_revision", "compare_server_default": True}
    found: list[Any] = compare_metadata(
        MigrationContext.configure(connection, opts=options), metadata
    )
    return found


def carried_over(before: Rows, after: Rows) -> bool:
    """Tell whether every row is there as it was; counts are in no order, digests cover more now."""
    tables = before.keys() - {"schema_version"}
    return all(_cells(before[name]) == _cells(after[name]) for name in tables)


def _cells(rows: list[dict[str, Any]]) -> list[str]:
    return sorted(repr({key: row[key] for key in row if key != "digest"}) for row in rows)


def test_a_new_store_is_laid_out_as_declared(url: str) -> None:
    declared = declared_layout(url)
    open_store(url).close()
    with connected(url) as connection:
        assert differences(connection) == []
        assert layout(connection) == declared
        assert version_of(connection) == SCHEMA_VERSION


def test_a_difference_from_what_is_declared_would_be_seen(url: str) -> None:
    open_store(url).close()
    with connected(url) as connection:
        connection.execute(text("DROP INDEX tubes_by_patient"))
        connection.execute(text("ALTER TABLE runs ADD COLUMN more TEXT"))
        kinds = {difference[0] for difference in differences(connection)}
        assert kinds == {"add_index", "remove_column"}


@pytest.mark.parametrize("version", EARLIER)
def test_an_earlier_store_is_brought_up_with_all_its_rows(url: str, version: int) -> None:
    declared = declared_layout(url)
    rows = make_earlier_store(url, version)
    for _ in range(2):
        open_store(url).close()
        with connected(url) as connection:
            assert layout(connection) == declared
            assert differences(connection) == []
            assert carried_over(rows, rows_in(connection, rows))
            assert version_of(connection) == SCHEMA_VERSION


@pytest.mark.parametrize("version", EARLIER)
def test_what_an_earlier_store_kept_is_read_as_before_and_is_not_altered(
    url: str, version: int
) -> None:
    rows = make_earlier_store(url, version)
    with open_store(url) as store:
        assert altered_identities(store) == []
        assert [tube.identity.patient for tube in taken_in(store)] == ["P01", "P02"]
        gatings = [gating for tube in (TUBE, OTHER_TUBE) for gating in gatings_of(store, tube)]
        assert len(gatings) == len(rows["gatings"])
        assert sum(len(gating.counts) for gating in gatings) == len(rows["counts"])
        assert not any(save_gating(store, gating) for gating in gatings)
        assert last_editions(store).keys() == ({"P01"} if version > 1 else set())
        assert remove_altered_measurements(store) == []
        assert [step.to_state for step in history(store, 1)] == ["settling", "accepted", "counted"]
        run = last_run(store, "nightly")
        assert run is not None
        assert run.summary == {"accepted": 2}
        with store.writing() as connection:
            assert add_file(connection, "d.fcs", "d.fcs", "d.fcs", FileStat(1, 1, 1.0, None)) == 4


@pytest.mark.parametrize("version", [5, 8])
def test_a_store_that_was_new_in_its_release_has_alembics_record_and_comes_up_too(
    url: str, version: int
) -> None:
    rows = make_earlier_store(url, version)
    with connected(url) as connection:
        connection.execute(text("CREATE TABLE schema_revision (version_num VARCHAR(32) NOT NULL)"))
        connection.execute(text(f"INSERT INTO schema_revision VALUES ('{version}')"))
        connection.commit()
    open_store(url).close()
    with connected(url) as connection:
        assert carried_over(rows, rows_in(connection, rows))
        revision = connection.execute(text("SELECT version_num FROM schema_revision")).scalar()
        assert (version_of(connection), revision) == (SCHEMA_VERSION, str(SCHEMA_VERSION))


@pytest.mark.parametrize("version", EARLIER)
def test_a_copy_of_an_earlier_sqlite_store_is_kept_beside_it(tmp_path: Path, version: int) -> None:
    url = f"sqlite:///{tmp_path / 'reconflow.db'}"
    rows = make_earlier_store(url, version)
    with connected(url) as connection:
        before = layout(connection)
    (tmp_path / "reconflow.db").chmod(0o640)
    for _ in range(2):
        open_store(url).close()
    (kept,) = tmp_path.glob("reconflow.db.*")
    assert kept.name.startswith(f"reconflow.db.version-{version}-")
    assert kept.stat().st_mode & 0o777 == 0o640
    with connected(f"sqlite:///{kept}") as connection:
        assert layout(connection) == before
        assert rows_in(connection, rows) == rows
        assert version_of(connection) == version


def test_a_store_whose_copy_cannot_be_kept_stays_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'reconflow.db'}"
    rows = make_earlier_store(url, 6)
    monkeypatch.setattr(upgrade, "_copy", lambda *_: (tmp_path / "none" / "x").write_bytes(b""))
    with pytest.raises(StoreFault, match="nothing was changed"):
        open_store(url)
    with connected(url) as connection:
        assert version_of(connection) == 6
        assert rows_in(connection, rows) == rows


def test_a_migration_that_fails_leaves_the_store_as_it_was_and_no_copy(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'reconflow.db'}"
    rows = make_earlier_store(url, 6)
    with connected(url) as connection:
        refuse = "BEGIN SELECT RAISE(ABORT, 'kept as it is'); END"
        connection.execute(text(f"CREATE TRIGGER refused BEFORE INSERT ON schema_version {refuse}"))
        connection.commit()
    for _ in range(2):
        with pytest.raises(SettingsFault, match="cannot be opened: kept as it is"):
            open_store(url)
    assert not list(tmp_path.glob("reconflow.db.version-*"))
    with connected(url) as connection:
        assert version_of(connection) == 6
        assert rows_in(connection, rows) == rows
        connection.execute(text("DROP TRIGGER refused"))
        connection.commit()
    open_store(url).close()
    assert len(list(tmp_path.glob("reconflow.db.version-6-*"))) == 1


def test_counts_made_before_the_panel_was_noted_stand_until_their_tube_is_counted_again(
    url: str,
) -> None:
    make_earlier_store(url, 3)
    pins, panels = {"bcell": "bcell@1.0.0"}, {"bcell": "e" * 64}
    with open_store(url) as store:
        counted = tube_counts(store, pins, panels=panels)
        assert [each.panel_sha256 for each in counted] == ["", ""]
        with store.reading() as connection:
            for table in (thresholds, readings):
                assert connection.execute(select(table.c.panel_sha256)).scalars().all() == [""]
        assert measured(store, "0.1.0") == {(TUBE, "bcell@1.0.0", "")}
        assert measured(store, "0.1.0", {"e" * 64}) == set()
        due = tubes_to_count(store, pins, "0.1.0", panels=panels)
        assert [tube.identity.tube_sha256 for tube in due] == [TUBE, OTHER_TUBE]
        assert save_gating(store, replace(gatings_of(store, TUBE)[0], panel_sha256="e" * 64))
        counted = tube_counts(store, pins, panels=panels)
        assert [each.panel_sha256 for each in counted] == ["e" * 64, ""]
        due = tubes_to_count(store, pins, "0.1.0", panels=panels)
        assert [tube.identity.tube_sha256 for tube in due] == [OTHER_TUBE]


def test_counts_made_before_calibrations_were_those_of_the_strategys_own_numbers(url: str) -> None:
    make_earlier_store(url, 5)
    pins = {"bcell": "bcell@1.0.0"}
    own, now = dict.fromkeys((TUBE, OTHER_TUBE), ""), {TUBE: "c" * 64, OTHER_TUBE: ""}
    with open_store(url) as store:
        assert [(tube.cytometer, tube.serial) for tube in taken_in(store)] == [(None, None)] * 2
        before = tube_counts(store, pins)
        assert [each.calibration_sha256 for each in before] == ["", ""]
        assert tube_counts(store, pins, calibrations=own) == before
        assert tube_counts(store, pins, calibrations=now) == before[1:]
        assert tubes_to_count(store, pins, "0.1.0", calibrations=own) == []
        due = tubes_to_count(store, pins, "0.1.0", calibrations=now)
        assert [tube.identity.tube_sha256 for tube in due] == [TUBE]
        numbers = {"calibration": "bcell/lyric-2@1.0.0", "calibration_sha256": "c" * 64}
        assert save_gating(store, replace(gatings_of(store, TUBE)[0], **numbers))
        after = tube_counts(store, pins, calibrations=now)
        pins_of_numbers = [(each.calibration, each.calibration_sha256) for each in after]
        assert pins_of_numbers == [("bcell/lyric-2@1.0.0", "c" * 64), ("", "")]
        assert tube_counts(store, pins, calibrations=own) == before


def test_a_row_that_was_altered_before_a_migration_is_known_as_altered_after_it(url: str) -> None:
    make_earlier_store(url, 5)
    with connected(url) as connection:
        connection.execute(text("UPDATE tubes SET patient = 'P03' WHERE patient = 'P01'"))
        connection.execute(text("UPDATE counts SET events = 0"))
        connection.execute(text("UPDATE readings SET document = '{\"a\": 1}'"))
        connection.commit()
    with open_store(url) as store:
        assert [tube.identity.patient for tube in taken_in(store)] == ["P02"]
        assert [tube.identity.patient for tube in altered_identities(store)] == ["P03"]
        assert gatings_of(store, TUBE) == gatings_of(store, OTHER_TUBE) == []
        assert remove_altered_measurements(store) == [TUBE]


def test_rows_that_got_their_digest_in_a_migration_are_known_when_they_are_altered(
    url: str,
) -> None:
    make_earlier_store(url, 4)
    with open_store(url) as store:
        with store.writing() as connection:
            connection.execute(text("UPDATE tubes SET patient = 'P03'"))
            connection.execute(text("UPDATE counts SET events = 0"))
            connection.execute(text("UPDATE readings SET document = '{\"a\": 1}'"))
            connection.execute(text("UPDATE editions SET fingerprint = 'x'"))
        assert gatings_of(store, OTHER_TUBE) == taken_in(store) == []
        altered = [tube.identity.tube_sha256 for tube in altered_identities(store)]
        assert altered == [TUBE, OTHER_TUBE]
        assert last_editions(store) == {}
        assert remove_altered_measurements(store) == [TUBE]


@pytest.mark.parametrize("version", EARLIER)
def test_an_earlier_store_can_be_locked(url: str, version: int) -> None:
    make_earlier_store(url, version)
    with open_store(url) as store, lease(store, "run"):
        assert is_held(store, "run")


def test_a_store_of_the_present_version_is_opened_without_a_migration(url: str) -> None:
    rows = make_earlier_store(url, SCHEMA_VERSION)
    open_store(url).close()
    with connected(url) as connection:
        assert rows_in(connection, rows) == rows
        assert not inspect(connection).has_table("schema_revision")
    reads = (
        "import sys; from tasks.store.opening import open_store; open_store(sys.argv[1]).close();"
        "raise SystemExit('alembic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", reads, url], cwd=PROJECT, check=False)
    assert done.returncode == 0


def test_alembic_knows_every_version_and_ends_at_the_present_one() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", "tasks.store:migrations")
    revisions = [each.revision for each in ScriptDirectory.from_config(config).walk_revisions()]
    assert revisions == [str(number) for number in range(SCHEMA_VERSION, 0, -1)]


def _opens(url: str, together: Barrier) -> None:
    together.wait(60)
    with open_store(url) as store:
        if len(all_files(store)) != 3:
            raise SystemExit("not all files are there")


@pytest.mark.parametrize("version", EARLIER)
def test_processes_that_open_an_earlier_store_at_once_migrate_it_once(
    url: str, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The processes import this module, whichever way the tests were started.
    monkeypatch.syspath_prepend(str(PROJECT))
    declared = declared_layout(url)
    rows = make_earlier_store(url, version)
    together = PROCESSES.Barrier(3)
    processes = [PROCESSES.Process(target=_opens, args=(url, together)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=120)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    with connected(url) as connection:
        assert layout(connection) == declared
        assert carried_over(rows, rows_in(connection, rows))
        every = select(versions.c.version).order_by(versions.c.version)
        assert connection.execute(every).scalars().all() == [version, SCHEMA_VERSION]


def _is_killed(url: str) -> None:
    """Open a store and die when the last migration is done and nothing of it is kept yet."""
    migrate = upgrade.upgrade_to_head

    def die(*about: Any) -> None:
        migrate(*about)
        os.kill(os.getpid(), signal.SIGKILL)

    upgrade.upgrade_to_head = die
    open_store(url).close()


@pytest.mark.parametrize("version", EARLIER)
def test_a_process_that_is_killed_in_a_migration_leaves_the_store_as_it_was(
    url: str, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(PROJECT))
    declared = declared_layout(url)
    rows = make_earlier_store(url, version)
    with connected(url) as connection:
        before = layout(connection)
    process = PROCESSES.Process(target=_is_killed, args=(url,))
    process.start()
    process.join(timeout=120)
    assert process.exitcode == -signal.SIGKILL
    with connected(url) as connection:
        assert layout(connection) == before
        assert rows_in(connection, rows) == rows
    open_store(url).close()
    with connected(url) as connection:
        assert layout(connection) == declared
        assert carried_over(rows, rows_in(connection, rows))


def test_threads_that_migrate_different_stores_at_once_do_not_mix_them_up(tmp_path: Path) -> None:
    urls = {f"sqlite:///{tmp_path / f'{number}.db'}": 1 + number % 4 for number in range(8)}
    rows = {url: make_earlier_store(url, version) for url, version in urls.items()}
    with ThreadPoolExecutor(8) as pool:
        for store in pool.map(open_store, urls):
            store.close()
    for url in urls:
        with connected(url) as connection:
            assert differences(connection) == []
            assert carried_over(rows[url], rows_in(connection, rows[url]))

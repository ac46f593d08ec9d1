"""Two passes at once end as one did, whatever the locks of the file system say."""

import fcntl
import hashlib
import multiprocessing
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

import tasks.study.lock
from panels.files import watchdog as watching
from tasks.intake.take_in import take_in
from tasks.results.cohort_tables import build_cohort
from tasks.results.patient_tables import build_patient
from tasks.results.tables_expected import KEPT
from tasks.steps import one_pass as passing
from tasks.steps.one_pass import one_pass
from tasks.steps.pass_under_way import Pass
from tasks.store.gatings import gatings_of
from tasks.store.ledger import all_files, history
from tasks.store.moves import planned_moves
from tasks.store.tubes import taken_in
from tasks.study.folder import Study, open_study
from tests.tasks.plain_pass import count_all
from tests.tasks.study_folder import DRAWN, make_study, write_tube

pytestmark = pytest.mark.xdist_group("two passes")

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    ["tests.tasks.test_two_passes", "tasks.publish.report", "tasks.kinetics.cohort"]
)


def takes_in(study: Study) -> None:
    take_in(study)


def counts_too(study: Study) -> None:
    """Make a pass as the nightly flow does, up to the counts."""
    with one_pass(study.folder, "nightly") as this:
        _count(this)


def runs(study: Study) -> None:
    """Make a whole pass as the nightly flow does."""
    with one_pass(study.folder, "nightly") as this:
        _count(this)
        for inputs in this.patients():
            build_patient(this.snapshot, inputs)
        if this.cohort_is_due():
            build_cohort(this.snapshot)
    if this.summary["failed"] or this.summary["table_faults"]:
        raise SystemExit(1)


def _count(this: Pass) -> None:
    this.note_intake(take_in(this.study))
    count_all(this)


def _child(what: Callable[[Study], None], folder: Path, leased: str, together: Barrier) -> None:
    # As on two machines that mount one share without its locks.
    fcntl.flock = lambda *_: None  # type: ignore[assignment]
    if leased == "without":
        tasks.study.lock.lease = lambda *_: nullcontext()  # type: ignore[assignment]
    together.wait(60)
    what(open_study(folder))


def at_once(
    study: Study, number: int, leased: str, what: Callable[[Study], None]
) -> set[int | None]:
    """Let some processes start the same at one moment; gives what they ended with."""
    together = FORKS.Barrier(number)
    processes = [
        FORKS.Process(target=_child, args=(what, study.folder, leased, together))
        for _ in range(number)
    ]
    for process in processes:
        process.start()
    try:
        for process in processes:
            process.join(timeout=200)
        return {process.exitcode for process in processes}
    finally:
        for process in processes:
            process.kill()


def counts(study: Study) -> dict[str, list[str]]:
    with study.store() as store:
        return {
            tube.identity.tube_sha256: [
                repr(replace(g, counted_at=""))
                for g in gatings_of(store, tube.identity.tube_sha256)
            ]
            for tube in taken_in(store)
        }


def no_step_is_taken_twice(study: Study) -> bool:
    with study.store() as store:
        taken = [
            [step.to_state for step in history(store, record.id)] for record in all_files(store)
        ]
    return all(len(states) == len(set(states)) for states in taken)


def ledger(study: Study) -> list[tuple[str | None, ...]]:
    with study.store() as store:
        assert planned_moves(store) == []
        found = [(r.inbox_path, r.state, r.place, r.sha256, r.reason) for r in all_files(store)]
    return sorted(found)


def identities(study: Study) -> list[str]:
    with study.store() as store:
        return [repr(tube.identity) for tube in taken_in(store)]


def files(study: Study, *folders: str) -> dict[str, str]:
    """Every file in some folders of a study but the markers, by its place and hash.

    What the tables are made of holds when each file came.
    """
    paths = [
        path
        for name in folders
        for path in (study.folder / name).rglob("*")
        if path.is_file() and not path.name.startswith((".reconflow-", KEPT))
    ]
    return {
        path.relative_to(study.folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
    }


def drop(folder: Path, tubes: int, panel: str = "bcell") -> Study:
    """Make a study with many tubes, copies of some, files that are refused and some that wait."""
    days = [f"2026-02-{day:02d}T08:30" for day in range(1, 29)]
    rows = [f"t{n:03}.fcs,P0{1 + n % 2},{days[n % 28]},{panel}" for n in range(tubes)]
    study = make_study(folder, [*rows, f"cut.fcs,P01,{DRAWN},{panel}"])
    for n in range(tubes):
        write_tube(study.inbox / f"t{n:03}.fcs", panel, seed=n)
    for n in range(0, tubes, 5):
        shutil.copy(study.inbox / f"t{n:03}.fcs", study.inbox / f"copy-of-t{n:03}.fcs")
    (study.inbox / "cut.fcs").write_bytes((study.inbox / "t000.fcs").read_bytes()[:900])
    for n in range(4):
        (study.inbox / f"note-{n}.txt").write_text(f"no {n}", encoding="utf-8")
        write_tube(study.inbox / f"unnamed-{n}.fcs", panel, seed=900 + n)
    return study


def in_store(original: Study, folder: Path, url: str) -> Study:
    """Copy a study to a folder, its store at an address."""
    shutil.copytree(original.folder, folder)
    with (folder / "study.yaml").open("a", encoding="utf-8") as file:
        file.write(f"store: {url}\n")
    return open_study(folder)


@pytest.fixture(scope="module")
def dropped(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return drop(tmp_path_factory.mktemp("dropped") / "s", 12)


@pytest.fixture(scope="module")
def by_one(dropped: Study) -> Study:
    """What one pass makes of it."""
    study = in_store(dropped, dropped.folder.with_name("one"), "sqlite:///reconflow.db")
    assert at_once(study, 1, "with", takes_in) == {0}
    return study


@pytest.mark.parametrize(("number", "leased"), [(2, "without"), (4, "without"), (4, "with")])
def test_passes_at_once_take_in_what_one_takes_in(
    dropped: Study, by_one: Study, tmp_path: Path, url: str, number: int, leased: str
) -> None:
    study = in_store(dropped, tmp_path / "s", url)
    assert at_once(study, number, leased, takes_in) == {0}
    assert ledger(study) == ledger(by_one)
    assert identities(study) == identities(by_one)
    assert no_step_is_taken_twice(study)
    assert files(study, "inbox", "archive", "quarantine") == files(
        by_one, "inbox", "archive", "quarantine"
    )


@pytest.fixture(scope="module")
def run_by_one(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A small study before and after one whole pass."""
    study = drop(tmp_path_factory.mktemp("run") / "s", 2)
    done = in_store(study, study.folder.with_name("done"), "sqlite:///reconflow.db")
    assert at_once(done, 1, "with", runs) == {0}
    return study


def test_two_whole_passes_at_once_count_what_one_counts_without_any_lock(
    run_by_one: Study, tmp_path: Path, url: str
) -> None:
    study, one = (
        in_store(run_by_one, tmp_path / "s", url),
        open_study(run_by_one.folder.with_name("done")),
    )
    assert at_once(study, 2, "without", counts_too) == {0}
    assert ledger(study) == ledger(one)
    assert counts(study) == counts(one)
    assert no_step_is_taken_twice(study)
    assert files(study, "inbox", "archive", "quarantine") == files(
        one, "inbox", "archive", "quarantine"
    )


def test_two_whole_passes_at_once_write_the_tables_that_one_writes(
    run_by_one: Study, tmp_path: Path, url: str
) -> None:
    study, one = (
        in_store(run_by_one, tmp_path / "s", url),
        open_study(run_by_one.folder.with_name("done")),
    )
    assert at_once(study, 2, "with", runs) == {0}
    assert ledger(study) == ledger(one)
    assert counts(study) == counts(one)
    assert files(study, "archive", "quarantine", "results") == files(
        one, "archive", "quarantine", "results"
    )


def test_a_pass_is_noted_as_failed_only_between_its_lock_and_its_recorded_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = make_study(tmp_path / "s")
    noted: list[tuple[str, bool]] = []

    def seen(name: str) -> None:
        usual = getattr(passing, name)

        def step(*words):
            noted.append((name, bool(watching._RUNNING[0].notes)))
            return usual(*words)

        monkeypatch.setattr(passing, name, step)

    for name in ("study_lock", "begin_run", "end_run", "keep_head"):
        seen(name)
    with watching.watchdog(None), one_pass(study.folder, "run"):
        pass
    assert noted == [
        ("study_lock", False),
        ("keep_head", True),
        ("begin_run", True),
        ("end_run", True),
        ("keep_head", False),
    ]

"""A whole pass on the workers of a Dask cluster: the bytes of a plain one, whoever dies in it."""

import hashlib
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from panels.files.durable import UNFINISHED
from tasks.steps import dask_cluster
from tasks.store.runs import last_run
from tasks.study.folder import Study, open_study
from tasks.study.lock import is_running
from tests.dask_cluster import dask_cluster as a_cluster
from tests.dask_cluster import kill_worker
from tests.flows.command import Said, reconflow_here, wait_until
from tests.tasks.simulated_patient import counted_patient

__all__ = ["counted_patient"]

pytestmark = [
    pytest.mark.server,
    pytest.mark.xdist_group("prefect"),
    pytest.mark.usefixtures("prefect_api"),
]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Run a study in this process, with little patience."""
    from tasks.steps.prefect_tasks import count

    monkeypatch.setattr(count, "retry_delay_seconds", [0.5, 1])
    return lambda study: reconflow_here(capfd, "run", "--study", study.folder, "--json")


def uncounted(counted: Path, folder: Path, runner: str) -> Study:
    """Copy a study that a plain pass counted, without its results, for other workers."""
    shutil.copytree(counted, folder)
    shutil.rmtree(folder / "results")
    with (folder / "study.yaml").open("a", encoding="utf-8") as file:
        file.write(runner)
    return open_study(folder)


def hashes(results: Path) -> dict[str, str]:
    """Hash what is written of tubes and patients; the rest is made by the pass itself."""
    return {
        path.relative_to(results).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for name in ("tubes", "patients")
        for path in (results / name).rglob("*")
        # Killed in the middle of a file, a worker leaves its unfinished name behind.
        if path.is_file() and not UNFINISHED.fullmatch(path.name)
    }


def at_the_first_tube(study: Study, act: Callable[[], object]) -> threading.Thread:
    """Do something when the first tube is being written."""

    def wait() -> None:
        wait_until(lambda: any(study.results.glob("tubes/*/*")), 120, "no tube was begun")
        act()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_a_pass_of_which_a_worker_is_killed_makes_the_bytes_of_a_plain_one(
    tmp_path: Path, counted_patient: Path, run: Callable[[Study], Said]
) -> None:
    with a_cluster(tmp_path / "cluster", "--host", "127.0.0.1") as cluster:
        victims = [cluster.worker(), cluster.worker()]
        study = uncounted(counted_patient, tmp_path / "s", cluster.setting)
        killer = at_the_first_tube(study, lambda: kill_worker(victims[0]))
        said = run(study)
        killer.join()
        assert "was killed by signal 9" in (cluster.folder / "worker-1").read_text()
    assert (said.code, said.document["counted"], said.document["failed"]) == (0, 3, 0), said.err
    assert hashes(study.results) == hashes(counted_patient / "results")


def test_a_pass_whose_scheduler_goes_away_fails_with_a_sentence_and_the_next_ends_it(
    tmp_path: Path,
    counted_patient: Path,
    run: Callable[[Study], Said],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dask_cluster, "CONNECT_SECONDS", 2.0)
    monkeypatch.setattr(dask_cluster, "GONE_SECONDS", 1.0)
    monkeypatch.setattr(dask_cluster, "GRACE_SECONDS", 0.0)
    with a_cluster(tmp_path / "cluster") as cluster:
        cluster.worker()
        study = uncounted(counted_patient, tmp_path / "s", cluster.setting)
        if _listens_beyond_loopback(cluster.folder / "scheduler-0"):
            refused = run(study)
            assert refused.code == 1
            assert "is not used: whoever reaches it can run programs there" in refused.err
        _change(study, cluster.setting, cluster.setting.replace("}", ", insecure: true}"))
        killer = at_the_first_tube(study, cluster.processes[0].kill)
        said = run(study)
        killer.join()
    assert said.code == 1
    assert f"No Dask scheduler answers at {cluster.address}" in said.err
    assert "What was counted before is kept." in said.err
    with study.store() as store:
        found = last_run(store)
    assert found is not None
    assert found.outcome == "failed"
    assert not is_running(study)
    assert not list(study.results.glob("patients/*"))
    assert not list(study.results.glob(".reconflow-workers-*"))
    assert "FAILED" in (study.results / "index.html").read_text(encoding="utf-8")
    text = (study.folder / "study.yaml").read_text(encoding="utf-8")
    _change(study, text, text.partition("runner:")[0] + "workers: 1\n")
    assert run(study).code == 0
    assert hashes(study.results) == hashes(counted_patient / "results")


def test_a_scheduler_that_is_not_there_fails_the_pass_at_once(
    tmp_path: Path,
    counted_patient: Path,
    run: Callable[[Study], Said],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dask_cluster, "CONNECT_SECONDS", 1.0)
    runner = "runner: {kind: dask, address: 'tcp://127.0.0.1:9'}\n"
    study = uncounted(counted_patient, tmp_path / "s", runner)
    said = run(study)
    assert said.code == 1
    assert "No Dask scheduler answers at tcp://127.0.0.1:9 within 1 seconds" in said.err
    assert "study.yaml" in said.err
    assert not is_running(study)
    with study.store() as store:
        found = last_run(store)
    assert found is not None
    assert found.outcome == "failed"


def _listens_beyond_loopback(log: Path) -> bool:
    """Tell whether a scheduler that was not told where to listen has an address of a network."""
    wait_until(lambda: "Scheduler at:" in log.read_text(), 60, "no scheduler")
    line = next(line for line in log.read_text().splitlines() if "Scheduler at:" in line)
    return "127.0.0.1" not in line


def _change(study: Study, old: str, new: str) -> None:
    path = study.folder / "study.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")

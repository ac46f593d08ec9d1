"""The frame of the command line: exit codes, and a stdout that programs can rely on."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import pytest

from flows import cli
from flows.cli import Json, Outcome, Strict, app, run
from panels.text.errors import SheetFault, UnreadableFile


@contextmanager
def command(body) -> Iterator[str]:
    """Register a command for the block."""

    def trial(*, json: Json = False, strict: Strict = False) -> Outcome:
        """Try the frame."""
        return body()

    app.command(trial, name="trial")
    try:
        yield "trial"
    finally:
        del app["trial"]


def test_version_and_help_are_answered(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capfd.readouterr().out == f"reconflow {version('reconflow')}\n"
    assert run(["--help"]) == 0
    assert "reconflow" in capfd.readouterr().out


def test_help_imports_nothing_heavy_and_starts_at_once() -> None:
    script = (
        "import sys; sys.argv = ['reconflow', '--help']\n"
        "from flows.cli import run\n"
        "run(['--help'])\n"
        "heavy = {'prefect', 'flowkit', 'numpy', 'pandas', 'matplotlib', 'sqlalchemy', "
        "'umap', 'seaborn'} & set(sys.modules)\n"
        "sys.exit(', '.join(sorted(heavy)) or 0)"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, f"--help imports {done.stderr}"
    # Processor time, which a busy machine does not stretch.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.5


def test_what_maps_are_made_with_stays_out_of_every_other_command(tmp_path: Path) -> None:
    """They take seconds and hundreds of megabytes, which a night without maps is not to pay."""
    script = """if True:
        import importlib, pkgutil, sys
        import flows, gating, panels, tasks
        def load(package):
            for each in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
                if not each.name.startswith(("tasks.explore", "tasks.store.migrations.")):
                    importlib.import_module(each.name)
        for package in (panels, gating, tasks, flows):
            load(package)
        assert flows.cli.run(["init", sys.argv[1]]) == 0
        assert flows.cli.run(["status", "--study", sys.argv[1]]) == 0
        heavy = {"umap", "pynndescent", "numba", "sklearn"} & set(sys.modules)
        sys.exit(", ".join(sorted(heavy)) or 0)
    """
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "study")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("tokens", [["nonsense"], ["trial", "--nonsense"], ["trial", "extra"]])
def test_a_wrong_call_ends_with_2_and_no_traceback(
    tokens: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    with command(lambda: Outcome(document={}, text="")):
        assert run(tokens) == 2
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("reconflow: ")
    assert "Traceback" not in captured.err


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (SheetFault("samples.csv line 3: collected is empty"), 2),
        (UnreadableFile("a.fcs is cut short"), 1),
        (OSError(28, "No space left on device", "results"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_a_fault_becomes_its_exit_code_and_one_sentence(
    fault: BaseException, code: int, capfd: pytest.CaptureFixture[str]
) -> None:
    def body() -> Outcome:
        raise fault

    with command(body):
        assert run(["trial"]) == code
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err
    assert (captured.err == "") == isinstance(fault, KeyboardInterrupt)


def test_json_is_alone_on_stdout_even_when_child_processes_print(
    capfd: pytest.CaptureFixture[str],
) -> None:
    def body() -> Outcome:
        sys.stdout.write("progress\n")
        subprocess.run([sys.executable, "-c", "print('child')"], check=True)
        os.write(1, b"from C\n")
        return Outcome(document={"counted": 3, "patient": "P-ö"}, text="three")

    with command(body) as name:
        assert run([name, "--json"]) == 0
    captured = capfd.readouterr()
    assert json.loads(captured.out) == {"counted": 3, "patient": "P-ö"}
    assert captured.out.count("\n") == 1
    assert {"progress", "child", "from C"} <= set(captured.err.splitlines())


def test_json_gives_a_document_for_a_fault_too(capfd: pytest.CaptureFixture[str]) -> None:
    def body() -> Outcome:
        raise SheetFault("samples.csv line 3: collected is empty")

    with command(body) as name:
        assert run([name, "--json"]) == 2
    assert json.loads(capfd.readouterr().out) == {"error": "samples.csv line 3: collected is empty"}


@pytest.mark.parametrize(
    ("outcome", "strict", "code"),
    [
        (Outcome(document={}, text="done"), True, 0),
        (Outcome(document={}, text="done", waits=True), False, 0),
        (Outcome(document={}, text="done", waits=True), True, 3),
        (Outcome(document={}, text="done", waits=True, failed=True), True, 1),
    ],
)
def test_what_waits_counts_only_when_strict(
    outcome: Outcome, *, strict: bool, code: int, capfd: pytest.CaptureFixture[str]
) -> None:
    with command(lambda: outcome):
        assert run(["trial", *(["--strict"] if strict else [])]) == code
    assert capfd.readouterr().out == "done\n"


def test_a_fault_of_ours_is_one_line(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RECONFLOW_TRACEBACK", raising=False)
    monkeypatch.setattr(sys, "argv", ["reconflow"])
    cli._report_own_fault(ValueError, ValueError("Surname"), None)
    said = capfd.readouterr().err
    assert said.startswith("reconflow: unexpected ValueError. This is a fault in reconflow")
    assert "Surname" not in said


def test_linear_algebra_does_not_start_threads_beside_our_processes() -> None:
    """Threads that wait for each other made a small fit take five times the processor time."""
    told = (
        "import flows.cli, scipy.linalg, threadpoolctl as t; print({p['num_threads'] for p in "
        "t.threadpool_info()})"
    )
    environment = {
        name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")
    }
    shown = subprocess.run(
        [sys.executable, "-c", told], env=environment, capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == "{1}"


def test_on_windows_a_sentence_says_that_it_does_not_run_there(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "IS_WINDOWS", True)
    with command(lambda: Outcome(document={}, text="done")) as trial:
        assert run([trial]) == 2
    assert capfd.readouterr().err.startswith("reconflow: reconflow locks files in a way that")
